"""Asking a queue about jobs that are recorded.

A queue may be down, busy, or behind with what it was asked for, and knows a job
for some time only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from psyrun.errors import QueueUnreachableError
from psyrun.layout import TaskLayout
from psyrun.lock import running_jobs
from psyrun.queue.ledger import VANISHED, Batch
from psyrun.queue.script import Trace
from psyrun.scheduler.base import Cause, Ending, JobId, Scheduler

T = TypeVar("T")
Warn = Callable[[str], None]
Job = tuple[Batch, int]
"""A job: its array and its position therein."""
Alive = frozenset[tuple[str, int]]
"""Jobs, as keys of arrays and positions."""

_PATIENCE = 300.0  # seconds that a queue is given to answer
_PAUSES = (1.0, 2.0, 5.0, 10.0)
_SETTLING = 3.0  # seconds; a job writes its last word before the queue forgets it
_ON_ITS_WAY = 3.0  # seconds that a queue may take for what was asked of it before


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


def foreign(jobs: Sequence[Job], scheduler: Scheduler, warn: Warn) -> list[Job]:
    """Return the jobs whose ids the queue has given to others meanwhile."""
    arrays = {batch.ids[position]: batch.array for batch, position in jobs}
    told = patiently(lambda: scheduler.foreign(arrays), warn) if arrays else set()
    return [
        (batch, position) for batch, position in jobs if batch.ids[position] in told
    ]


def alive(jobs: Sequence[Job], scheduler: Scheduler, warn: Warn) -> Alive:
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
    layout: TaskLayout, jobs: Iterable[Job], scheduler: Scheduler, alive: Alive
) -> Alive:
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


def gone(jobs: Iterable[Job], alive: Alive) -> list[Job]:
    """Return the jobs that their queue does not know, and that left no word."""
    unknown = [(b, position) for b, position in jobs if (b.key, position) not in alive]
    return [(b, position) for b, position in unknown if b.ending(position) is None]


def why_ended(jobs: Sequence[Job], scheduler: Scheduler) -> list[Ending]:
    """Return why jobs ended that are gone from their queue and left no word.

    Parameters
    ----------
    jobs : sequence of (Batch, int)
        The jobs.
    scheduler : Scheduler
        How their queue is spoken to.

    Raises
    ------
    QueueUnreachableError
        If the queue does not answer.
    """
    ids = [batch.ids[position] for batch, position in jobs]
    told = scheduler.get_endings(ids)
    traces = [batch.trace(position) for batch, position in jobs]
    found = [
        told.get(jobid) or scheduler.explain(trace.text) or VANISHED
        for jobid, trace in zip(ids, traces, strict=True)
    ]
    return why_lost(list(zip(ids, traces, found, strict=True)), scheduler)


def why_lost(
    jobs: Sequence[tuple[JobId, Trace, Ending]], scheduler: Scheduler
) -> list[Ending]:
    """Return why jobs ended; of lost ones, whether they were ended in the queue.

    Parameters
    ----------
    jobs : sequence of (int or str, Trace, Ending)
        Jobs, what they left, and why they ended, as far as is known.
    scheduler : Scheduler
        How their queue is spoken to.
    """
    # A job that left a trace began, and may just be forgotten by now.
    lost = [jobid for jobid, trace, end in jobs if end == VANISHED and trace == Trace()]
    told = scheduler.why_not_begun(lost) if lost else {}
    return [told.get(jobid, end) for jobid, _, end in jobs]
