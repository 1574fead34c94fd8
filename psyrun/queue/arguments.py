"""What jobs ask of a queue."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.layout import MERGE, PROCESS, SPLIT, TaskLayout
from psyrun.plan import Plan
from psyrun.scheduler.base import Scheduler


def arguments(
    scheduler: Scheduler,
    scheduler_args: Mapping[str, Any],
    plan: Plan,
    step: str,
    block: int | str | None = None,
) -> dict[str, Any]:
    """Return the scheduler's arguments for one job.

    Parameters
    ----------
    scheduler : Scheduler
        The scheduler.
    scheduler_args : mapping of str to object
        What the task asks for; functions take the name of a job.
    plan : Plan
        The plan that the job belongs to.
    step : str
        The step.
    block : int or str, optional
        The block of a process job.

    Raises
    ------
    SchedulerError
        If they are not accepted.
    """
    name = TaskLayout.of(plan.workdir, plan.task).job(step, block)
    values = scheduler.validate(scheduler_args, name)
    takes_cores = "n_cpus" in (scheduler.OPTIONS or {})
    is_parallel = step == PROCESS and plan.pool_size > 1
    if is_parallel and takes_cores and "n_cpus" not in scheduler_args:
        # Each process of a job needs a core, unless the user knows better and has
        # said so by another name.
        with suppress(SchedulerError):
            given = {**scheduler_args, "n_cpus": plan.pool_size}
            return scheduler.validate(given, name)
    return values


def resources(
    scheduler: Scheduler, scheduler_args: Mapping[str, Any], plan: Plan
) -> dict[str, dict[str, int | str]]:
    """Return what jobs ask for as Snakemake's resources, for its other executors.

    Where process jobs ask for different amounts, each is given the largest.

    Parameters
    ----------
    scheduler : Scheduler
        The scheduler.
    scheduler_args : mapping of str to object
        What the task asks for.
    plan : Plan
        The plan.

    Returns
    -------
    dict of str to dict
        Resources by the name of the step.

    Raises
    ------
    SchedulerError
        If arguments are not accepted.
    """

    def of(step: str, block: int | None = None) -> dict[str, int | str]:
        return scheduler.resources(
            arguments(scheduler, scheduler_args, plan, step, block)
        )

    varies = any(callable(value) for value in scheduler_args.values())
    blocks = range(plan.n_blocks if varies else 1)
    found = [of(PROCESS, block) for block in blocks]
    names = dict.fromkeys(name for one in found for name in one)
    most = {name: _most([one[name] for one in found if name in one]) for name in names}
    return {SPLIT: of(SPLIT), PROCESS: most, MERGE: of(MERGE)}


def time_limit(scheduler: Scheduler, values: Mapping[str, Any]) -> int | None:
    """Return the time limit of a job in minutes.

    Parameters
    ----------
    scheduler : Scheduler
        The scheduler.
    values : mapping of str to object
        Its arguments for the job.

    Returns
    -------
    int or None
        None where that is not known.
    """
    minutes = scheduler.resources(values).get("runtime")
    return minutes if isinstance(minutes, int) else None


def _most(values: list[int | str]) -> int | str:
    numbers = [value for value in values if isinstance(value, int)]
    return max(numbers) if len(numbers) == len(values) else values[0]
