"""What an earlier run has left in a queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from psyrun.errors import PsyrunError, QueueUnreachableError
from psyrun.layout import TaskLayout
from psyrun.lock import break_lock, holder_in, locks_of, running_jobs
from psyrun.queue.ledger import VANISHED, Batch, Ledger
from psyrun.scheduler.base import Cause, Ending, JobId, Scheduler
from psyrun.scheduler.registry import load_class

T = TypeVar("T")
Warn = Callable[[str], None]

_PATIENCE = 300.0  # seconds that a queue is given to answer
_PAUSES = (1.0, 2.0, 5.0, 10.0)
_SETTLING = 3.0  # seconds; a job writes its last word before the queue forgets it
_ENDING = 120.0  # seconds that jobs are given to end after they were cancelled


def silently(text: str) -> None:
    """Take a line for the user, and show it to nobody."""


def patiently(question: Callable[[], T], warn: Warn) -> T:
    """Ask a queue again and again, until it answers.

    Parameters
    ----------
    question : callable
        Asks the queue.
    warn : callable
        Takes lines for the user.

    Raises
    ------
    QueueUnreachableError
        If it does not for five minutes.
    """
    deadline = time.monotonic() + _PATIENCE
    pauses, said = iter(_PAUSES), ""
    while True:
        try:
            return question()
        except QueueUnreachableError as error:
            if time.monotonic() > deadline:
                raise
            if str(error) != said:
                warn(f"{error} Trying again.")
            said = str(error)
            time.sleep(next(pauses, _PAUSES[-1]))


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
    alive: frozenset[tuple[str, int]]

    def in_round(self, number: int) -> bool:
        """Whether jobs of a round are queued or running."""
        return any(b.intent.round == number for b, _ in self.living())

    def living(self) -> list[tuple[Batch, int]]:
        """Return the jobs that are queued or running."""
        batches = {batch.key: batch for batch in self.batches}
        return [(batches[key], position) for key, position in sorted(self.alive)]

    def cancel(
        self, is_to_end: Callable[[Batch], bool], warn: Warn
    ) -> list[tuple[Batch, int]]:
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
        while living := patiently(lambda: _living(self.scheduler, ids), warn):
            if time.monotonic() > deadline:
                raise PsyrunError(
                    f"the queue does not end the jobs {', '.join(map(str, living))}. "
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
        If the class of a scheduler cannot be imported any more.
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
            used = load_class(name)()
        known = _complete(batches, used, warn, records=records)
        jobs = _without_foreign(_open_jobs(known), used, warn, records=records)
        alive = _alive(jobs, used, warn)
        alive |= _at_work(layout, jobs, used, alive)
        if records:
            _note_endings(jobs, used, alive)
        found.append(Left(used, known, alive))
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
            found: dict[int, Any] = patiently(
                lambda cut_off=batch: scheduler.find(cut_off.array),  # type: ignore[misc]
                warn,
            )
            # The queue may have forgotten jobs that have ended.
            found = {**dict.fromkeys(batch.started(), ""), **found}
            if records and not found:
                batch.remove()
            if records and found:
                batch.note_ids(found)
            if not found:
                continue
            batch.__dict__["ids"] = found
        known.append(batch)
    return known


def _open_jobs(batches: Iterable[Batch]) -> list[tuple[Batch, int]]:
    """Return the jobs that have not ended, as far as their traces tell."""
    return [
        (b, position) for b in batches for position in b.open() if position in b.ids
    ]


def _without_foreign(
    jobs: Sequence[tuple[Batch, int]],
    scheduler: Scheduler,
    warn: Warn,
    *,
    records: bool,
) -> list[tuple[Batch, int]]:
    """Leave out the jobs whose numbers the queue has given to others meanwhile."""
    arrays = {batch.ids[position]: batch.array for batch, position in jobs}
    foreign = patiently(lambda: scheduler.foreign(arrays), warn) if arrays else set()
    own = []
    for batch, position in jobs:
        if batch.ids[position] not in foreign:
            own.append((batch, position))
            continue
        if records:
            batch.note_ending(position, VANISHED)
        batch.forget_id(position)
    return own


def _alive(
    jobs: Sequence[tuple[Batch, int]], scheduler: Scheduler, warn: Warn
) -> frozenset[tuple[str, int]]:
    """Return which jobs are queued or running."""
    ids = [batch.ids[position] for batch, position in jobs]
    living = set(patiently(lambda: _living(scheduler, ids), warn)) if ids else set()
    found = frozenset((b.key, p) for b, p in jobs if b.ids[p] in living)
    if len(found) < len(jobs):
        # What ends just now has still to leave its word.
        time.sleep(_SETTLING)
    return found


def _at_work(
    layout: TaskLayout,
    jobs: Iterable[tuple[Batch, int]],
    scheduler: Scheduler,
    alive: frozenset[tuple[str, int]],
) -> frozenset[tuple[str, int]]:
    """Return the jobs that renew their locks although their queue has lost them."""
    holders = {holder.job for holder in running_jobs(layout).values()}
    lost = {
        (b.key, position): b.ids[position]
        for b, position in _gone(jobs, alive)
        if b.job(position) in holders
    }
    told = scheduler.get_endings(list(lost.values())) if lost else {}
    return frozenset(
        job
        for job, jobid in lost.items()
        if jobid not in told or told[jobid].cause is Cause.NODE
    )


def _note_endings(
    jobs: Iterable[tuple[Batch, int]],
    scheduler: Scheduler,
    alive: frozenset[tuple[str, int]],
) -> None:
    """Record why jobs ended that are gone and left no word, so far as is known."""
    gone = _gone(jobs, alive)
    endings = why_ended(gone, scheduler) if gone else []
    for (batch, position), ending in zip(gone, endings, strict=True):
        batch.note_ending(position, ending)


def _gone(
    jobs: Iterable[tuple[Batch, int]], alive: frozenset[tuple[str, int]]
) -> list[tuple[Batch, int]]:
    """Return the jobs that their queue does not know, and that left no word."""
    left_over = [
        (b, position) for b, position in jobs if (b.key, position) not in alive
    ]
    return [(b, position) for b, position in left_over if b.ending(position) is None]


def why_ended(gone: Sequence[tuple[Batch, int]], scheduler: Scheduler) -> list[Ending]:
    """Return why jobs ended that are gone from their queue and left no word.

    Parameters
    ----------
    gone : sequence of (Batch, int)
        The jobs.
    scheduler : Scheduler
        How their queue is spoken to.

    Raises
    ------
    QueueUnreachableError
        If the queue does not answer.
    """
    told = scheduler.get_endings([batch.ids[position] for batch, position in gone])
    return [
        told.get(batch.ids[position])
        or scheduler.explain(batch.trace(position).text)
        or VANISHED
        for batch, position in gone
    ]


def _living(scheduler: Scheduler, ids: Sequence[JobId]) -> list[JobId]:
    statuses = scheduler.get_statuses(ids)
    return [jobid for jobid, job in statuses.items() if job.status != "D"]
