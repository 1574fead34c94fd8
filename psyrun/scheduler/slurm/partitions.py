"""What partitions of Slurm allow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.scheduler.slurm.commands import ask
from psyrun.scheduler.slurm.options import minutes, slurm_time


def partitions() -> dict[str, dict[str, str]]:
    """Return the settings of all partitions, as scontrol names them, by partition."""
    shown = ask(["scontrol", "show", "partition", "-o"]).stdout.splitlines()
    found = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown]
    return {one["PartitionName"]: one for one in found if "PartitionName" in one}


def default_partition(known: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the partition of jobs that name none; None if they must name one."""
    return next((p for p, one in known.items() if one.get("Default") == "YES"), None)


def check_limits(values: Mapping[str, Any]) -> None:
    """Raise `SchedulerError` if no partition of a job would ever start it.

    `values` are the checked arguments of the job. Slurm itself may take it, and let
    it wait for ever.
    """
    if "timelimit" not in values and "n_nodes" not in values:
        return
    try:
        known = partitions()
    except SchedulerError:
        # sbatch will say more.
        return
    given = values.get("partition") or os.environ.get("SBATCH_PARTITION")
    names = str(given or default_partition(known) or "").split(",")
    reasons = [_too_much(values, name, known.get(name, {})) for name in names]
    if all(reasons) and not _may_exceed_limits():
        others = [n for n, one in known.items() if not _too_much(values, n, one)]
        hint = f", or choose another partition: {', '.join(others)}" if others else ""
        raise SchedulerError(
            f"scheduler_args: {'; '.join(filter(None, reasons))}. Ask for less{hint}."
        )


def _too_much(
    values: Mapping[str, Any], name: str, limits: Mapping[str, str]
) -> str | None:
    """Return what exceeds the limits of a partition, None if nothing does."""
    longest, asked = _minutes(limits.get("MaxTime", "")), minutes(values)
    if asked and longest and asked > longest and "time-min" not in values:
        shown = limits["MaxTime"]
        return f"timelimit is {values['timelimit']}, but {name!r} allows {shown}"
    most, n_nodes = limits.get("MaxNodes", ""), str(values.get("n_nodes", 1))
    least = int(n_nodes.partition("-")[0])
    if most.isdecimal() and least > int(most):
        return f"n_nodes is {n_nodes}, but {name!r} allows {most}"
    total = limits.get("TotalNodes", "")
    if total.isdecimal() and least > int(total):
        return f"n_nodes is {n_nodes}, but {name!r} has {total}"
    return None


def _minutes(limit: str) -> int | None:
    try:
        return minutes({"timelimit": slurm_time(limit)})
    except ValueError:
        return None


def _may_exceed_limits() -> bool:
    """Whether there is a QOS whose jobs may exceed the limits of partitions."""
    try:
        done = ask(["sacctmgr", "-n", "-P", "show", "qos", "format=flags"])
    except SchedulerError:
        return False
    return done.returncode == 0 and "Partition" in done.stdout
