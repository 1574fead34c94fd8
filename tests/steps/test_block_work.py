"""What is left of a block, after what earlier jobs of it did."""

from dataclasses import replace
from pathlib import Path

from plans import PLAN

from psyrun import Param
from psyrun.steps.block_work import BlockWork
from psyrun.steps.work_queue import ClaimWorkQueue
from psyrun.workdir.attempts import Attempts
from psyrun.workdir.division import Division
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.layout import Round

N = 20
FETCHING = replace(PLAN, fetches=True)


def test_a_share_is_not_lost_with_a_job_that_has_recorded_nothing(
    tmp_path: Path,
) -> None:
    round_ = Round(tmp_path)
    division = Division(Param(x=range(N)), 2)
    division.save(round_, FETCHING)
    round_.journals.mkdir()
    # It was killed between its claim and its first assignment.
    InFlightTable(round_.in_flight(0, "killed"), 1).close()
    share = next(ClaimWorkQueue(round_.claims, N, 2, "0").take())
    past = Attempts.find(round_, 0, "")
    assert past == Attempts()
    assert list(BlockWork.of(round_, division, FETCHING, 0, past).own) == list(share)
    other = Attempts.find(round_, 1, "")
    assert list(BlockWork.of(round_, division, FETCHING, 1, other).own) == []
