"""What is proposed, in lines."""

from __future__ import annotations

import numpy as np
import pytest

from psyrun.planning.proposals import proposal_lines, proposal_of
from psyrun.scheduler.limits import Limits


def test_lines_have_all_that_is_known(queued):
    args = {"timelimit": "1d", "memory": "64G"}
    known = {"rate": 0.04, "row_bytes": 1e6, "limits": Limits("partition 'a'", 7200.0)}
    lines = proposal_lines(proposal_of(*queued(args, scale=5.0, **known)))
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    for said in (
        ") core-hours\nprice       ",
        "at 0.04 for a core-hour\n",
        "slowest     ",
        "with solver='rk4', n=1024",
        "            n = 16 to 64  ",
        "25 % of the space",
        "disk        191 MiB of results",
        "jobs  cores  wall time",
        "as it is set",
        "setting    now    proposed  because",
        "timelimit  '1d'   '",
        "max_jobs   100    as it is  100 jobs of at most",
        "Warning: the time limit is 24 h, but partition 'a' allows 2 h.",
    ):
        assert said in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit(queued, width):
    lines = proposal_lines(proposal_of(*queued(rate=1.0)), width)
    tables = [line for line in lines if line[:1].isdigit()]
    assert all(len(line) <= width for line in tables)
    assert width < 80 or all(len(line) <= width for line in lines)


def test_without_a_width_each_thing_is_a_line(queued):
    lines = proposal_lines(proposal_of(*queued()), None)
    assert [line.split()[0] for line in lines[:3]] == ["time", "slowest", "memory"]
    assert lines[0].endswith("core-hours")


def test_short_sweeps_are_told_in_seconds(queued):
    (line, *_) = proposal_lines(proposal_of(*queued(scale=1e-4, max_jobs=1)))
    assert line.endswith("s) on one core")


def test_nothing_left_is_told(queued):
    done = queued(n_left=0, left=np.empty(0, np.int64))
    assert proposal_lines(proposal_of(*done)) == ["All assignments are evaluated."]


def test_functions_are_told_as_such(queued):
    lines = proposal_lines(proposal_of(*queued({"memory": lambda name: "900G"})))
    assert any(line.startswith("memory     a function  ") for line in lines)


def test_cores_of_this_machine_are_what_a_run_has_to_be_given(sweep):
    text = "\n".join(proposal_lines(proposal_of(*sweep(cores=4))))
    assert "as it is set" not in text
    assert text.count("with psy run -j 4") == 1
