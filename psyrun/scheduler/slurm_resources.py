"""Arguments for Slurm as Snakemake's resources, and more of them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from math import ceil
from typing import Any

from psyrun.scheduler import quantities, slurm_options
from psyrun.scheduler.jobs import Cause
from psyrun.scheduler.slurm_options import UNLIMITED

_SAME = {
    "n_cpus": "cpus_per_task",
    "n_nodes": "nodes",
    "partition": "slurm_partition",
    "account": "slurm_account",
    "qos": "qos",
    "constraint": "constraint",
    "gres": "gres",
    "ntasks": "tasks",
    "ntasks-per-gpu": "tasks_per_gpu",
    "ntasks-per-node": "tasks_per_node",
    "cpus-per-gpu": "cpus_per_gpu",
}
# That plug-in states these itself, and refuses them among the extra options.
_LEFT_OUT = ("export", "gpus")
_MEMORY = ("memory", "memory_per_cpu", "mem-per-gpu")


def minutes(values: Mapping[str, Any]) -> int | None:
    """Return the time limit in minutes.

    Parameters
    ----------
    values : mapping of str to object
        As `Slurm.validate` returned them.

    Returns
    -------
    int or None
        None if there is none.
    """
    limit = values.get("timelimit", UNLIMITED)
    if limit == UNLIMITED:
        return None
    days, _, clock = limit.partition("-")
    hours, _, rest = clock.partition(":")
    return 24 * 60 * int(days) + 60 * int(hours) + int(rest)


def resources(values: Mapping[str, Any]) -> dict[str, int | str]:
    """Return arguments as ``snakemake-executor-plugin-slurm`` reads them.

    Parameters
    ----------
    values : mapping of str to object
        As `Slurm.validate` returned them.

    Returns
    -------
    dict of str to int or str
        Options that have no resource of their own are in ``slurm_extra``.
    """
    found: dict[str, int | str] = {}
    limit = minutes(values)
    if limit is not None:
        found["runtime"] = limit
    for name, resource in (("memory", "mem_mb"), ("memory_per_cpu", "mem_mb_per_cpu")):
        if name in values:
            found[resource] = quantities.megabytes(values[name])
    found |= {_SAME[name]: value for name, value in values.items() if name in _SAME}
    found |= _gpus(values)
    extra = slurm_options.words(
        {
            name: value
            for name, value in values.items()
            if name not in (*_SAME, *_LEFT_OUT, "timelimit", "memory", "memory_per_cpu")
        }
    )
    return found | ({"slurm_extra": shlex.join(extra)} if extra else {})


def _gpus(values: Mapping[str, Any]) -> dict[str, int | str]:
    if "gpus" not in values:
        return {}
    model, _, number = str(values["gpus"]).rpartition(":")
    found: dict[str, int | str] = {"gpu": int(number) if number.isdecimal() else number}
    return found | ({"gpu_model": model} if model else {})


def raised(
    values: Mapping[str, Any], cause: Cause, factor: float
) -> dict[str, Any] | None:
    """Return arguments with more memory or more time.

    Parameters
    ----------
    values : mapping of str to object
        As `Slurm.validate` returned them.
    cause : Cause
        What there was too little of.
    factor : float
        How many times as much there is to be.

    Returns
    -------
    dict of str to object or None
        None where nothing can be raised.
    """
    more: dict[str, Any] = {}
    limit = minutes(values)
    if cause is Cause.TIME and limit is not None:
        more["timelimit"] = slurm_options.slurm_time(ceil(limit * factor))
    if cause is Cause.MEMORY:
        for name in _MEMORY:
            amount = quantities.megabytes(values.get(name, 0))
            if amount:
                more[name] = quantities.memory(ceil(amount * factor))
    return {**values, **more} if more else None
