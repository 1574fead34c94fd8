"""What is left of a round, from the files of its jobs."""

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import plans
import pytest

from psyrun import Param
from psyrun.estimate import Range
from psyrun.planning.open_work import Outlook, Pace
from psyrun.store import PickleStore
from psyrun.workdir.division import Division
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import Lock
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData

PLAN = replace(plans.PLAN, pool_size=2, n_blocks=3)
SECONDS = 10.0


class Work:
    """A round of 30 assignments in three blocks, and the jobs that evaluate it."""

    def __init__(self, folder: Path, plan: Plan = PLAN) -> None:
        self.layout, self.plan = TaskLayout.of(folder, "a"), plan
        self.round = self.layout.round(1)
        Division(Param(x=range(30)), plan.n_blocks).save(self.round, plan)
        self.round.journals.mkdir(parents=True)
        self.stack = ExitStack()

    def start(self, block: int, ended: range, begun: list[int]) -> None:
        """Have a job with two workers that has evaluated some assignments."""
        step = f"process-{block}"
        lock = self.stack.enter_context(Lock(self.round.lock(step), step))
        table = InFlightTable(self.round.in_flight(block, lock.session), 2)
        self.stack.callback(table.close)
        for worker, index in enumerate(begun):
            table.set(worker, index, 0, 1)
        path = self.round.journal(block, 0, lock.session)
        journal = Journal(path, {"host": "n", "fingerprint": "code"})
        for index in ended:
            row = {"x": index, "y": 1}
            journal.row(index, time.time() - SECONDS, SECONDS, 1024, row)
        journal.close()

    def look(self) -> Outlook:
        data = RoundData(self.round, PickleStore())
        return Outlook.of(data, self.layout, self.plan)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def test_blocks_have_what_waits_and_what_is_begun(work: Work) -> None:
    work.start(0, range(4), [4, 5])
    with work.stack:
        found = work.look()
    first, second, third = found.blocks
    assert first.waiting.tolist() == [6, 7, 8, 9]
    assert first.begun.tolist() == [4, 5]
    assert second.waiting.tolist() == list(range(10, 20))
    assert [b.is_running for b in (first, second, third)] == [True, False, False]
    assert [b.n_workers for b in (first, second, third)] == [2, 2, 2]
    assert (found.n_running, len(found.evaluated)) == (1, 4)
    assert [found.n_places(n) for n in (0, 1, 2, 9)] == [2, 2, 4, 6]


def test_the_end_follows_from_what_is_left(work: Work) -> None:
    """Each block takes 50 s; the first is nearly half done, and there is one place."""
    work.start(0, range(4), [4, 5])
    with work.stack:
        found = work.look()
    end, parallel = found.end(), found.end(Pace(n_at_once=3))
    assert end is not None
    assert parallel is not None
    assert end.end - found.made == pytest.approx(30 + 50 + 50, rel=0.2)
    assert parallel.end - found.made == pytest.approx(50, rel=0.2)
    slow = found.end(Pace(efficiency=Range(0.5, 0.25, 1.0)))
    assert slow is not None
    assert slow.end - found.made == pytest.approx(2 * (end.end - found.made))
    assert slow.earliest == pytest.approx(end.earliest)
    assert slow.latest is not None
    assert end.latest is not None
    latest = 4 * (end.latest - found.made)
    assert slow.latest - found.made == pytest.approx(latest)


def test_what_ended_while_it_was_looked_at_is_not_begun(work: Work) -> None:
    work.start(0, range(4), [3, 4])
    with work.stack:
        (first, *_) = work.look().blocks
    assert first.begun.tolist() == [4]
    assert len(first.elapsed) == 1


def test_jobs_that_fetch_share_all_that_is_left(tmp_path: Path) -> None:
    work = Work(tmp_path, replace(PLAN, fetches=True))
    work.start(0, range(4), [4, 5])
    work.start(2, range(10, 14), [14, 15])
    with work.stack:
        (block,) = work.look().blocks
    assert block.begun.tolist() == [4, 5, 14, 15]
    assert len(block.waiting) == 30 - 12
    assert (block.n_workers, block.is_running) == (4, True)


def test_without_running_jobs_no_end_is_known(work: Work) -> None:
    work.start(0, range(4), [])
    work.stack.close()
    found = work.look()
    assert found.n_running == 0
    assert found.end() is None
    end = replace(found, starts=(found.made + 600,)).end()
    assert end is not None
    assert end.end - found.made == pytest.approx(600 + 30 + 50 + 50, rel=0.2)


def test_too_few_known_times_tell_no_end(work: Work) -> None:
    work.start(0, range(2), [2])
    with work.stack:
        assert work.look().end() is None


def test_where_nothing_is_left_there_is_no_end(tmp_path: Path) -> None:
    work = Work(tmp_path, replace(PLAN, n_blocks=1))
    work.start(0, range(30), [])
    with work.stack:
        found = work.look()
    assert list(found.blocks) == []
    assert found.end() is None


def test_of_a_part_assignments_are_those_of_the_whole_space(tmp_path: Path) -> None:
    layout = TaskLayout.of(tmp_path, "a")
    whole, part = Param(x=range(30)), range(10, 30)
    Division(Param(x=range(10, 30)), 1, whole=whole, part=part).save(
        layout.round(1), PLAN
    )
    data = RoundData(layout.round(1), PickleStore())
    (block,) = Outlook.of(data, layout, replace(PLAN, n_blocks=1)).blocks
    assert block.waiting.tolist() == list(part)
