"""What an earlier run has left in a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psyrun.errors import PsyrunError
from psyrun.queue.asking import Warn, patiently
from psyrun.queue.diagnosis import why_ended
from psyrun.queue.ledger import VANISHED, Batch, JobKeys, Ledger, RecordedJob
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause, Ending, JobId
from psyrun.scheduler.registry import thawed
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import break_lock, locks_of, recorded_holder, running_jobs

_ENDING = 120.0  # seconds that jobs are given to end after they were cancelled


@dataclass(frozen=True)
class EarlierJobs:
    """The jobs of a task that an earlier run submitted to one queue.

    Attributes
    ----------
    scheduler : Scheduler
        How the queue is spoken to.
    batches : sequence of Batch
        The arrays that were submitted, the oldest first.
    alive : frozenset of (str, int)
        The jobs that are queued or running, as keys of arrays and positions.
    """

    scheduler: Scheduler
    batches: Sequence[Batch]
    alive: JobKeys

    def in_round(self, number: int) -> bool:
        """Whether jobs of a round are queued or running."""
        return any(b.intent.round == number for b, _ in self.living())

    def living(self) -> list[RecordedJob]:
        """Return the jobs that are queued or running."""
        batches = {batch.key: batch for batch in self.batches}
        return [(batches[key], position) for key, position in sorted(self.alive)]

    def cancel(
        self, is_to_end: Callable[[Batch], bool], warn: Warn
    ) -> list[RecordedJob]:
        """Cancel jobs and wait until they have ended.

        Parameters
        ----------
        is_to_end : callable
            Tells whether the jobs of an array are to end.
        warn : callable
            Takes lines for the user.

        Returns
        -------
        list of (Batch, int)
            The jobs.

        Raises
        ------
        PsyrunError
            If they do not end.
        """
        jobs = [(b, p) for b, p in self.living() if is_to_end(b)]
        ids = [batch.ids[position] for batch, position in jobs]
        if not ids:
            return []
        patiently(lambda: self.scheduler.kill_all(ids), warn)
        deadline = time.monotonic() + _ENDING
        while still := patiently(lambda: living(self.scheduler, ids), warn):
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


def left(
    layout: TaskLayout,
    scheduler: Scheduler | None,
    warn: Warn,
    *,
    records: bool,
    ledger: Ledger | None = None,
) -> list[EarlierJobs]:
    """Return what earlier runs of a task have left in queues.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.
    scheduler : Scheduler or None
        The scheduler of the task as it is now, if that is known.
    warn : callable
        Takes lines for the user.
    records : bool
        Whether to complete the ledger where a submission was cut off, which
        only the holder of the task's lock may do.

    Returns
    -------
    list of EarlierJobs
        One for each kind of queue.

    Raises
    ------
    SchedulerError
        If a scheduler cannot be made any more.
    QueueUnreachableError
        If a queue does not answer.
    """
    kinds: dict[str, list[Batch]] = {}
    for batch in (ledger or Ledger(layout)).batches():
        kinds.setdefault(batch.intent.scheduler, []).append(batch)
    found = []
    for name, batches in kinds.items():
        used = scheduler
        if used is None or name_of(used) != name:
            used = thawed(name, batches[-1].intent.frozen_scheduler)
        known = _complete(batches, used, warn, records=records)
        jobs = _without_foreign(_open_jobs(known), used, warn, records=records)
        running = alive(jobs, used, warn)
        running |= at_work(layout, jobs, used, running)
        if records:
            _note_endings(gone(jobs, running), used)
        found.append(EarlierJobs(used, known, running))
    return found


def name_of(scheduler: Scheduler) -> str:
    """Return the class of a scheduler as ``module:Class``."""
    kind = type(scheduler)
    return f"{kind.__module__}:{kind.__qualname__}"


def release_locks(layout: TaskLayout, found: Iterable[EarlierJobs]) -> None:
    """Remove the locks of jobs that have ended, as their queues say.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.
    found : iterable of EarlierJobs
        What is left in the queues.
    """
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
            found = taken(batch, scheduler, warn, is_final=records)
            if records and not found:
                batch.remove()
            if records and found:
                batch.note_ids(found)
            if not found:
                continue
            batch.__dict__["ids"] = found
        known.append(batch)
    return known


def _open_jobs(batches: Iterable[Batch]) -> list[RecordedJob]:
    """Return the jobs that have not ended, as far as their traces tell."""
    return [
        (b, position) for b in batches for position in b.open() if position in b.ids
    ]


def _without_foreign(
    jobs: Sequence[RecordedJob], scheduler: Scheduler, warn: Warn, *, records: bool
) -> list[RecordedJob]:
    """Leave out the jobs that are in truth jobs of others."""
    others = foreign(jobs, scheduler, warn)
    for batch, position in others:
        if records:
            batch.note_ending(position, VANISHED)
        batch.forget_id(position)
    return [(batch, position) for batch, position in jobs if position in batch.ids]


def _note_endings(jobs: Sequence[RecordedJob], scheduler: Scheduler) -> None:
    """Record why jobs ended that left no word, so far as is known."""
    endings = why_ended(jobs, scheduler) if jobs else []
    for (batch, position), ending in zip(jobs, endings, strict=True):
        batch.note_ending(position, ending)


_SETTLING = 3.0  # seconds; a job writes its last word before the queue forgets it
_ON_ITS_WAY = 3.0  # seconds that a queue may take for what was asked of it before


def taken(
    batch: Batch, scheduler: Scheduler, warn: Warn | None, *, is_final: bool = True
) -> dict[int, JobId]:
    """Return which jobs a queue has of an array whose submission was cut off.

    Parameters
    ----------
    batch : Batch
        The array.
    scheduler : Scheduler
        How the queue is spoken to.
    warn : callable or None
        Takes lines for the user, if the queue is to be asked until it answers.
    is_final : bool, optional
        Whether the array is submitted again if there are none. The queue is then
        asked twice: what was killed as it submitted may have asked for the jobs,
        and a busy queue has yet to take them.

    Returns
    -------
    dict of int to str
        Ids by position; empty for a job of which there is only the trace.

    Raises
    ------
    QueueUnreachableError
        If the queue does not answer.
    """

    def look() -> dict[int, JobId]:
        found = scheduler.find(batch.array)
        # The queue may have forgotten jobs that have ended.
        return {**dict.fromkeys(batch.started(), ""), **found}

    def ask() -> dict[int, JobId]:
        return patiently(look, warn) if warn else look()

    found = ask()
    if is_final and not found:
        time.sleep(_ON_ITS_WAY)
        found = ask()
    return found


def living(scheduler: Scheduler, ids: Sequence[JobId]) -> list[JobId]:
    """Return which of some jobs are queued or running, by their ids."""
    statuses = scheduler.get_statuses(ids)
    return [jobid for jobid, job in statuses.items() if job.status != "D"]


def foreign(
    jobs: Sequence[RecordedJob], scheduler: Scheduler, warn: Warn
) -> list[RecordedJob]:
    """Return the jobs whose ids the queue has given to others meanwhile."""
    arrays = {batch.ids[position]: batch.array for batch, position in jobs}
    told = patiently(lambda: scheduler.foreign(arrays), warn) if arrays else set()
    return [
        (batch, position) for batch, position in jobs if batch.ids[position] in told
    ]


def alive(jobs: Sequence[RecordedJob], scheduler: Scheduler, warn: Warn) -> JobKeys:
    """Return which jobs are queued or running.

    If some are not, they have had the time to leave their last word.
    """
    ids = [batch.ids[position] for batch, position in jobs]
    known = set(patiently(lambda: living(scheduler, ids), warn)) if ids else set()
    found = frozenset((b.key, p) for b, p in jobs if b.ids[p] in known)
    if len(found) < len(jobs):
        time.sleep(_SETTLING)
    return found


def at_work(
    layout: TaskLayout,
    jobs: Iterable[RecordedJob],
    scheduler: Scheduler,
    alive: JobKeys,
) -> JobKeys:
    """Return the jobs that renew their locks although their queue has lost them.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.
    jobs : iterable of (Batch, int)
        Jobs that have not ended, as far as their traces tell.
    scheduler : Scheduler
        How their queue is spoken to.
    alive : frozenset of (str, int)
        Those that the queue knows.
    """
    holders = {holder.job for holder in running_jobs(layout).values()}
    lost = {
        (b.key, position): b.ids[position]
        for b, position in gone(jobs, alive)
        if b.job(position) in holders
    }
    told = scheduler.get_endings(list(lost.values())) if lost else {}
    return frozenset(
        job
        for job, jobid in lost.items()
        if jobid not in told or told[jobid].cause is Cause.NODE
    )


def gone(jobs: Iterable[RecordedJob], alive: JobKeys) -> list[RecordedJob]:
    """Return the jobs that their queue does not know, and that left no word."""
    unknown = [(b, position) for b, position in jobs if (b.key, position) not in alive]
    return [(b, position) for b, position in unknown if b.ending(position) is None]
