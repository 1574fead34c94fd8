"""What jobs of Slurm have used, as sacct tells it."""

from __future__ import annotations

import pytest

from psyrun.scheduler import Slurm, Usage
from psyrun.scheduler.slurm.usage import parse_usages

MIB = 2.0**20
SACCT = """\
12|COMPLETED|3600|01:30:00||2|1|16G|240
12.batch|COMPLETED|3600|01:29:59.500|900M|2|1||
12.extern|COMPLETED|3600|00:00.500|0|2|1||
13_0|TIMEOUT|600|1-02:00:01||4|2|2Gn|10
13_0.batch|CANCELLED|601|1-02:00:01|1048576K|4|1||
13_1|RUNNING|60|00:00:00||4|2|2Gn|10
13_1.batch|RUNNING|60|00:00:00|5M|4|1||
13_[2-5]|PENDING|0|00:00:00||4|0|2Gn|10
14|CANCELLED by 0|0|00:00:00||0|1|1500Mc|Partition_Limit
15|FAILED|2|00:00.004||2|1|50Mc|UNLIMITED
15.batch|FAILED|2|00:00.004|3186688|2|1||
"""


def test_what_sacct_prints_is_read() -> None:
    assert dict(parse_usages(SACCT)) == {
        "12": Usage(3600, 5400.0, 900 * MIB, 2, 16 * 1024 * MIB, 14400.0),
        "13_0": Usage(600, 93601.0, 1024 * MIB, 4, 4096 * MIB, 600.0),
        "14": Usage(seconds=0),
        "15": Usage(2, 0.004, 3186688.0, 2, 100 * MIB, None),
    }


@pytest.mark.parametrize(
    "printed",
    ["", "\n", "12|COMPLETED", "sacct: error: something", "12.batch|COMPLETED|||||||"],
)
def test_other_words_of_sacct_tell_nothing(printed: str) -> None:
    assert dict(parse_usages(printed)) == {}


def test_where_slurm_gathers_nothing_it_is_not_known() -> None:
    printed = (
        "12|COMPLETED|90|00:00:00||2|1|16G|240\n12.batch|COMPLETED|90|00:00:00|0|||"
    )
    (found,) = dict(parse_usages(f"{printed}|\n")).values()
    assert (found.seconds, found.cpu_seconds, found.peak_bytes) == (90, None, None)


def test_fields_that_are_none_are_not_known() -> None:
    assert dict(parse_usages("12|COMPLETED||x|y|||z|\n12.batch|COMPLETED|||q||||")) == {
        "12": Usage()
    }


def test_jobs_are_told_by_the_ids_that_were_asked_for(command) -> None:
    called = command("sacct", "echo '12|COMPLETED|5|00:04||1|1|1G|60'")
    found = Slurm().get_usages([12, "13_0", "13_1"])
    gib = 1024 * MIB
    assert found == {12: Usage(5, 4.0, None, 1, gib, 3600.0)}
    assert "12,13" in called.read_text().splitlines()


def test_arrays_are_asked_for_in_calls_that_are_not_too_long(command) -> None:
    called = command(
        "sacct", 'for last; do true; done; echo "${last##*,}|COMPLETED|1||||||"'
    )
    found = Slurm().get_usages([str(n) for n in range(1, 1201)])
    assert list(found) == ["500", "1000", "1200"]
    assert len(called.read_text().splitlines()[-1].split(",")) == 200


@pytest.mark.parametrize(
    "script",
    ["echo 'Slurm accounting storage is disabled' >&2; exit 1", "kill -9 $$"],
)
def test_without_accounting_nothing_is_known(command, script: str) -> None:
    command("sacct", script)
    assert Slurm().get_usages(["12"]) == {}


def test_nobody_is_asked_about_no_jobs(command) -> None:
    called = command("sacct", "")
    assert Slurm().get_usages([]) == {}
    assert not called.exists()
