"""What an earlier run has left in a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psyrun.errors import PsyrunError
from psyrun.queue.asking import Warn, ask_until_answered
from psyrun.queue.blame import EndedJob
from psyrun.queue.diagnosis import VANISHED, Evidence, why_ended
from psyrun.queue.ledger import ArrayJob, Batch, JobKeys, Ledger
from psyrun.queue.trust import Thaw, if_own, scheduler_of
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause, Ending, JobId
from psyrun.workdir.holder import recorded_holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import break_lock, locks_of, running_jobs

_ENDING = 120.0  # seconds that jobs are given to end after they were cancelled
_SETTLING = 3.0  # seconds; a job writes its last word before the queue forgets it
_ON_ITS_WAY = 3.0  # seconds that a queue may take for what was asked of it before


@dataclass(frozen=True)
class EarlierJobs:
    """The jobs of a task that an earlier run submitted to one queue.

    `batches` are the arrays, the oldest first; `alive` are the jobs that are queued
    or running, as keys of arrays and positions.
    """

    scheduler: Scheduler
    batches: Sequence[Batch]
    alive: JobKeys

    def in_round(self, number: int) -> bool:
        """Whether jobs of a round are queued or running."""
        return any(b.intent.round == number for b, _ in self.active_jobs())

    def active_jobs(self) -> list[ArrayJob]:
        """Return the jobs that are queued or running."""
        batches = {batch.key: batch for batch in self.batches}
        return [(batches[key], position) for key, position in sorted(self.alive)]

    def cancel(self, is_to_end: Callable[[Batch], bool], warn: Warn) -> list[ArrayJob]:
        """Cancel the jobs of some arrays, wait until they have ended, and return them.

        Raises `PsyrunError` if they do not end.
        """
        jobs = [(b, p) for b, p in self.active_jobs() if is_to_end(b)]
        ids = [batch.ids[position] for batch, position in jobs]
        if not ids:
            return []
        ask_until_answered(lambda: self.scheduler.kill_all(ids), warn)
        deadline = time.monotonic() + _ENDING
        while still := ask_until_answered(
            lambda: listed_ids(self.scheduler, ids), warn
        ):
            if time.monotonic() > deadline:
                raise PsyrunError(
                    f"the queue does not end the jobs {', '.join(map(str, still))}. "
                    "Try again later."
                )
            time.sleep(0.5)
        ending = Ending(Cause.CANCELLED, "cancelled by psyrun")
        for batch, position in jobs:
            if batch.ending(position) is None:
                batch.note_ending(position, ending)
        return jobs


def find_earlier_jobs(
    layout: TaskLayout,
    scheduler: Scheduler | None,
    warn: Warn,
    *,
    records: bool,
    ledger: Ledger | None = None,
    thaw: Thaw = if_own,
) -> list[EarlierJobs]:
    """Return what earlier runs of a task have left in queues, for each kind of queue.

    Parameters
    ----------
    scheduler : Scheduler or None
        The scheduler of the task as it is now, if that is known.
    records : bool
        Whether to complete the ledger where a submission was cut off, which
        only the holder of the task's lock may do.
    thaw : callable
        Returns the scheduler of arrays whose class is not installed.

    Raises
    ------
    SchedulerError
        If a scheduler cannot be made any more, or is not trusted.
    QueueUnreachableError
        If a queue does not answer.
    """
    kinds: dict[str, list[Batch]] = {}
    for batch in (ledger or Ledger(layout)).batches():
        kinds.setdefault(batch.intent.scheduler, []).append(batch)
    found = []
    for name, batches in kinds.items():
        used = scheduler
        if used is None or class_path(used) != name:
            used = scheduler_of(batches[-1], thaw)
        if used is None:
            continue
        known = _complete(batches, used, warn, records=records)
        jobs = _unexplained(known, with_failed=records)
        jobs = _without_foreign(jobs, used, warn, records=records)
        running = jobs_in_queue(
            [(b, p) for b, p in jobs if b.ending(p) is None], used, warn
        )
        gone = [(b, p) for b, p in jobs if (b.key, p) not in running]
        running |= _diagnose(layout, gone, used, records=records)
        found.append(EarlierJobs(used, known, running))
    return found


def evidence(batch: Batch, position: int, *, is_at_work: bool = False) -> Evidence:
    """Return what is known of a job that its queue does not list any more."""
    jobid, trace = batch.ids[position], batch.trace(position)
    return Evidence(jobid, trace, batch.has_results(position), is_at_work)


def class_path(scheduler: Scheduler) -> str:
    """Return the class of a scheduler as ``module:Class``."""
    kind = type(scheduler)
    return f"{kind.__module__}:{kind.__qualname__}"


def release_locks(layout: TaskLayout, found: Iterable[EarlierJobs]) -> None:
    """Remove the locks of jobs that have ended, as their queues say."""
    ended = {
        batch.job(position)
        for one in found
        for batch in one.batches
        for position in batch.ids
        if (batch.key, position) not in one.alive
    }
    for path in locks_of(layout):
        holder = recorded_holder(path)
        if holder is not None and holder.job in ended:
            break_lock(path, holder.job)


def _complete(
    batches: Iterable[Batch], scheduler: Scheduler, warn: Warn, *, records: bool
) -> list[Batch]:
    """Find the arrays whose submission was cut off."""
    known = []
    for batch in batches:
        if not batch.is_submitted:
            found = find_submitted(batch, scheduler, warn, is_final=records)
            if records and not found:
                batch.remove()
            if records and found:
                batch.note_ids(found)
            if not found:
                continue
            batch.__dict__["ids"] = found
        known.append(batch)
    return known


def _unexplained(batches: Iterable[Batch], *, with_failed: bool) -> list[ArrayJob]:
    """Return the jobs that have not ended, as far as is known.

    Also those that failed, if that is asked for, and of which the queue may know
    more than their exit status.
    """
    return [
        (batch, position)
        for batch in batches
        for position, (_, ending, is_explained) in enumerate(batch.states())
        if position in batch.ids
        and (ending is None or (with_failed and not is_explained))
    ]


def _without_foreign(
    jobs: Sequence[ArrayJob], scheduler: Scheduler, warn: Warn, *, records: bool
) -> list[ArrayJob]:
    """Leave out the jobs that are in truth jobs of others."""
    others = jobs_with_reused_ids(jobs, scheduler, warn)
    for batch, position in others:
        if records:
            batch.note_ending(position, VANISHED)
        batch.forget_id(position)
    return [(batch, position) for batch, position in jobs if position in batch.ids]


def _diagnose(
    layout: TaskLayout,
    jobs: Iterable[ArrayJob],
    scheduler: Scheduler,
    *,
    records: bool,
) -> JobKeys:
    """Find out why jobs ended that the queue does not list.

    Returns those that have not, as they renew their locks. Of others only a run
    has to know, which then records it.
    """
    holders = {holder.job for _, holder in running_jobs(layout)}
    asked = [(b, p) for b, p in jobs if records or b.job(p) in holders]
    found = [evidence(b, p, is_at_work=b.job(p) in holders) for b, p in asked]
    living = set()
    for (batch, position), ending in zip(
        asked, why_ended(found, scheduler), strict=True
    ):
        if ending is None:
            living.add((batch.key, position))
        elif records:
            job = EndedJob.of(batch, position)
            if job is not None:
                job.settle(ending)
            batch.note_ending(position, ending)
    return frozenset(living)


def find_submitted(
    batch: Batch, scheduler: Scheduler, warn: Warn | None, *, is_final: bool = True
) -> dict[int, JobId]:
    """Return which jobs a queue has of an array whose submission was cut off.

    Ids are listed by position, empty for a job of which there is only the trace. With
    `warn`, the queue is asked until it answers. With `is_final`, the array is
    submitted again if there are none. The queue is then asked twice, as for those
    that it does not list: what was killed as it submitted may have asked for the
    jobs, and a busy queue has yet to take them.
    """

    def look() -> dict[int, JobId]:
        found = scheduler.find(batch.array)
        # The queue may have forgotten jobs that have ended.
        return {**dict.fromkeys(batch.started(), ""), **found}

    def ask() -> dict[int, JobId]:
        return ask_until_answered(look, warn) if warn else look()

    found = ask()
    if is_final and not (found and all(found.values())):
        time.sleep(_ON_ITS_WAY)
        found = ask()
    return found


def listed_ids(scheduler: Scheduler, ids: Sequence[JobId]) -> list[JobId]:
    """Return which of some jobs are queued or running, by their ids."""
    statuses = scheduler.get_statuses(ids)
    return [jobid for jobid, job in statuses.items() if job.status != "D"]


def jobs_with_reused_ids(
    jobs: Sequence[ArrayJob], scheduler: Scheduler, warn: Warn
) -> list[ArrayJob]:
    """Return the jobs whose ids the queue has given to others meanwhile."""
    arrays = {batch.ids[position]: batch.array for batch, position in jobs}
    foreign = (
        ask_until_answered(lambda: scheduler.foreign(arrays), warn) if arrays else set()
    )
    return [
        (batch, position) for batch, position in jobs if batch.ids[position] in foreign
    ]


def jobs_in_queue(
    jobs: Sequence[ArrayJob], scheduler: Scheduler, warn: Warn
) -> JobKeys:
    """Return which jobs are queued or running.

    If some are not, they have had the time to leave their last word.
    """
    ids = [batch.ids[position] for batch, position in jobs]
    known = (
        set(ask_until_answered(lambda: listed_ids(scheduler, ids), warn))
        if ids
        else set()
    )
    found = frozenset((b.key, p) for b, p in jobs if b.ids[p] in known)
    if len(found) < len(jobs):
        time.sleep(_SETTLING)
    return found
