"""Why jobs do not start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from psyrun.errors import QueueError
from psyrun.failures import counted
from psyrun.queue.item import Item
from psyrun.scheduler.base import JobId, JobStatus, Scheduler

PATIENCE = 60.0
"""Seconds that a queue is given to start some job before it is asked why."""

_SHOWN = 3


class Reasons:
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
        items: Sequence[Item],
        statuses: Mapping[JobId, JobStatus],
    ) -> None:
        """Take note of how jobs stand; ask now and then why all of them wait.

        Parameters
        ----------
        scheduler : Scheduler
            Their queue.
        items : sequence of Item
            The jobs.
        statuses : mapping of int or str to JobStatus
            What the queue has just said of them.
        """
        now = self._clock()
        waiting = [job for job, told in statuses.items() if told.status in ("Q", "*Q")]
        if not waiting or len(waiting) < len(items):
            self._since.pop(scheduler, None)
            return
        if now - self._since.setdefault(scheduler, now) < PATIENCE:
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


def _names(items: Iterable[Item]) -> str:
    names = list(dict.fromkeys(item.array_name for item in items))
    hidden = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")


def _described(reasons: Counter[str]) -> str:
    shown = [
        f"{counted(number, 'job')} in the queue ({reason})"
        for reason, number in reasons.most_common(_SHOWN)
    ]
    return ", ".join(shown)
