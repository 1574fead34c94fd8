"""Why jobs ended, from all that there is to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from psyrun.errors import OutOfTimeError, QueueError
from psyrun.queue.job import OWN_STATUSES, QueuedJob, by_scheduler
from psyrun.queue.ledger import VANISHED, RecordedJob, ending_of
from psyrun.queue.script import Trace
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause, Ending, JobId, JobStatus
from psyrun.utils.text import counted

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

    def of(self, gone: Sequence[QueuedJob]) -> dict[QueuedJob, Ending]:
        """Return why jobs ended, without those that it is too early to tell of.

        Parameters
        ----------
        gone : sequence of QueuedJob
            Jobs that their queue does not list as queued or running.
        """
        found: dict[QueuedJob, Ending] = {}
        unclear: dict[QueuedJob, Trace] = {}
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

    def _age(self, item: QueuedJob) -> float:
        """Return for how long a job has been gone."""
        now = self._clock()
        if item.gone_since is None:
            item.gone_since = now
        return now - item.gone_since

    def _ending(
        self, item: QueuedJob, trace: Trace, told: Ending | None
    ) -> Ending | None:
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


def _trace(item: QueuedJob) -> Trace:
    return Trace() if item.batch is None else item.batch.trace(item.position)


def _clear(item: QueuedJob, trace: Trace) -> Ending | None:
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


def why_ended(jobs: Sequence[RecordedJob], scheduler: Scheduler) -> list[Ending]:
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


START_PATIENCE = 60.0
"""Seconds that a queue is given to start some job before it is asked why."""


_SHOWN = 3


class WaitingReasons:
    """Tells why jobs do not start, where none of them does.

    Some of the reasons pass by themselves, and others never do, such as a
    request that no machine can meet.

    Parameters
    ----------
    warn : callable
        Takes lines for the user.
    clock : callable
        Returns seconds.
    """

    def __init__(self, warn: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._warn = warn
        self._clock = clock
        self._since: dict[Scheduler, float] = {}
        self._said: dict[Scheduler, set[str]] = {}

    def looked(
        self,
        scheduler: Scheduler,
        items: Sequence[QueuedJob],
        statuses: Mapping[JobId, JobStatus],
    ) -> None:
        """Take note of how jobs stand; ask now and then why all of them wait.

        Parameters
        ----------
        scheduler : Scheduler
            Their queue.
        items : sequence of QueuedJob
            The jobs.
        statuses : mapping of int or str to JobStatus
            What the queue has just said of them.
        """
        now = self._clock()
        waiting = [job for job, told in statuses.items() if told.status in ("Q", "*Q")]
        if not waiting or len(waiting) < len(items):
            self._since.pop(scheduler, None)
            return
        if now - self._since.setdefault(scheduler, now) < START_PATIENCE:
            return
        self._since[scheduler] = now
        try:
            told = scheduler.why_queued(waiting)
        except QueueError:
            return
        reasons = Counter(told.values())
        said = self._said.setdefault(scheduler, set())
        # How many wait for what changes all the time.
        if reasons and not said.issuperset(reasons):
            said.update(reasons)
            self._warn(f"{_names(items)}: {_described(reasons)}")


def _names(items: Iterable[QueuedJob]) -> str:
    names = list(dict.fromkeys(item.array_name for item in items))
    hidden = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def _described(reasons: Counter[str]) -> str:
    shown = [
        f"{counted(number, 'job')} in the queue ({reason})"
        for reason, number in reasons.most_common(_SHOWN)
    ]
    return ", ".join(shown)
