"""What an earlier run has left in a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psyrun.errors import PsyrunError
from psyrun.layout import TaskLayout
from psyrun.lock import break_lock, holder_in, locks_of
from psyrun.queue.ledger import VANISHED, Batch, Ledger
from psyrun.queue.questions import (
    Alive,
    Job,
    Warn,
    alive,
    at_work,
    foreign,
    gone,
    living,
    patiently,
    taken,
    why_ended,
)
from psyrun.scheduler.base import Cause, Ending, Scheduler
from psyrun.scheduler.registry import thawed

_ENDING = 120.0  # seconds that jobs are given to end after they were cancelled


@dataclass(frozen=True)
class Left:
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
    alive: Alive

    def in_round(self, number: int) -> bool:
        """Whether jobs of a round are queued or running."""
        return any(b.intent.round == number for b, _ in self.living())

    def living(self) -> list[Job]:
        """Return the jobs that are queued or running."""
        batches = {batch.key: batch for batch in self.batches}
        return [(batches[key], position) for key, position in sorted(self.alive)]

    def cancel(self, is_to_end: Callable[[Batch], bool], warn: Warn) -> list[Job]:
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
) -> list[Left]:
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
    list of Left
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
        found.append(Left(used, known, running))
    return found


def name_of(scheduler: Scheduler) -> str:
    """Return the class of a scheduler as ``module:Class``."""
    kind = type(scheduler)
    return f"{kind.__module__}:{kind.__qualname__}"


def release_locks(layout: TaskLayout, found: Iterable[Left]) -> None:
    """Remove the locks of jobs that have ended, as their queues say.

    Parameters
    ----------
    layout : TaskLayout
        Paths of the task.
    found : iterable of Left
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
        holder = holder_in(path)
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


def _open_jobs(batches: Iterable[Batch]) -> list[Job]:
    """Return the jobs that have not ended, as far as their traces tell."""
    return [
        (b, position) for b in batches for position in b.open() if position in b.ids
    ]


def _without_foreign(
    jobs: Sequence[Job], scheduler: Scheduler, warn: Warn, *, records: bool
) -> list[Job]:
    """Leave out the jobs that are in truth jobs of others."""
    others = foreign(jobs, scheduler, warn)
    for batch, position in others:
        if records:
            batch.note_ending(position, VANISHED)
        batch.forget_id(position)
    return [(batch, position) for batch, position in jobs if position in batch.ids]


def _note_endings(jobs: Sequence[Job], scheduler: Scheduler) -> None:
    """Record why jobs ended that left no word, so far as is known."""
    endings = why_ended(jobs, scheduler) if jobs else []
    for (batch, position), ending in zip(jobs, endings, strict=True):
        batch.note_ending(position, ending)
