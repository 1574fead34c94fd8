"""Settings of a task that fit what its assignments cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from psyrun.estimate import Estimate, Range
from psyrun.planning.proposals.answers import Setting
from psyrun.planning.proposals.memory import job_memory
from psyrun.planning.proposals.requested import (
    Argument,
    memory_argument,
    requested_memory,
    requested_seconds,
    time_argument,
)
from psyrun.planning.proposals.situation import Situation
from psyrun.planning.proposals.work import Work
from psyrun.scheduler.units import bytes_of, memory_text, seconds_of, time_text
from psyrun.utils.text import counted, limit_text, memory_size, rough_duration

_ARGS = "scheduler_args"
_TIMES_OVERHEAD = 10  # that a job should last; less is mostly waste
_SHORTEST_QUEUED = 60.0  # seconds that a job in a queue should last
_LONGEST = 86400.0  # seconds that it should last at most, where nothing else is known
_SPARE_TIME, _SPARE_MEMORY = 1.25, 1.15
_GUESSED = 2.0  # times what is predicted, where nothing bounds it


@dataclass(frozen=True)
class Jobs:
    """How a run is cut into jobs, with the reasons."""

    max_jobs: int | None
    min_items: int
    pool_size: int
    reasons: dict[str, str]


def settings(
    estimate: Estimate, situation: Situation, work: Work
) -> tuple[Setting, ...]:
    """Return what is proposed for each of the settings that a task can have."""
    jobs = _jobs(situation, work)
    found = list(_arguments(estimate, situation, work, jobs))
    for name in ("min_items", "max_jobs", "pool_size"):
        if name != "min_items" or not situation.backend.fetches:
            now, value = getattr(situation, name), getattr(jobs, name)
            found.append(Setting(name, None, now, value, jobs.reasons[name]))
    return tuple(found)


def _jobs(situation: Situation, work: Work) -> Jobs:
    s = situation
    shortest = _TIMES_OVERHEAD * s.overhead
    if s.is_queued:
        shortest = max(_SHORTEST_QUEUED, shortest)
    pool_size, of_pool = _pool_size(s)
    min_items, of_items = _min_items(s, work, shortest)
    max_jobs, of_jobs = s.max_jobs, ""
    n_jobs = s.n_jobs(max_jobs, min_items)
    if not s.is_queued:
        most = min(s.n_left, max(1, (s.cores or 1) // pool_size))
        if n_jobs < most:
            n_jobs = max_jobs = most
            of_jobs = f"so that each of {s.cores} cores has work"
    elif (n := _enough(s, work, n_jobs)) > n_jobs:
        n_jobs = max_jobs = n
        of_jobs = f"jobs of at most {limit_text(_allowed(s))}, {_of_what(s)}"
    elif s.backend.fetches and work.seconds.value < n_jobs * pool_size * shortest:
        max_jobs = max(1, int(work.seconds.value / (pool_size * shortest)))
        n_jobs = min(n_jobs, max_jobs)
        of_jobs = f"a job should last {limit_text(shortest)} or more"
    if not of_jobs:
        job = work.wall_time(s, n_jobs, pool_size, s.cores)[1].value
        of_jobs = f"{counted(n_jobs, 'job')} of at most {rough_duration(job)}"
    if s.n_left and s.n_left // min_items < n_jobs:
        min_items = max(1, s.n_left // n_jobs)
        of_items = f"so that there are {n_jobs} jobs"
    reasons = {"min_items": of_items, "max_jobs": of_jobs, "pool_size": of_pool}
    return Jobs(max_jobs, min_items, pool_size, reasons)


def _pool_size(s: Situation) -> tuple[int, str]:
    if s.cores is not None and s.pool_size > s.cores:
        return s.cores, f"no more than {counted(s.cores, 'core')} at once"
    if s.n_cpus > s.pool_size:
        of_each = s.n_cpus // s.pool_size
        return s.pool_size, f"{of_each} cores for the threads of each worker"
    if s.cores is not None:
        return s.pool_size, "as many jobs at once as there are cores for"
    if s.pool_size == 1:
        return 1, "jobs with one core start soonest"
    return s.pool_size, "a core for each worker"


def _min_items(s: Situation, work: Work, shortest: float) -> tuple[int, str]:
    """Return the fewest assignments of a job that lasts long enough."""
    mean = work.mean
    each = f"an assignment takes {rough_duration(mean)}"
    if not s.n_left or s.backend.fetches or mean <= 0:
        return s.min_items, each
    least = math.ceil(shortest * s.pool_size / mean)
    if s.cores is not None:
        least = min(least, s.n_left // max(1, s.cores // s.pool_size))
    least = max(1, min(_rounded_up(least), s.n_left))
    # No more jobs than are asked for, so that a small number is no harm.
    size = s.n_left / max(1, s.n_jobs(s.max_jobs, 1))
    if size >= least or s.min_items >= least:
        return s.min_items, each
    why = f"so that jobs last {limit_text(shortest)} or more"
    return least, f"{each}; {why}"


def _rounded_up(number: int) -> int:
    """Return a number with two digits that are not zero, none smaller."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / unit) * unit


def _allowed(s: Situation) -> float:
    """Return how long a job may last."""
    return _LONGEST if s.limits.seconds is None else s.limits.seconds


def _of_what(s: Situation) -> str:
    if s.limits.seconds is None:
        return "which start sooner than longer ones"
    return f"as {s.limits.where or 'the queue'} allows"


def _enough(s: Situation, work: Work, n_jobs: int) -> int:
    """Return how many jobs it takes for each to last no longer than it may.

    There are no more where that makes them no shorter.
    """
    needed = time_needed(work.wall_time(s, n_jobs, s.pool_size, None)[1])
    first, allowed = n_jobs, _allowed(s)
    while needed > allowed and n_jobs < s.n_left:
        more = _rounded_up(math.ceil(n_jobs * min(10.0, max(1.25, needed / allowed))))
        more = min(more, s.n_left)
        shorter = time_needed(work.wall_time(s, more, s.pool_size, None)[1])
        if shorter > 0.97 * needed:
            break
        n_jobs, needed = more, shorter
    return max(first, n_jobs)


def time_needed(job: Range) -> float:
    """Return seconds that a job should be given."""
    bound = job.high if math.isfinite(job.high) else _GUESSED * job.value
    return _SPARE_TIME * bound


def memory_needed(job: Range) -> float:
    """Return bytes that a job should be given."""
    bound = job.high if math.isfinite(job.high) else _GUESSED * job.value
    return _SPARE_MEMORY * bound


def _arguments(
    estimate: Estimate, situation: Situation, work: Work, jobs: Jobs
) -> Iterator[Setting]:
    """Yield the arguments of the queue."""
    if not situation.is_queued or not situation.n_left:
        return
    argument = time_argument(situation)
    if argument is not None:
        n_jobs = situation.n_jobs(jobs.max_jobs, jobs.min_items)
        job = work.wall_time(situation, n_jobs, jobs.pool_size, None)[1]
        needed, most = time_needed(job), situation.limits.seconds
        text = time_text(needed)
        if most is not None and seconds_of(text) > most:
            text = f"{max(1, int(most // 60))}m"
        now = requested_seconds(situation)
        reason = _with_bound("the longest job", job, rough_duration)
        yield _setting(argument, now, needed, seconds_of(text), text, reason)
    argument = memory_argument(situation)
    memory = job_memory(estimate.memory, situation, jobs.pool_size)
    if argument is not None and memory is not None:
        needed = memory_needed(memory.job)
        text = memory_text(needed / argument.per)
        most = situation.limits.memory
        if most is not None and bytes_of(text) * argument.per > most:
            text = f"{max(1, int(most / argument.per / 2**20))}M"
        now = requested_memory(situation)
        size = bytes_of(text) * argument.per
        reason = _with_bound("the largest job", memory.job, memory_size)
        yield _setting(argument, now, needed, size, text, reason)


def _setting(
    argument: Argument,
    now: float | None,
    needed: float,
    size: float,
    text: str,
    reason: str,
) -> Setting:
    """Return an argument, as it is if that fits well enough."""
    is_good = now is not None and needed <= now <= _GUESSED * size
    value: Any = argument.now if is_good else text
    return Setting(_ARGS, argument.key, argument.now, value, reason)


def _with_bound(what: str, needs: Range, shown: Callable[[float], str]) -> str:
    """Return what something needs, and at most."""
    if not math.isfinite(needs.high):
        return f"{what} needs {shown(needs.value)}; twice that, as no bound is known"
    value, most = shown(needs.value), shown(needs.high)
    return f"{what} needs {value}" + (f", at most {most}" if most != value else "")
