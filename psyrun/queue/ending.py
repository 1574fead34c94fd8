"""Why jobs ended, from all that there is to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psyrun.errors import OutOfTimeError
from psyrun.queue.item import OWN_STATUSES, Item, by_scheduler
from psyrun.queue.ledger import VANISHED, ending_of
from psyrun.queue.questions import why_lost
from psyrun.queue.script import Trace
from psyrun.scheduler.base import Cause, Ending

PATIENCE = 5.0
"""Seconds that a network file system is given to show what a job wrote last."""

_PATIENCE_WITH_QUEUE = 20.0  # accounting may lag behind
_OF_THE_QUEUE = (Cause.MEMORY, Cause.TIME, Cause.NODE, Cause.CANCELLED)


class Endings:
    """Finds out why jobs ended that are gone from their queue.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def of(self, gone: Sequence[Item]) -> dict[Item, Ending]:
        """Return why jobs ended, without those that it is too early to tell of.

        Parameters
        ----------
        gone : sequence of Item
            Jobs that their queue does not list as queued or running.
        """
        found: dict[Item, Ending] = {}
        unclear: dict[Item, Trace] = {}
        for item in gone:
            trace = _trace(item)
            ending = _clear(item, trace)
            if ending is not None:
                found[item] = ending
            elif trace.exit_status is not None or self._age(item) >= PATIENCE:
                unclear[item] = trace
        for scheduler, items in by_scheduler(unclear):
            told = scheduler.get_endings([i.id for i in items if i.id is not None])
            ended = {}
            for item in items:
                ending = self._ending(item, unclear[item], told.get(item.id or ""))
                if ending is not None:
                    ended[item] = ending
            jobs = [(item.id or "", unclear[item], end) for item, end in ended.items()]
            found |= zip(ended, why_lost(jobs, scheduler), strict=True)
        return found

    def _age(self, item: Item) -> float:
        """Return for how long a job has been gone."""
        now = self._clock()
        if item.gone_since is None:
            item.gone_since = now
        return now - item.gone_since

    def _ending(self, item: Item, trace: Trace, told: Ending | None) -> Ending | None:
        """Weigh what the queue says, what stands in the output and what the job did."""
        explained = item.task.scheduler.explain(trace.text)
        if explained is not None and explained.cause is Cause.MEMORY:
            # Queues that watch the memory themselves then cancel the job.
            return explained
        for ending in (told, explained):
            if ending is not None and ending.cause in _OF_THE_QUEUE:
                # A machine that is cut off from the queue may go on writing.
                is_cut_off = ending.cause is Cause.NODE and item.is_at_work
                return None if is_cut_off else ending
        own = ending_of(trace)
        if own is not None:
            return own
        if told is not None and told.cause is Cause.FAILED:
            return told
        is_lost = self._age(item) >= _PATIENCE_WITH_QUEUE and not item.is_at_work
        return VANISHED if is_lost else None


def _trace(item: Item) -> Trace:
    return Trace() if item.batch is None else item.batch.trace(item.position)


def _clear(item: Item, trace: Trace) -> Ending | None:
    """Return the ending of a job that needs no explanation by the queue."""
    own = ending_of(trace)
    if own is not None and own.cause is Cause.DONE:
        return own
    if own is None and item.is_done:
        return Ending(Cause.DONE, "done", 0)
    may_be_retried = item.attempt < item.task.retries
    if own is not None and own.exit_status in OWN_STATUSES:
        if not may_be_retried:
            return own
        if item.told == OutOfTimeError.__name__:
            return Ending(Cause.TIME, "its time does not suffice for the rest", 1)
    return None
