"""Files of finished blocks, which two jobs may write if one was suspended."""

from pathlib import Path

import pytest
from plans import PLAN

from psyrun import Param
from psyrun.errors import LostLockError
from psyrun.store import PickleStore
from psyrun.utils.files import checking
from psyrun.workdir import journal
from psyrun.workdir.blocks import write_block
from psyrun.workdir.division import Division
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.rows import RoundData


@pytest.fixture
def round_(tmp_path: Path) -> Round:
    """A round with one block, all of whose rows are in a journal."""
    round_ = Round(tmp_path)
    Division(Param(x=range(3)), 1).save(round_, PLAN)
    round_.journals.mkdir()
    rows = Journal(round_.journal(0, 0), {})
    for index in range(3):
        rows.row(index, 0.0, 0.0, 0, {"x": index})
    rows.close()
    return round_


def write(round_: Round) -> None:
    known = journal.latest(round_.journals_of(0))
    write_block(RoundData(round_, PickleStore()), 0, known, lists_rows=False)


def test_a_late_job_leaves_the_file_that_another_one_writes(round_: Round) -> None:
    calls = []

    def lose_lock() -> None:
        calls.append(1)
        if len(calls) > 1:
            round_.new_block(0, ".pkl", "other").write_text("theirs")
            raise LostLockError("suspended, and another job writes the block")

    with checking(lose_lock), pytest.raises(LostLockError):
        write(round_)
    (left,) = round_.new_blocks(0, ".pkl")
    assert left.read_text() == "theirs"
    assert not round_.block(0, ".pkl").exists()


def test_what_a_killed_job_has_left_is_removed_by_the_next(round_: Round) -> None:
    round_.blocks.mkdir()
    round_.new_block(0, ".pkl", "killed").write_text("half of a fi")
    other = round_.new_block(10, ".pkl", "running")
    other.write_text("")
    write(round_)
    assert round_.new_blocks(0, ".pkl") == [] and other.exists()
    assert PickleStore().load(str(round_.block(0, ".pkl"))) == {"x": [0, 1, 2]}
