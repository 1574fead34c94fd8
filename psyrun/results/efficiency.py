"""What jobs in a queue have used of what was reserved for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from psyrun.queue.past_jobs import PastJob, past_jobs, with_usages
from psyrun.results.costs import known_costs, with_failures
from psyrun.scheduler.units import bytes_of, memory_text, seconds_of, time_text
from psyrun.store.costs import PEAK_BYTES, Costs
from psyrun.utils.text import counted, memory_size, number_text, rough_duration
from psyrun.workdir.failures import Failure
from psyrun.workdir.layout import PROCESS, TaskLayout
from psyrun.workdir.origin import original_of
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData

_Number = TypeVar("_Number", int, float)
Source: TypeAlias = Literal["queue", "rows"]
"""Who has counted: the queue, or psyrun by its rows and the traces of jobs."""

CPU, MEMORY = "CPU time", "memory"
"""What rows may tell better than a queue."""

_HOUR = 3600.0  # seconds
_MUCH = 0.5  # of what was reserved; advice is given if no more than this is needed
_SPARE_MEMORY, _SPARE_TIME = 1.25, 1.5  # times what was used
_BASE = 100.0 * 2**20  # bytes of processes of a job that evaluate nothing
_LONG = 60.0  # seconds; the processors of shorter jobs mostly wait for files
_IDLE = 0.1  # cores that are not rounded up to a whole one
_CLOCKS = 2.0  # seconds by which a row may seem to be older than its job


@dataclass(frozen=True)
class JobUse:
    """What the jobs of one step have used, and what was reserved for them.

    What is not known is None.

    Attributes
    ----------
    step : str
        Such as ``process``.
    n_jobs : int
        Jobs that were submitted.
    n_counted : int
        Jobs that are counted here: they have ended.
    source : str
        Who has counted, ``queue`` or ``rows``.
    of_rows : tuple of str
        What rows tell as the queue has seen less of it: ``CPU time`` or ``memory``.
    cpu_seconds : float or None
        CPU time of all of these jobs. By the rows it is the time of evaluations.
    core_seconds : float or None
        Time of all cores that were reserved for them.
    n_cores : int or None
        Cores that were reserved for each, the most of all jobs.
    busy_cores : float or None
        Cores that a job has kept busy on average, the most of all long jobs.
    peak_bytes : float or None
        Memory that a job has used, the most of all jobs. By the rows it is that of
        the largest process times the number of processes of a job.
    memory_bytes : float or None
        Memory that was reserved for each, the most of all jobs.
    is_per_core : bool
        Whether the memory was asked for per core.
    longest_seconds : float or None
        How long the longest job took.
    limit_seconds : float or None
        The longest time limit of all jobs.
    """

    step: str
    n_jobs: int
    n_counted: int
    source: Source
    cpu_seconds: float | None = None
    core_seconds: float | None = None
    n_cores: int | None = None
    busy_cores: float | None = None
    peak_bytes: float | None = None
    memory_bytes: float | None = None
    is_per_core: bool = False
    longest_seconds: float | None = None
    limit_seconds: float | None = None
    of_rows: tuple[str, ...] = ()

    @property
    def share(self) -> float | None:
        """Part of the time of the reserved cores that was used."""
        if self.cpu_seconds is None or not self.core_seconds:
            return None
        return self.cpu_seconds / self.core_seconds

    @property
    def lines(self) -> list[str]:
        """What is to be said of it, as lines of less than 80 characters."""
        peaks = ", ".join(filter(None, [self._memory(), self._time()]))
        lower = ", ".join(f"{name} {value}" for name, value in self.advice().items())
        told = " and ".join(self.of_rows)
        rows = told and f"{told} by rows; the queue has seen less"
        texts = [self._cores(), peaks, rows, lower and f"could be lower: {lower}"]
        return list(filter(None, texts))

    def _cores(self) -> str:
        n_jobs = counted(self.n_jobs, "job")
        if self.n_counted < self.n_jobs:
            n_jobs = f"{self.n_counted} of {n_jobs}"
        known = [s for s in (self.cpu_seconds, self.core_seconds) if s is not None]
        if not known:
            return f"{self.step}: {n_jobs}"
        hours = " of ".join(map(core_hours, known))
        what = "reserved" if self.cpu_seconds is None else "used"
        share = "" if self.share is None else f" ({100 * self.share:.0f} %)"
        return f"{self.step}: {n_jobs}, {hours} core-hours {what}{share}"

    def _memory(self) -> str:
        return _of("memory", self.peak_bytes, self.memory_bytes, memory_size)

    def _time(self) -> str:
        return _of("time", self.longest_seconds, self.limit_seconds, rough_duration)

    def advice(self) -> dict[str, str]:
        """Return what could be asked for, by names of `scheduler_args`.

        Only what is no more than half of what was reserved, and only once all jobs
        have been counted: the others may need more.
        """
        found: dict[str, str] = {}
        if self.n_counted < self.n_jobs:
            return found
        if self._is_lower(self.needed_bytes, self.memory_bytes):
            n_parts = (self.n_cores or 1) if self.is_per_core else 1
            name = "memory_per_cpu" if self.is_per_core else "memory"
            found[name] = memory_text((self.needed_bytes or 0) / n_parts)
        if self._is_lower(self.needed_seconds, self.limit_seconds):
            found["timelimit"] = time_text(self.needed_seconds or 0)
        if self._is_lower(self.needed_cores, self.n_cores):
            found["n_cpus"] = str(self.needed_cores)
        return found

    @staticmethod
    def _is_lower(needed: float | None, reserved: float | None) -> bool:
        if needed is None or reserved is None:
            return False
        return needed <= _MUCH * reserved

    @property
    def needed_bytes(self) -> float | None:
        """Memory that would suffice for each job, with a quarter to spare."""
        if self.peak_bytes is None:
            return None
        is_of_rows = self.source == "rows" or MEMORY in self.of_rows
        base = _BASE if is_of_rows else 0.0
        return bytes_of(memory_text(_SPARE_MEMORY * self.peak_bytes + base))

    @property
    def needed_seconds(self) -> float | None:
        """Time limit that would suffice for each job, with half as much to spare."""
        if self.longest_seconds is None:
            return None
        return seconds_of(time_text(_SPARE_TIME * self.longest_seconds))

    @property
    def needed_cores(self) -> int | None:
        """Cores that each job can keep busy; None if no job was long enough to say."""
        if self.busy_cores is None:
            return None
        return max(1, math.ceil(self.busy_cores - _IDLE))


def _of(
    what: str,
    used: float | None,
    reserved: float | None,
    shown: Callable[[float], str],
) -> str:
    """Return such as ``memory 920 MiB of 16 GiB at most``; empty if it is not known."""
    if used is None:
        return ""
    of_all = "" if reserved is None else f" of {shown(reserved)}"
    return f"{what} {shown(used)}{of_all} at most"


def efficiency_of(
    layout: TaskLayout,
    plan: Plan,
    data: RoundData | None = None,
    costs: Costs | None = None,
    failures: Sequence[Failure] = (),
    *,
    ask: bool = True,
) -> list[JobUse]:
    """Return what the jobs of a task in a queue have used, by step.

    The queue is asked once about all jobs. What it does not tell follows from the rows
    and from the times of jobs.

    Parameters
    ----------
    layout, plan : TaskLayout, Plan
        The task. Jobs of the round of the plan count.
    data : RoundData, optional
        That round, for the costs of its rows.
    costs : Costs, optional
        These costs, if somebody has read them.
    failures : sequence of Failure
        The assignments of that round that failed: their last evaluations count, too.
    ask : bool
        Whether to ask the queue; else what it has told before counts. That of a copy
        is never asked, as the jobs were those of the original.

    Returns
    -------
    list of JobUse
        In the order in which jobs were submitted; empty if no job was, or none of
        them has ended.
    """
    jobs = past_jobs(layout, plan.round)
    if ask and jobs and original_of(layout) is None:
        jobs = with_usages(jobs, layout.round(plan.round))
    found = []
    for step in dict.fromkeys(job.step for job in jobs):
        own = [job for job in jobs if job.step == step]
        use = _by_queue(step, own)
        if step == PROCESS and costs is None and data is not None:
            costs = known_costs(data)
        if step == PROCESS and costs is not None:
            costs, failures = with_failures(costs, failures), ()
        by_rows = _by_rows(step, own, plan, costs)
        found.append(by_rows if use is None else _completed(use, by_rows, plan))
    return [use for use in found if use.n_counted]


def _completed(use: JobUse, by_rows: JobUse, plan: Plan) -> JobUse:
    """Return what the queue has counted, and what rows tell that it has not seen.

    Slurm looks at the memory of a job from time to time, every 30 s by default
    (``JobAcctGatherFrequency``). So it knows none of a short job and may miss the peak
    of a long one; at some sites it counts neither memory nor CPU time.
    """
    cpu_seconds, peak_bytes = use.cpu_seconds, use.peak_bytes
    of_rows = []
    # Rows of jobs that still run would be more than these jobs have used.
    if cpu_seconds is None and use.n_counted == use.n_jobs:
        cpu_seconds = by_rows.cpu_seconds
        of_rows += [CPU] if cpu_seconds is not None else []
    peak = by_rows.peak_bytes
    # A job has at least the memory of one of its processes.
    if peak is not None and peak / plan.pool_size > (peak_bytes or 0):
        peak_bytes = peak
        of_rows.append(MEMORY)
    return replace(
        use, cpu_seconds=cpu_seconds, peak_bytes=peak_bytes, of_rows=tuple(of_rows)
    )


def _by_queue(step: str, jobs: Sequence[PastJob]) -> JobUse | None:
    """Return what the queue says of jobs; None if it says nothing."""
    told = [job.usage for job in jobs if job.usage is not None]
    if not told:
        return None
    works = [
        (use.cpu_seconds, use.seconds, use.n_cores)
        for use in told
        if use.cpu_seconds is not None and use.seconds is not None and use.n_cores
    ]
    # Of all jobs, or of those whose CPU time is known too, for their share.
    reserved = [wall * n for _, wall, n in works] or [
        use.seconds * use.n_cores
        for use in told
        if use.seconds is not None and use.n_cores
    ]
    return JobUse(
        step,
        len(jobs),
        len(told),
        "queue",
        cpu_seconds=sum(cpu for cpu, *_ in works) if works else None,
        core_seconds=sum(reserved) if reserved else None,
        n_cores=_most(use.n_cores for use in told),
        busy_cores=_most(cpu / wall for cpu, wall, _ in works if wall >= _LONG),
        peak_bytes=_most(use.peak_bytes for use in told),
        memory_bytes=_most(use.memory_bytes for use in told),
        is_per_core=any(job.per_core for job in jobs),
        longest_seconds=_most(use.seconds for use in told),
        limit_seconds=_most(use.limit_seconds for use in told),
    )


def _by_rows(
    step: str, jobs: Sequence[PastJob], plan: Plan, costs: Costs | None
) -> JobUse:
    ended = [(job, _seconds(job)) for job in jobs if job.ended is not None]
    # Of a job that the queue has ended it is not known when.
    have_all = all(job.ended is not None for job in jobs if job.started is not None)
    of_cores = sum(wall * _cores(job, plan) for job, wall in ended)
    used = peak = None
    if step == PROCESS and costs is not None:
        used, peak = _of_rows(jobs, costs)
    return JobUse(
        step,
        len(jobs),
        len(ended),
        "rows",
        cpu_seconds=used,
        core_seconds=of_cores if have_all and ended else None,
        n_cores=_most(_cores(job, plan) for job in jobs),
        peak_bytes=None if peak is None else peak * plan.pool_size,
        memory_bytes=_most(job.memory_bytes for job in jobs),
        is_per_core=any(job.per_core for job in jobs),
        longest_seconds=_most(wall for _, wall in ended),
        limit_seconds=_most(job.limit_seconds for job in jobs),
    )


def _cores(job: PastJob, plan: Plan) -> int:
    return job.n_cores or (plan.pool_size if job.step == PROCESS else 1)


def core_hours(seconds: float) -> str:
    """Return the text of a number of hours on one core, given their seconds."""
    return number_text(seconds / _HOUR)


def _seconds(job: PastJob) -> float:
    return max(0.0, (job.ended or 0) - (job.started or job.ended or 0))


def _of_rows(
    jobs: Sequence[PastJob], costs: Costs
) -> tuple[float | None, float | None]:
    """Return the time and the largest peak of what jobs have evaluated."""
    starts = [job.started for job in jobs if job.started is not None]
    columns = costs.columns
    # Others were there before.
    is_own = columns["start"] >= min(starts, default=math.inf) - _CLOCKS
    times, peaks = columns["duration"][is_own], columns["peak"][is_own]
    times = times[np.isfinite(times)].astype(np.float64)
    peak = float(peaks.max(initial=0)) * PEAK_BYTES
    return float(times.sum()) if len(times) else None, peak or None


def _most(values: Iterable[_Number | None]) -> _Number | None:
    known = [value for value in values if value is not None]
    return max(known, default=None)
