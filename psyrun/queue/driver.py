"""Brings jobs through a queue: submits, watches and tells of their ends.

Whoever drives a queue is told nothing by it, and may be killed at any moment.
So what is known stands in the ledger, a job that another run submitted is
adopted, and what the queue does not answer is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from psyrun.errors import (
    BrokenSchedulerError,
    LostLockError,
    QueueError,
    QueueFullError,
    QueueUnreachableError,
    SchedulerError,
)
from psyrun.queue.asking import Backoff, PollInterval, Reminder
from psyrun.queue.backlog import Backlog, QueueCapacity
from psyrun.queue.diagnosis import Evidence, Obstacles, PendingReasons, why_ended
from psyrun.queue.job import QueuedJob, by_scheduler
from psyrun.queue.ledger import Batch, Intent, newest
from psyrun.queue.recovery import (
    class_path,
    find_earlier_jobs,
    find_submitted,
    release_locks,
)
from psyrun.queue.retries import Retries
from psyrun.queue.site import QueuedTask, time_limit
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause, Ending, JobId, JobStatus
from psyrun.scheduler.registry import frozen
from psyrun.workdir.holder import Holder, recorded_holder

_GATHERING = 0.1  # seconds to wait for more jobs that fit into the same array
_FULL = "the queue is full"
_PATIENCE = 300.0  # seconds that a command of the queue may be missing
_FILES_PATIENCE = 5.0  # seconds until a network file system shows a job's last words
_ACCOUNTING_PATIENCE = 20.0  # seconds until accounting knows of a job's end


class FinishedJob(NamedTuple):
    """A job that has ended, and why."""

    item: QueuedJob
    ending: Ending


class _AdoptableJobs(NamedTuple):
    """The jobs of a task that an earlier run submitted, by what they are for."""

    jobs: dict[str, tuple[Batch, int]]
    alive: set[tuple[str, int]]

    @classmethod
    def recorded(cls, task: QueuedTask) -> _AdoptableJobs:
        """Return what a complete ledger says: what has no ending is alive."""
        name = class_path(task.scheduler)
        batches = [b for b in task.ledger.batches() if b.intent.scheduler == name]
        return cls(newest(batches), {(b.key, p) for b in batches for p in b.open()})

    @classmethod
    def of(cls, task: QueuedTask, warn: Callable[[str], None]) -> _AdoptableJobs:
        found = find_earlier_jobs(task.layout, task.scheduler, warn, records=True)
        release_locks(task.layout, found)
        own = [one for one in found if one.scheduler is task.scheduler]
        batches = [batch for one in own for batch in one.batches]
        alive = {job for one in own for job in one.alive}
        return cls(newest(batches), alive)


class Driver:
    """Brings jobs through queues.

    Parameters
    ----------
    is_ledger_complete : bool
        Whether the holder of the tasks' locks has already asked the queues what
        they have of earlier runs.
    """

    def __init__(
        self,
        warn: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = time.monotonic,
        *,
        is_ledger_complete: bool = False,
    ) -> None:
        self._warn = warn
        self._is_ledger_complete = is_ledger_complete
        self._clock = clock
        self._waiting = Backlog()
        self._cut_off: list[tuple[Batch, list[QueuedJob]]] = []
        self._submitted: list[QueuedJob] = []
        self._pace = PollInterval(clock)
        self._backoff = Backoff(clock)
        self._unanswered_since: float | None = None
        self._reminder = Reminder(clock)
        self._last_added = 0.0
        self._capacity = QueueCapacity(clock)
        self._adoptable: dict[QueuedTask, _AdoptableJobs] = {}
        self._holders: dict[QueuedTask, Holder | None] = {}
        self._reasons = PendingReasons(warn, clock)
        self._obstacles = Obstacles(warn, clock)
        self._retries = Retries(clock)

    def adopt(self, item: QueuedJob) -> bool:
        """Take a job over that an earlier run submitted.

        Returns whether there was one that has not ended, as far as is known, or that
        ended well.
        """
        if item.task not in self._adoptable:
            self._holders[item.task] = recorded_holder(item.task.layout.lock)
            if self._is_ledger_complete:
                self._adoptable[item.task] = _AdoptableJobs.recorded(item.task)
            else:
                self._adoptable[item.task] = _AdoptableJobs.of(item.task, self._warn)
        earlier = self._adoptable[item.task]
        batch, position = earlier.jobs.get(item.target, (None, -1))
        if batch is None:
            return False
        ending = batch.ending(position)
        is_alive = ending is None and (batch.key, position) in earlier.alive
        if is_alive or item.is_done:
            item.batch, item.position = batch, position
            item.is_adopted, item.attempt = True, batch.intent.attempt
            item.origin = batch.origin(position)
            if item.attempt:
                # It was given more than it asks for.
                item.values = dict(batch.intent.scheduler_args)
            self._submitted.append(item)
            return True
        return False

    def add(self, item: QueuedJob) -> None:
        """Have a job submitted with the next step."""
        self._waiting.add(item)
        self._last_added = self._clock()

    @property
    def is_gathering(self) -> bool:
        """Whether jobs wait a moment for others that fit into the same array."""
        return bool(self._waiting) and self._gathers_until > self._clock()

    @property
    def _gathers_until(self) -> float:
        return self._last_added + _GATHERING

    def step(self) -> list[FinishedJob]:
        """Do what is due; return the jobs that have ended since, for good."""
        ended: list[FinishedJob] = []
        is_gathered = self._clock() >= self._gathers_until
        if is_gathered and self._backoff.is_over and self._has_to_submit:
            ended += self._submit()
        if self._submitted and self._pace.is_due:
            ended += self._look()
        return [one for one in ended if not self._is_retried(one)]

    def kill(self) -> None:
        """Cancel all jobs that were submitted, and submit no more."""
        self._waiting.clear()
        for batch, items in self._cut_off:
            scheduler = items[0].task.scheduler
            # What cannot be found out now, the next run will.
            with suppress(SchedulerError):
                scheduler.kill_all(list(scheduler.find(batch.array).values()))
        for scheduler, items in by_scheduler(self._submitted):
            scheduler.kill_all([item.id for item in items if item.id is not None])

    @property
    def _has_to_submit(self) -> bool:
        return bool(self._cut_off or (self._waiting and self._capacity.has_room))

    def _submit(self) -> list[FinishedJob]:
        """Submit what is waiting, as far as the queue takes it."""
        ended: list[FinishedJob] = []
        try:
            self._look_for_cut_off()
            while self._waiting and self._capacity.has_room:
                ended += self._submit_some(self._next_chunk())
        except QueueFullError as error:
            # As long as jobs run, their ends make room.
            if self._reminder.is_due(_FULL, repeats=not self._submitted):
                self._warn(f"{error} The others are submitted as jobs end.")
        except QueueUnreachableError as error:
            self._backoff.lengthen()
            self._warn_now_and_then(f"{error} Trying again.")
        else:
            self._backoff.reset()
        return ended

    def _look_for_cut_off(self) -> None:
        """Find out what became of submissions that the queue did not answer."""
        while self._cut_off:
            batch, items = self._cut_off[0]
            found = find_submitted(batch, items[0].task.scheduler, warn=None)
            self._cut_off.pop(0)
            self._take_ids(batch, items, found)

    def _next_chunk(self) -> list[QueuedJob]:
        """Take jobs out of those that wait, which fit into one array."""
        scheduler = self._waiting.first.task.scheduler
        limits = [scheduler.max_array_size(), self._capacity.limit]
        limit = min([limit for limit in limits if limit], default=None)
        return self._waiting.take(limit)

    def _submit_some(self, items: list[QueuedJob]) -> list[FinishedJob]:
        """Submit one array."""
        first = items[0]
        self._check_right(first.task)
        batch = first.task.ledger.begin(_intent(items))
        try:
            ids = first.task.scheduler.submit_array(batch.array)
        except QueueUnreachableError:
            self._cut_off.append((batch, items))
            raise
        except QueueFullError:
            self._waiting.put_back(items)
            batch.remove()
            self._capacity.refused(len(items))
            if self._capacity.has_room:
                return []
            raise
        except SchedulerError as error:
            batch.remove()
            ending = Ending(Cause.FAILED, f"could not be submitted: {error}", 2)
            return [FinishedJob(item, ending) for item in items]
        self._take_ids(batch, items, dict(enumerate(ids)))
        self._capacity.accepted(len(ids))
        if len(ids) < len(items):
            self._capacity.refused(1)
            raise QueueFullError(f"{first.array_name}: the queue takes no more jobs.")
        return []

    def _check_right(self, task: QueuedTask) -> None:
        """Submit nothing for a task that somebody else has taken over.

        That may happen while the controller is suspended. Raises `LostLockError`.
        """
        holder = recorded_holder(task.layout.lock)
        if holder != self._holders.get(task, holder):
            raise LostLockError(
                f"task {task.layout.name!r} is run by {holder or 'nobody'} now, so no "
                "more jobs are submitted for it here."
            )

    def _take_ids(
        self, batch: Batch, items: Sequence[QueuedJob], ids: dict[int, JobId]
    ) -> None:
        """Note what the queue has taken; what it has not waits again."""
        if not ids:
            batch.remove()
        else:
            batch.note_ids(ids)
        for position, item in enumerate(items):
            if position in ids:
                item.batch, item.position = batch, position
                self._submitted.append(item)
            else:
                self._waiting.put_back([item])
        self._pace.quicken()

    def _look(self) -> list[FinishedJob]:
        """Ask the queue about all jobs that were submitted."""
        gone: list[QueuedJob] = []
        living: list[QueuedJob] = []
        hopeless: dict[QueuedJob, Ending] = {}
        is_answered = True
        for scheduler, items in by_scheduler(self._submitted):
            try:
                known = _living(scheduler, items)
            except SchedulerError as error:
                self._tolerate(error)
                is_answered = False
                living += items
                continue
            listed = [item for item in items if item.id in known]
            hopeless |= self._cancel_hopeless(scheduler, listed, known)
            living += [item for item in listed if item not in hopeless]
            gone += [item for item in items if item.id not in known]
            self._reasons.update(scheduler, items, known)
        for item in living:
            item.gone_since = None
        if is_answered:
            self._unanswered_since = None
        ended = self._diagnose(gone) | hopeless
        still = [item for item in gone if item not in ended]
        self._submitted = [*living, *still]
        self._pace.polled(found_some=bool(ended), is_answered=is_answered)
        self._capacity.ended(len(ended))
        return [FinishedJob(item, ending) for item, ending in ended.items()]

    def _cancel_hopeless(
        self,
        scheduler: Scheduler,
        items: Sequence[QueuedJob],
        statuses: dict[JobId, JobStatus],
    ) -> dict[QueuedJob, Ending]:
        """Cancel jobs that can never start; return them, with why."""
        found = self._obstacles.find(scheduler, items, statuses)
        ids = [item.id for item in found if item.id is not None]
        try:
            if ids:
                scheduler.kill_all(ids)
        except SchedulerError:
            # It is asked again later.
            return {}
        return found

    def _diagnose(self, gone: Sequence[QueuedJob]) -> dict[QueuedJob, Ending]:
        """Return why jobs ended that their queue does not list any more.

        Those are left out of which that is not sure yet.
        """
        now, found = self._clock(), dict[QueuedJob, Ending]()
        for scheduler, items in by_scheduler(gone):
            evidence = {item: _evidence(item, now) for item in items}
            jobs = {item: job for item, job in evidence.items() if job is not None}
            endings = why_ended(list(jobs.values()), scheduler)
            pairs = zip(jobs, endings, strict=True)
            found |= {item: ending for item, ending in pairs if ending is not None}
        return found

    def _warn_now_and_then(self, text: str) -> None:
        """Show a message, the same again only after some time."""
        if self._reminder.is_due(text):
            self._warn(text)

    def _tolerate(self, error: SchedulerError) -> None:
        """Wait for a queue that does not answer; for one that cannot, not for long."""
        if isinstance(error, BrokenSchedulerError):
            raise error
        now = self._clock()
        self._unanswered_since = self._unanswered_since or now
        is_passing = isinstance(error, QueueError)
        if not is_passing and now - self._unanswered_since > _PATIENCE:
            raise error
        self._warn_now_and_then(f"{error} Trying again.")

    def _is_retried(self, ended: FinishedJob) -> bool:
        """Whether another job goes on with what this one has left."""
        item, ending = ended
        if item.batch is None:
            return False
        item.release_lock()
        if ending.cause is Cause.FAILED and item.is_out_of_time:
            text = "its time does not suffice for the rest"
            ended = FinishedJob(item, ending._replace(cause=Cause.TIME, text=text))
        is_given_more = self._is_given_more(ended)
        is_retried = is_given_more or self._is_continued(ended)
        # The last of all: a run that is killed before looks into it once more.
        item.batch.note_ending(item.position, ending)
        if is_retried:
            # Where workers ran out of memory, and the job went on without them.
            is_to_end = ending.cause is Cause.MEMORY and item.has_come_to_end
            item.prepare_next(is_repeated=is_given_more and is_to_end)
            self.add(item)
        return is_retried

    def _is_given_more(self, ended: FinishedJob) -> bool:
        """Whether a job is tried again, as it was given too little."""
        item, ending = ended
        if ending.cause is Cause.DONE or item.attempt >= item.task.retries:
            return False
        retry = self._retries.of(item, ending.cause)
        if retry is None:
            return False
        told = f"{item.name}: {ending.text}; {retry.text}."
        if retry.values is None:
            # That holds for all jobs of the task, and for those that do the rest.
            if self._reminder.is_due(f"{item.array_name} {retry.text}"):
                self._warn(told)
            return False
        self._warn(told)
        item.values, item.attempt = retry.values, item.attempt + 1
        return True

    def _is_continued(self, ended: FinishedJob) -> bool:
        """Whether a job was ended by what it evaluated, and others are left to do."""
        item, ending = ended
        job = item.ended
        failed = None if job is None else job.settle(ending)
        if job is None or failed is None:
            return False
        before, item.progress = item.progress, job.progress
        if item.progress <= before or job.is_all_settled(item.task.plan):
            return False
        which = f"; it was evaluating {_listed(failed)}, which failed" if failed else ""
        self._warn(f"{item.name}: {ending.text}{which}. A new job does the rest.")
        return True


def _listed(indices: Sequence[int]) -> str:
    noun = "assignment" if len(indices) == 1 else "assignments"
    return f"{noun} {', '.join(map(str, indices))}"


def _evidence(item: QueuedJob, now: float) -> Evidence | None:
    """Return what is known of a job that its queue does not list any more.

    None if it is too early to ask why it ended.
    """
    assert item.batch is not None
    if item.gone_since is None:
        item.gone_since = now
    age = now - item.gone_since
    evidence = Evidence(
        jobid=item.batch.ids[item.position],
        trace=item.batch.trace(item.position),
        has_results=item.is_done,
        is_at_work=item.is_at_work,
        is_settled=age >= _ACCOUNTING_PATIENCE,
    )
    is_told = evidence.is_done or evidence.trace.exit_status is not None
    return evidence if is_told or age >= _FILES_PATIENCE else None


def _living(scheduler: Scheduler, items: Sequence[QueuedJob]) -> dict[JobId, JobStatus]:
    ids = [item.id for item in items if item.id is not None]
    statuses = scheduler.get_statuses(ids)
    return {jobid: job for jobid, job in statuses.items() if job.status != "D"}


def _intent(items: Sequence[QueuedJob]) -> Intent:
    first = items[0]
    return Intent(
        name=first.array_name,
        names=tuple(item.name for item in items),
        targets=tuple(item.target for item in items),
        commands=tuple(item.command for item in items),
        round=first.round_number,
        scheduler=class_path(first.task.scheduler),
        scheduler_args=first.values,
        attempt=first.attempt,
        minutes=time_limit(first.task.scheduler, first.values),
        frozen_scheduler=frozen(first.task.scheduler),
        origins=tuple(item.origin for item in items),
    )
