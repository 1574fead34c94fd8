"""Jobs on their way through a queue of background processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from local_queue import LocalQueue
from projects import wait_until

from psyrun.errors import (
    LostLockError,
    QueueFullError,
    QueueUnreachableError,
    SchedulerError,
)
from psyrun.queue.diagnosis import START_PATIENCE as PATIENCE
from psyrun.queue.driver import Driver, FinishedJob
from psyrun.queue.job import QueuedJob
from psyrun.queue.ledger import Ledger
from psyrun.queue.recovery import find_earlier_jobs
from psyrun.queue.site import QueuedTask
from psyrun.queue.waiting import WaitingReport
from psyrun.scheduler import Cause, Ending, JobArray, JobStatus, Obstacle
from psyrun.utils.files import read_json
from psyrun.workdir.holder import Holder
from psyrun.workdir.lock import Lock

MakeTask = Callable[..., QueuedTask]
MakeItem = Callable[..., QueuedJob]


def drive(driver: Driver, n_jobs: int, patience: float = 30) -> dict[str, FinishedJob]:
    """Drive until jobs have ended; return how, by name."""
    ended: dict[str, FinishedJob] = {}
    deadline = time.monotonic() + patience
    while len(ended) < n_jobs:
        assert time.monotonic() < deadline, "waited in vain"
        ended |= {one.item.name: one for one in driver.step()}
        time.sleep(0.02)
    return ended


def submit(driver: Driver, items: list[QueuedJob]) -> None:
    for item in items:
        assert not driver.adopt(item)
        driver.add(item)


def until_submitted(driver: Driver, task: QueuedTask) -> None:
    while not any(batch.is_submitted for batch in task.ledger.batches()):
        driver.step()


def hurried() -> float:
    """Return the seconds of a clock that runs fast, so that patience ends soon."""
    return 20 * time.monotonic()


class Counting(LocalQueue):
    """Counts arrays, and how many jobs they have."""

    sizes: list[int]

    def submit_array(self, array: JobArray) -> list:
        self.__dict__.setdefault("sizes", []).append(len(array))
        return super().submit_array(array)


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "queue")


def test_jobs_that_are_alike_go_into_one_array(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(counting), Driver()
    items = [make_item(task, block) for block in (2, 0, 1)]
    submit(driver, items)
    ended = drive(driver, 3)
    assert {one.ending.cause for one in ended.values()} == {Cause.DONE}
    assert counting.sizes == [3]
    (batch,) = task.ledger.batches()
    assert batch.intent.names == ("a:process:0", "a:process:1", "a:process:2")


def test_jobs_with_other_arguments_go_into_another_array(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(counting), Driver()
    items = [make_item(task, block) for block in range(3)]
    items[1].values = {"nice": 1}
    submit(driver, items)
    drive(driver, 3)
    assert sorted(counting.sizes) == [1, 2]


def test_a_job_that_fails_says_how(make_task: MakeTask, make_item: MakeItem) -> None:
    task, driver = make_task(), Driver()
    submit(driver, [make_item(task, 0, "exit 1"), make_item(task, 1)])
    ended = drive(driver, 2)
    assert ended["a:process:0"].ending == Ending(Cause.FAILED, "exit status 1", 1)
    assert ended["a:process:1"].ending.cause is Cause.DONE


def test_a_job_that_is_killed_does_not_hang_the_run(
    queue: LocalQueue, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(), Driver(clock=hurried)
    submit(driver, [make_item(task, 0, "sleep 100")])
    until_submitted(driver, task)
    queue.kill(queue.get_jobs()[0])
    assert drive(driver, 1)["a:process:0"].ending.cause is Cause.VANISHED


class Removing(LocalQueue):
    """Takes all jobs that it does not list for removed ones."""

    def why_not_begun(self, jobids):
        return dict.fromkeys(jobids, Ending(Cause.CANCELLED, "removed"))


def test_only_a_job_that_left_no_trace_was_cancelled_before_it_began(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    queue = Removing(tmp_path / "queue")
    task, driver = make_task(queue), Driver(clock=hurried)
    submit(driver, [make_item(task, block, "sleep 100") for block in range(2)])
    until_submitted(driver, task)
    (batch,) = task.ledger.batches()
    wait_until(lambda: len(batch.started()) == 2)
    for jobid in queue.get_jobs():
        queue.kill(jobid)
    batch.array.output(1).unlink()
    causes = {name: end.ending.cause for name, end in drive(driver, 2).items()}
    assert causes == {
        "a:process:0": Cause.VANISHED,
        "a:process:1": Cause.CANCELLED,
    }


def test_jobs_of_a_driver_that_died_are_adopted(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    first, task = Driver(), make_task(counting)
    submit(first, [make_item(task, block) for block in range(2)])
    until_submitted(first, task)
    second, task = Driver(), make_task(counting)
    assert all(second.adopt(make_item(task, block)) for block in range(2))
    assert {one.ending.cause for one in drive(second, 2).values()} == {Cause.DONE}
    assert counting.sizes == [2]


def test_a_job_that_ended_well_meanwhile_is_adopted(
    queue: LocalQueue, make_task: MakeTask, make_item: MakeItem
) -> None:
    first = Driver()
    submit(first, [make_item(make_task())])
    drive(first, 1)
    second = Driver()
    assert second.adopt(make_item(make_task()))
    assert drive(second, 1)["a:process:0"].ending.cause is Cause.DONE


def test_a_job_that_failed_before_is_submitted_again(
    make_task: MakeTask, make_item: MakeItem
) -> None:
    first = Driver()
    submit(first, [make_item(make_task(), 0, "exit 1")])
    drive(first, 1)
    second, again = Driver(), make_item(make_task())
    submit(second, [again])
    assert drive(second, 1)["a:process:0"].ending.cause is Cause.DONE


class Cut(LocalQueue):
    """Takes the jobs, but the answer is lost."""

    def submit_array(self, array: JobArray) -> list:
        super().submit_array(array)
        raise QueueUnreachableError("the answer was lost.")


def test_jobs_are_found_whose_submission_was_not_answered(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    task, driver = make_task(Cut(tmp_path / "queue")), Driver(said.append)
    submit(driver, [make_item(task, block, "echo x >> ran") for block in range(2)])
    drive(driver, 2)
    assert Path("ran").read_text() == "x\nx\n"
    assert "the answer was lost. Trying again." in said[0]


class Late(Cut):
    """Lists the jobs that it has taken some time after it was asked for them."""

    asked = 0

    def find(self, array: JobArray) -> dict:
        self.asked += 1
        return super().find(array) if self.asked > 1 else {}


def test_jobs_that_a_busy_queue_takes_late_are_not_submitted_again(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(Late(tmp_path / "queue")), Driver()
    submit(driver, [make_item(task, 0, "sleep 1; echo x >> ran")])
    drive(driver, 1)
    assert Path("ran").read_text() == "x\n"


def test_jobs_taken_after_their_driver_died_are_not_submitted_again(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    first, task = Driver(), make_task(Late(tmp_path / "queue"))
    work = "until [ -e go ]; do sleep 0.1; done; echo x >> ran"
    submit(first, [make_item(task, 0, work)])
    wait_until(lambda: first.step() or list(task.layout.queue.glob("*/0.id")))
    second = Driver()
    assert second.adopt(make_item(make_task(Late(tmp_path / "queue"))))
    Path("go").touch()
    drive(second, 1)
    assert Path("ran").read_text() == "x\n"


def test_jobs_are_found_whose_driver_died_before_it_knew_their_ids(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(counting), Driver()
    submit(driver, [make_item(task)])
    until_submitted(driver, task)
    (batch,) = task.ledger.batches()
    (batch.folder / "ids.json").unlink()
    second = Driver()
    assert second.adopt(make_item(make_task(counting)))
    drive(second, 1)
    assert counting.sizes == [1]


def test_an_array_that_was_never_submitted_is_forgotten(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(counting), Driver()
    submit(driver, [make_item(task)])
    until_submitted(driver, task)
    (batch,) = task.ledger.batches()
    counting.kill(batch.ids[0])
    for name in ("ids.json", "0.id", "0.out"):
        (batch.folder / name).unlink()
    submit(Driver(), [make_item(make_task(counting))])
    assert task.ledger.batches() == []


class Narrow(LocalQueue):
    """Has room for a few jobs only."""

    room = 2

    def submit_array(self, array: JobArray) -> list:
        if len(self.get_jobs()) + len(array) > self.room:
            raise QueueFullError("there is no more room.")
        return super().submit_array(array)


def test_jobs_wait_for_room(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    task, driver = make_task(Narrow(tmp_path / "queue")), Driver(said.append)
    wait = f"until [ -e '{tmp_path / 'go-on'}' ]; do sleep 0.05; done"
    items = [make_item(task, block) for block in range(7)]
    for item in items:
        item.command = f"{wait}; touch '{item.outputs[0]}'"
    submit(driver, items)
    wait_until(lambda: driver.step() == [] and said)
    (tmp_path / "go-on").touch()
    ended = drive(driver, 7)
    assert {one.ending.cause for one in ended.values()} == {Cause.DONE}
    assert len(said) < 7
    assert "as jobs end" in said[0]


def test_an_array_is_no_larger_than_the_queue_allows(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    counting.max_array_size = lambda: 3
    task, driver = make_task(counting), Driver()
    submit(driver, [make_item(task, block) for block in range(7)])
    drive(driver, 7)
    assert counting.sizes == [3, 3, 1]


class Refusing(LocalQueue):
    def submit_array(self, array: JobArray) -> list:
        raise SchedulerError("no such account.")


def test_a_refused_job_ends_and_says_why(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(Refusing(tmp_path / "queue")), Driver()
    submit(driver, [make_item(task)])
    ending = drive(driver, 1)["a:process:0"].ending
    assert ending.text == "could not be submitted: no such account."
    assert task.ledger.batches() == []


class Forgetful(LocalQueue):
    """Does not answer at first."""

    silent = 3

    def get_statuses(self, jobids: list) -> dict:
        if self.silent:
            self.silent -= 1
            raise QueueUnreachableError("no answer.")
        return super().get_statuses(jobids)


def test_a_queue_that_does_not_answer_ends_no_job(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    task, driver = make_task(Forgetful(tmp_path / "queue")), Driver(said.append)
    submit(driver, [make_item(task)])
    assert drive(driver, 1)["a:process:0"].ending.cause is Cause.DONE
    assert said


class Stingy(LocalQueue):
    """Kills jobs that were not given enough, and says that it was memory."""

    def get_endings(self, jobids: list) -> dict:
        return {i: Ending(Cause.MEMORY, "exceeded its memory limit") for i in jobids}

    def raised(self, values: dict, cause: Cause, factor: float) -> dict:
        return {**values, "nice": int((values.get("nice", 0) + 1) * factor)}


def test_a_job_that_needs_more_memory_gets_more_with_each_retry(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    scheduler = Stingy(tmp_path / "queue")
    task, driver = make_task(scheduler, retries=2), Driver(said.append, hurried)
    submit(driver, [make_item(task, 0, "kill -KILL $$")])
    ended = drive(driver, 1)
    assert ended["a:process:0"].ending.cause is Cause.MEMORY
    given = [batch.intent.scheduler_args for batch in task.ledger.batches()]
    assert given == [{}, {"nice": 2}, {"nice": 6}]
    told = "a:process:0: exceeded its memory limit; it is tried again with nice="
    assert said == [f"{told}2.", f"{told}6."]


def test_a_job_that_failed_by_itself_is_not_tried_again(
    make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(retries=2), Driver()
    submit(driver, [make_item(task, 0, "exit 1")])
    assert drive(driver, 1)["a:process:0"].ending.exit_status == 1
    assert len(task.ledger.batches()) == 1


def test_the_lock_of_a_job_that_was_killed_is_removed(
    queue: LocalQueue, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(), Driver(clock=hurried)
    item = make_item(task, 0, "sleep 100")
    submit(driver, [item])
    until_submitted(driver, task)
    assert item.batch is not None
    lock = Lock(item.round.lock("process-0"), "a job")
    os.environ["PSYRUN_JOB"] = item.batch.job(0)
    try:
        lock.acquire()
    finally:
        del os.environ["PSYRUN_JOB"]
    assert Holder.me().job == ""
    queue.kill(queue.get_jobs()[0])
    # It writes on, on a machine that its queue has lost: that is not the end.
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert driver.step() == []
    assert lock.path.exists()
    text = lock.path.read_text()
    lock.path.write_text(text.replace(Holder.me().started, "earlier"))
    drive(driver, 1)
    assert not lock.path.exists()


def test_a_job_that_is_listed_again_has_its_patience_anew(
    queue: LocalQueue, make_task: MakeTask, make_item: MakeItem, monkeypatch
) -> None:
    task, driver = make_task(), Driver()
    item = make_item(task, 0, "sleep 100")
    submit(driver, [item])
    until_submitted(driver, task)
    monkeypatch.setattr(LocalQueue, "get_status", lambda self, jobid: None)
    while item.gone_since is None:
        assert driver.step() == []
    monkeypatch.undo()
    while item.gone_since is not None:
        assert driver.step() == []


def test_an_adopted_job_keeps_what_it_was_given(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    first, item = Driver(), make_item(make_task(counting), 0, "sleep 5")
    item.values, item.attempt = {"nice": 3}, 1
    submit(first, [item])
    until_submitted(first, item.task)
    again = make_item(make_task(counting))
    assert Driver().adopt(again)
    assert (again.values, again.attempt) == ({"nice": 3}, 1)


class Renumbered(LocalQueue):
    """Has given the number of a job to another one."""

    def foreign(self, jobs):
        return set(jobs)


def test_a_job_of_another_that_has_its_number_is_left_alone(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    queue = Renumbered(tmp_path / "queue")
    first, task = Driver(), make_task(queue)
    submit(first, [make_item(task, 0, "sleep 5")])
    until_submitted(first, task)
    (found,) = find_earlier_jobs(task.layout, queue, lambda text: None, records=True)
    assert found.cancel(lambda batch: True, lambda text: None) == []
    assert queue.get_jobs()
    assert not Driver().adopt(make_item(task))


class WithoutCommands(LocalQueue):
    """Its commands are not found for a while."""

    missing = True

    def get_status(self, jobid):
        if self.missing:
            raise SchedulerError("sqjobs cannot be run.")
        return super().get_status(jobid)


def test_a_command_that_is_missing_for_a_while_ends_no_run(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    told: list[str] = []
    queue = WithoutCommands(tmp_path / "queue")
    driver = Driver(told.append)
    submit(driver, [make_item(make_task(queue))])
    while not told:
        assert driver.step() == []
    queue.missing = False
    assert drive(driver, 1)["a:process:0"].ending.cause is Cause.DONE


def test_a_command_that_stays_away_is_an_error(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    driver = Driver(clock=lambda: 100 * time.monotonic())
    submit(driver, [make_item(make_task(WithoutCommands(tmp_path / "queue")))])
    with pytest.raises(SchedulerError, match="cannot be run"):
        drive(driver, 1)


def test_killing_ends_all_jobs(
    queue: LocalQueue, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(), Driver()
    submit(driver, [make_item(task, block, "sleep 100") for block in range(3)])
    until_submitted(driver, task)
    driver.kill()
    deadline = time.monotonic() + 10
    while queue.get_jobs():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_records_of_a_round_are_forgotten_with_it(
    make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(), Driver()
    submit(driver, [make_item(task)])
    drive(driver, 1)
    Ledger(task.layout).remove_round(0)
    assert len(task.ledger.batches()) == 1
    Ledger(task.layout).remove_round(1)
    assert task.ledger.batches() == []


OUT_OF_TIME = """\
echo '{{"type": "OutOfTimeError", "message": "", "exit_status": 1}}' > '{note}'
exit 1
"""


def test_a_job_whose_time_does_not_suffice_gets_more(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    scheduler = Stingy(tmp_path / "queue")
    task, driver = make_task(scheduler, retries=1), Driver()
    note = task.layout.round(1).error("process-0")
    note.parent.mkdir(parents=True)
    command = "; ".join(OUT_OF_TIME.format(note=note).splitlines())
    submit(driver, [make_item(task, 0, command)])
    assert drive(driver, 1)["a:process:0"].ending.exit_status == 1
    given = [batch.intent.scheduler_args for batch in task.ledger.batches()]
    assert given == [{}, {"nice": 2}]


class Stuck(LocalQueue):
    """Its jobs never start."""

    reason = "nothing is free"

    def get_status(self, jobid) -> JobStatus:
        return JobStatus(jobid, "Q", "")

    def why_queued(self, jobids) -> dict:
        return dict.fromkeys(jobids, self.reason)


def test_it_is_told_once_why_no_job_starts(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    told: list[str] = []
    stuck = Stuck(tmp_path / "queue")
    task, driver = make_task(stuck), Driver(told.append, clock=hurried)
    submit(driver, [make_item(task, block) for block in range(2)])
    first = time.monotonic()
    while not told:
        driver.step()
    assert hurried() - 20 * first >= PATIENCE
    until = time.monotonic() + 2 * PATIENCE / 20
    while time.monotonic() < until:
        driver.step()
    assert told == ["a:process: 2 jobs in the queue (nothing is free)"]
    stuck.reason = "the machines are down"
    while len(told) == 1:
        driver.step()
    assert told[1:] == ["a:process: 2 jobs in the queue (the machines are down)"]


def test_what_the_queue_says_of_jobs_that_wait_is_kept_as_long_as_they_do(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    stuck = Stuck(tmp_path / "queue")
    task, driver = make_task(stuck), Driver(clock=hurried)
    submit(driver, [make_item(task, block) for block in range(2)])
    while (known := WaitingReport.load(task.layout)) is None:
        driver.step()
    assert known.reasons == {"nothing is free": 2}
    stuck.get_status = super(Stuck, stuck).get_status
    drive(driver, 2)
    assert not task.layout.waiting.exists()


def test_nothing_is_submitted_for_a_task_that_another_run_took_over(
    counting: Counting, make_task: MakeTask, make_item: MakeItem
) -> None:
    task, driver = make_task(counting), Driver()
    with Lock(task.layout.lock, "task 'a'"):
        submit(driver, [make_item(task)])
        text = task.layout.lock.read_text()
        task.layout.lock.write_text(text.replace(Holder.me().host, "login2"))
        with pytest.raises(LostLockError, match=r"on login2 since .* no more jobs"):
            drive(driver, 1)
    assert not counting.get_jobs()
    assert not task.ledger.batches()


class Hopeless(LocalQueue):
    """A queue in which the first job waits for ever, and others for an admin."""

    def get_statuses(self, jobids):
        waiting = [jobid for jobid in jobids if jobid in self.get_jobs()]
        return {jobid: JobStatus(jobid, "Q", "") for jobid in waiting}

    def get_obstacles(self, jobids):
        text = {True: "too long", False: "all machines are down"}
        return {jobid: Obstacle(text[jobid == 1], jobid == 1) for jobid in jobids}


def test_a_job_that_can_never_start_is_cancelled_at_the_first_look(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    told: list[str] = []
    queue = Hopeless(tmp_path / "queue")
    task, driver = make_task(queue, retries=1), Driver(told.append)
    submit(driver, [make_item(task, block, "sleep 100") for block in range(2)])
    (ended,) = drive(driver, 1).values()
    assert ended.ending == Ending(Cause.CANCELLED, "can never start (too long)", 2)
    assert queue.get_jobs() == [2]
    ended.item.record_failure(ended.ending)
    note = read_json(ended.item.round.error("process-0"))
    assert note is not None
    assert note["exit_status"] == 2
    assert "the job can never start (too long), and was cancelled" in note["message"]
    assert told == ["a:process: 1 job in the queue (all machines are down)"]
    driver.kill()
