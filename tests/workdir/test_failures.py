"""What is known of failed assignments, from journals and beside finished blocks."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun import Param
from psyrun.errors import DamagedFileError
from psyrun.store import PickleStore
from psyrun.utils.files import read_json, write_json
from psyrun.workdir import journal
from psyrun.workdir.blocks import write_block
from psyrun.workdir.division import Division
from psyrun.workdir.failures import Failure, accepted_failures, failures_of
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData

PLAN = Plan(
    *("a", "task_a.py", "psy-work", "code", 1, True, None, "result.pkl", "python3"),
    *(1, "", False, 1, ".pkl", ".pkl"),
)
NO = {"type": "ValueError", "message": "no", "where": "", "traceback": ""}
NO |= {"parameters": {"x": "1"}}


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    """A round with one block, in which two jobs have seen assignments fail."""
    round_ = Round(tmp_path)
    Division(Param(x=range(5)), 1).save(round_, PLAN)
    round_.journals.mkdir()
    first = Journal(round_.journal(0, 0), {"host": "n1"})
    first.failure(1, 10.0, 2.5, 2048, NO)
    first.row(0, 13.0, 0.5, 1024, {"x": 0})
    first.failure(2, 14.0, 0.0, 0, NO)
    first.close()
    second = Journal(round_.journal(0, 0), {"host": "n2"})
    second.failure(3, 20.0, 4.0, 0, NO)
    second.failure(4, 25.0, 1.0, 0, NO)
    second.row(4, 30.0, 1.0, 0, {"x": 4})
    second.close()
    return round_


def accept(round_: Round) -> None:
    """Finish the block, as a job that accepts failures, and remove its journals."""
    known = journal.latest(round_.journals_of(0))
    write_block(RoundData(round_, PickleStore()), 0, known, lists_rows=False)
    for path in round_.journals_of(0):
        path.unlink()


def measured(failures: list[Failure]) -> list[tuple[object, ...]]:
    return [(f.index, f.start, f.duration, f.peak, f.host) for f in failures]


KNOWN = [
    (1, 10.0, 2.5, 2048, "n1"),
    (2, None, None, None, "n1"),
    (3, 20.0, 4.0, None, "n2"),
]
"""Nobody knows how long the second one took, so that its start may be its end."""


def test_journals_tell_when_and_where_assignments_failed(round_: Round) -> None:
    assert measured(failures_of(round_)) == KNOWN


def test_it_is_known_of_accepted_failures_when_the_journals_are_gone(
    round_: Round,
) -> None:
    accept(round_)
    found = failures_of(round_)
    assert measured(found) == KNOWN
    assert all(failure.is_accepted for failure in found)


def test_a_withdrawn_row_has_the_times_of_the_row(round_: Round) -> None:
    known = journal.latest(round_.journals_of(0))
    reader = Journal(round_.journal_of_reader(0, "late"), {"host": "n3"})
    reader.withdraw(known[4], NO)
    reader.close()
    accept(round_)
    assert measured(failures_of(round_))[3:] == [(4, 30.0, 1.0, None, "n3")]


def test_lists_of_former_versions_have_neither_start_nor_host(round_: Round) -> None:
    accept(round_)
    path = round_.failed(0)
    former = {
        index: {key: failure[key] for key in (*NO, "duration", "peak")}
        for index, failure in read_json(path).items()
    }
    write_json(path, former)
    assert measured(failures_of(round_)) == [
        (1, None, 2.5, 2048, ""),
        (2, None, None, None, ""),
        (3, None, 4.0, None, ""),
    ]


@pytest.mark.parametrize(("name", "value"), [("start", "10"), ("host", 1)])
def test_a_list_with_other_values_is_damaged(
    round_: Round, name: str, value: object
) -> None:
    accept(round_)
    path = round_.failed(0)
    listed = read_json(path)
    listed["1"][name] = value
    write_json(path, listed)
    with pytest.raises(DamagedFileError, match="has other entries than expected"):
        accepted_failures(round_, 0)
