"""What a job is given that is tried again, after it had too little.

No queue starts a job that asks for more than its partition allows: it refuses it, or
lets it wait for ever. So a job never gets more than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from psyrun.errors import SchedulerError
from psyrun.queue.job import QueuedJob
from psyrun.queue.needs import Need, Needs
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.jobs import Cause
from psyrun.scheduler.limits import Limits
from psyrun.utils.text import limit_text, memory_size

RAISED_BY = 2.0
"""How many times as much memory or time a job gets on the next try, if nothing else is
known of what it needs."""
_FRESH = 60.0  # seconds for which a queue is not asked for the same limits again
_BELOW = 1 - 1e-9  # a factor that no rounding lifts above a limit
_MEBI = 2**20  # bytes of a megabyte, as queues count
_ELSEWHERE = "choose another partition or queue in scheduler_args"


class Retry(NamedTuple):
    """Whether a job is tried again.

    Attributes
    ----------
    values : dict of str to object, or None
        The arguments of its next try; None if there is none.
    text : str
        What to say of it.
    """

    values: dict[str, Any] | None
    text: str


class _Bound(NamedTuple):
    """What a job had of something, and what it may have at most, in the same unit.

    `shown` names the latter, and `advice` says what helps where that is too little.
    """

    asked: int
    most: int
    shown: str
    advice: str


class Retries:
    """Decides what jobs get on their next try.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._needs = Needs(clock)
        self._limits: dict[str, tuple[float, Limits]] = {}

    def of(self, item: QueuedJob, cause: Cause) -> Retry | None:
        """Return whether a job is tried again that has ended, and with what.

        Parameters
        ----------
        item : QueuedJob
            The job. What it was given are its `values`.
        cause : Cause
            Why it has ended.

        Returns
        -------
        Retry or None
            None if another try would be of no use, and that goes without saying.
        """
        if cause is Cause.NODE:
            return Retry(item.values, "it is tried again")
        if cause not in (Cause.MEMORY, Cause.TIME):
            return None
        need = self._needs.of(item, cause)
        factor = RAISED_BY if need is None else need.factor
        # As much again fits, whatever is allowed.
        bound = self._bound(item, cause) if factor > 1 else None
        if bound is not None and bound.asked >= bound.most:
            text = f"it had {bound.shown}, and gets no more: {bound.advice}"
            return Retry(None, text)
        allowed = factor
        if bound is not None:
            allowed = min(factor, bound.most / bound.asked * _BELOW)
        values = item.task.scheduler.raised(item.values, cause, allowed)
        if values is None:
            return None
        is_capped = bound is not None and allowed < factor
        return Retry(values, _told(item, values, need, bound if is_capped else None))

    def _bound(self, item: QueuedJob, cause: Cause) -> _Bound | None:
        """Return what bounds the memory or the time of a job, None if nothing does."""
        scheduler = item.task.scheduler
        asked = scheduler.resources(item.values)
        limits = self._limits_of(scheduler, item.values)
        if cause is Cause.TIME:
            return _time(asked, limits)
        return _memory(asked, limits, item.task.plan.pool_size)

    def _limits_of(self, scheduler: Scheduler, values: Mapping[str, Any]) -> Limits:
        key = f"{type(scheduler).__qualname__} {sorted(values.items(), key=str)}"
        asked, found = self._limits.get(key, (-_FRESH, Limits()))
        if self._clock() - asked >= _FRESH:
            found = _limits(scheduler, values)
            self._limits[key] = self._clock(), found
        return found


def _limits(scheduler: Scheduler, values: Mapping[str, Any]) -> Limits:
    try:
        return scheduler.limits(values)
    except SchedulerError:
        # Without limits the queue itself refuses what is too much.
        return Limits()


def _time(asked: Mapping[str, int | str], limits: Limits) -> _Bound | None:
    minutes = _number(asked, "runtime")
    if not minutes or limits.seconds is None:
        return None
    return _Bound(
        minutes,
        int(limits.seconds // 60),
        f"all the time that {limits.where or 'the queue'} allows, "
        f"{limit_text(limits.seconds)}",
        f"{_ELSEWHERE}, or raise max_jobs, so that each job has less to do",
    )


def _memory(
    asked: Mapping[str, int | str], limits: Limits, n_workers: int
) -> _Bound | None:
    megabytes = _number(asked, "mem_mb")
    if not megabytes:
        n_cpus = _number(asked, "cpus_per_task") or 1
        megabytes = _number(asked, "mem_mb_per_cpu") * n_cpus
    if not megabytes or limits.memory is None:
        return None
    advice = _ELSEWHERE
    if n_workers > 1:
        advice += f", or lower pool_size, as {n_workers} workers share the memory"
    return _Bound(
        megabytes,
        int(limits.memory // _MEBI),
        f"all the memory that {limits.where or 'the queue'} allows, "
        f"{memory_size(limits.memory)}",
        advice,
    )


def _number(asked: Mapping[str, int | str], resource: str) -> int:
    """Return what a job has asked for; 0 where that is not known."""
    found = asked.get(resource)
    return found if isinstance(found, int) else 0


def _told(
    item: QueuedJob, values: Mapping[str, Any], need: Need | None, cap: _Bound | None
) -> str:
    """Return with what a job is tried again, and why."""
    changed = [f"{k}={v}" for k, v in values.items() if v != item.values.get(k)]
    more = f" with {', '.join(changed)}" if changed else ""
    most = "" if cap is None else f", {cap.shown}"
    why = "" if need is None else f": {need.why}"
    return f"it is tried again{more}{most}{why}"
