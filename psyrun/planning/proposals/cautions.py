"""What needs attention before a sweep is run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from psyrun.estimate import Estimate
from psyrun.planning.proposals.answers import JobMemory, WallTime
from psyrun.planning.proposals.requested import requested_memory, requested_seconds
from psyrun.planning.proposals.settings import memory_needed
from psyrun.planning.proposals.situation import Situation
from psyrun.planning.proposals.work import Work
from psyrun.utils.text import (
    limit_text,
    memory_size,
    short_duration,
)

_TOO_SHORT = 1.0  # seconds of work of a job below which its start is most of it
_TOO_MUCH = 10.0  # times what is needed


def cautions(
    estimate: Estimate,
    situation: Situation,
    work: Work,
    current: WallTime | None,
    memory: JobMemory | None,
) -> Iterator[str]:
    """Yield what needs attention, as sentences without a full stop.

    Parameters
    ----------
    estimate, situation, work
        What is known.
    current : WallTime or None
        How long the run takes as it is set; None if nothing is left.
    memory : JobMemory or None
        What jobs need as it is set.
    """
    yield from _of_model(estimate)
    if current is None:
        return
    yield from _of_times(situation, work, current)
    yield from _of_overhead(situation, work, current)
    if memory is not None:
        yield from _of_memory(situation, memory)
    yield from _of_limits(situation, current)


def _of_model(estimate: Estimate) -> Iterator[str]:
    """Tell of memory; how sure the times are, stands beside their basis."""
    if estimate.memory is not None and estimate.memory.reason:
        yield f"what memory is needed is a rough number: {estimate.memory.reason}"


def _of_times(s: Situation, work: Work, current: WallTime) -> Iterator[str]:
    limit = requested_seconds(s) if s.is_queued else None
    for seconds, what in (
        (limit, "the time limit"),
        (s.limits.seconds, f"the longest time of {s.limits.where or 'the queue'}"),
    ):
        if seconds is None:
            continue
        shown = f"{what}, {limit_text(seconds)}"
        if work.longest.value > seconds:
            took = short_duration(work.longest.value)
            yield f"the slowest assignment takes {took}, longer than {shown}"
        elif seconds < work.longest.high < math.inf:
            took = short_duration(work.longest.high)
            yield f"the slowest assignment may take {took}, longer than {shown}"
        elif current.longest_job.value > seconds:
            took = short_duration(current.longest_job.value)
            yield f"a job takes up to {took}, longer than {shown}"


def _of_overhead(s: Situation, work: Work, current: WallTime) -> Iterator[str]:
    n = current.n_jobs
    mean = work.seconds.value / (n * s.pool_size)
    if n > 1 and mean < max(_TOO_SHORT, s.overhead):
        yield (
            f"jobs are mostly overhead: each evaluates for {short_duration(mean)}, and "
            f"takes {short_duration(s.overhead)} to start and end"
        )


def _of_memory(s: Situation, memory: JobMemory) -> Iterator[str]:
    asked = requested_memory(s) if s.is_queued else None
    job, needed = memory.job, memory_needed(memory.job)
    if asked is not None and job.value > asked:
        yield (
            f"a job needs up to {memory_size(job.value)} of memory, but asks for "
            f"{memory_size(asked)}: it will be killed"
        )
    elif asked is not None and asked >= _TOO_MUCH * needed:
        yield (
            f"jobs ask for {memory_size(asked)} of memory, "
            f"{asked / needed:.0f} times what they need"
        )
    most, at_once = s.limits.memory, max(1, (s.cores or 1) // s.pool_size)
    if most is not None and job.value * at_once > most:
        jobs = "a job needs" if at_once == 1 else f"{at_once} jobs at once need"
        yield (
            f"{jobs} up to {memory_size(job.value * at_once)} of memory, more than "
            f"{s.limits.where or 'the machine'} has, {memory_size(most)}"
        )


def _of_limits(s: Situation, current: WallTime) -> Iterator[str]:
    if not s.is_queued:
        return
    limits, where = s.limits, s.limits.where or "the queue"
    asked, memory = requested_seconds(s), requested_memory(s)
    if asked and limits.seconds and asked > limits.seconds:
        yield (
            f"the time limit is {limit_text(asked)}, but {where} allows "
            f"{limit_text(limits.seconds)}"
        )
    if memory and limits.memory and memory > limits.memory:
        yield (
            f"jobs ask for {memory_size(memory)} of memory, but a machine of {where} "
            f"has {memory_size(limits.memory)}"
        )
    if limits.cores and s.n_cpus > limits.cores:
        yield (
            f"jobs ask for {s.n_cpus} cores, but a machine of {where} has "
            f"{limits.cores}"
        )
    if limits.n_jobs and current.n_jobs > limits.n_jobs:
        yield (
            f"you may submit {limits.n_jobs} jobs at once, of {current.n_jobs}; the "
            "others are submitted as these end, so that the run takes longer"
        )
