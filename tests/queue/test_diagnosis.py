"""Why jobs ended: the same answer whoever asks, and whenever."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from local_queue import LocalQueue
from projects import wait_until

from psyrun.queue.diagnosis import VANISHED, Evidence, why_ended
from psyrun.queue.driver import Driver, FinishedJob
from psyrun.queue.job import QueuedJob
from psyrun.queue.ledger import Batch, Intent, Ledger
from psyrun.queue.recovery import class_path, find_earlier_jobs
from psyrun.queue.script import JobTrace
from psyrun.queue.site import QueuedTask
from psyrun.run.controller_job import ending as ending_of_controller
from psyrun.scheduler import Cause, Ending
from psyrun.scheduler.registry import frozen
from psyrun.utils.text import describe_exit
from psyrun.workdir.layout import TaskLayout

MakeTask = Callable[..., QueuedTask]
MakeItem = Callable[..., QueuedJob]

DONE = Ending(Cause.DONE, "done", 0)
FAILED = Ending(Cause.FAILED, "accounting: exit status 9", 9)
MEMORY = Ending(Cause.MEMORY, "accounting: out of memory")
TIME = Ending(Cause.TIME, "accounting: time limit reached")
NODE = Ending(Cause.NODE, "accounting: its node failed")
CANCELLED = Ending(Cause.CANCELLED, "accounting: cancelled")
REMOVED = Ending(Cause.CANCELLED, "cancelled before it began")
WRITTEN = {
    "the queue says: no memory": Ending(Cause.MEMORY, "output: out of memory"),
    "the queue says: no time": Ending(Cause.TIME, "output: time limit reached"),
}


class Accounting(LocalQueue):
    """A queue that knows why jobs ended, and writes it into their output, too."""

    def __init__(self, workdir: Path, accounting: Ending | None = None) -> None:
        super().__init__(workdir)
        self.accounting = accounting

    def get_endings(self, jobids: list) -> dict:
        return {} if self.accounting is None else dict.fromkeys(jobids, self.accounting)

    def explain(self, output: str) -> Ending | None:
        found = (ending for text, ending in WRITTEN.items() if text in output)
        return next(found, None)

    def why_not_begun(self, jobids: list) -> dict:
        return dict.fromkeys(jobids, REMOVED)


class Case(NamedTuple):
    """What a job leaves and what is known of it, and why it ended then."""

    command: str
    accounting: Ending | None
    expected: Ending
    is_killed: bool = False


def exited(status: int) -> Ending:
    return Ending(Cause.FAILED, f"exit status {status}", status)


SIGNAL = Ending(Cause.FAILED, describe_exit(-9), 137)
NO_MEMORY, NO_TIME = (f"echo '{text}'" for text in WRITTEN)
OUT_OF_MEMORY, OUT_OF_TIME = WRITTEN.values()
HANGS = "sleep 100"
CASES = {
    "done": Case("touch {output}", None, DONE),
    "done, whatever is said": Case(f"{NO_MEMORY}; touch {{output}}", CANCELLED, DONE),
    "files, then killed": Case(
        f"touch {{output}}; {HANGS}", CANCELLED, DONE, is_killed=True
    ),
    "cancelled for its memory": Case(
        f"{NO_MEMORY}; {HANGS}", CANCELLED, OUT_OF_MEMORY, is_killed=True
    ),
    "a worker out of memory": Case(
        f"{NO_MEMORY}; exit 1", FAILED, OUT_OF_MEMORY._replace(exit_status=1)
    ),
    "a worker, by accounting": Case("exit 1", MEMORY, MEMORY._replace(exit_status=1)),
    "memory, by accounting": Case(HANGS, MEMORY, MEMORY, is_killed=True),
    "a step that said why": Case("exit 2", CANCELLED, exited(2)),
    "a step, late message": Case(f"{NO_TIME}; exit 1", None, exited(1)),
    "signal, then accounting": Case("kill -KILL $$", TIME, TIME),
    "signal, then output": Case(f"{NO_TIME}; kill -KILL $$", FAILED, OUT_OF_TIME),
    "node before output": Case(f"{NO_TIME}; {HANGS}", NODE, NODE, is_killed=True),
    "signal only": Case("kill -KILL $$", FAILED, SIGNAL),
    "unknown status": Case("exit 127", None, exited(127)),
    "failed, by accounting": Case(HANGS, FAILED, FAILED, is_killed=True),
    "vanished": Case(HANGS, None, VANISHED, is_killed=True),
    "done, but no files": Case(HANGS, DONE, VANISHED, is_killed=True),
}


def start(item: QueuedJob) -> tuple[Driver, Batch, list[FinishedJob]]:
    """Have a driver submit a job; some end in the same step."""
    driver, ended = Driver(clock=lambda: 20 * time.monotonic()), list[FinishedJob]()
    assert not driver.adopt(item)
    driver.add(item)
    while not any(batch.ids for batch in item.task.ledger.batches()):
        ended += driver.step()
    (batch,) = item.task.ledger.batches()
    return driver, batch, ended


def end(queue: LocalQueue, batch: Batch, case: Case) -> None:
    """Wait until a job has ended, or kill it after it has begun."""
    if case.is_killed:
        wait_until(lambda: batch.trace(0).host != "")
        n_files = case.command.count("{output}")
        wait_until(lambda: sum(map(batch.has_results, range(1))) >= n_files)
        lines = case.command.count("echo")
        wait_until(lambda: len(batch.trace(0).text.splitlines()) >= lines)
        for jobid in queue.get_jobs():
            queue.kill(jobid)
    wait_until(lambda: not queue.get_jobs())


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def accounting(tmp_path: Path, case: Case) -> Accounting:
    return Accounting(tmp_path / "queue", case.accounting)


def test_a_job_that_is_watched(
    accounting: Accounting, case: Case, make_task: MakeTask, make_item: MakeItem
) -> None:
    item = make_item(make_task(accounting))
    item.command = case.command.format(output=item.outputs[0])
    driver, batch, ended = start(item)
    end(accounting, batch, case)
    deadline = time.monotonic() + 30
    while not (ended := ended or driver.step()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    assert ended[0].ending == case.expected
    assert batch.ending(0) == case.expected


def test_a_job_that_the_next_run_finds(
    accounting: Accounting, case: Case, make_task: MakeTask, make_item: MakeItem
) -> None:
    task = make_task(accounting)
    item = make_item(task)
    item.command = case.command.format(output=item.outputs[0])
    driver, batch, _ = start(item)
    del driver
    end(accounting, batch, case)
    if batch.state(0).is_explained and case.expected.cause is not Cause.DONE:
        # The driver was so fast that it saw the end in the step that submitted.
        (batch.folder / "0.end.json").unlink()
    (found,) = find_earlier_jobs(
        task.layout, accounting, lambda text: None, records=True
    )
    assert found.alive == frozenset()
    assert batch.ending(0) == case.expected


def test_a_controller(accounting: Accounting, case: Case, in_project: Path) -> None:
    """Controllers make no files: their words and those of the queue count."""
    if "{output}" in case.command:
        pytest.skip("makes files")
    layout = TaskLayout.of("psy-work", "a")
    intent = Intent(
        name="a:controller",
        names=("a:controller",),
        targets=("",),
        commands=(case.command,),
        round=1,
        scheduler=class_path(accounting),
        scheduler_args={},
        frozen_scheduler=frozen(accounting),
    )
    batch = Ledger(layout, layout.controllers).begin(intent)
    batch.note_ids(dict(enumerate(accounting.submit_array(batch.array))))
    end(accounting, batch, case)
    found = ending_of_controller(layout, batch.job(0), lambda text: None)
    assert found == case.expected


@pytest.mark.parametrize("accounting", [None, NODE, DONE])
def test_a_job_that_renews_its_lock_has_not_ended(
    tmp_path: Path, accounting: Ending | None
) -> None:
    queue = Accounting(tmp_path, accounting)
    job = Evidence("1", JobTrace("n1"), is_at_work=True)
    assert why_ended([job], queue) == [None]


@pytest.mark.parametrize("accounting", [FAILED, TIME, CANCELLED, MEMORY])
def test_a_queue_that_ended_a_job_is_believed(
    tmp_path: Path, accounting: Ending
) -> None:
    queue = Accounting(tmp_path, accounting)
    job = Evidence("1", JobTrace("n1"), is_at_work=True)
    assert why_ended([job], queue) == [accounting]


def test_only_a_job_without_output_may_never_have_begun(tmp_path: Path) -> None:
    queue = Accounting(tmp_path)
    jobs = [Evidence("1", JobTrace()), Evidence("2", JobTrace("n1"))]
    assert why_ended(jobs, queue) == [REMOVED, VANISHED]


def test_it_may_be_too_early_to_tell(tmp_path: Path) -> None:
    job = Evidence("1", JobTrace(), is_settled=False)
    assert why_ended([job], Accounting(tmp_path)) == [None]
