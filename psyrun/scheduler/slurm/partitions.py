"""What partitions of Slurm allow."""

from __future__ import annotations

import getpass
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.scheduler.commands import call
from psyrun.scheduler.limits import Limits
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
    names = _names(values, known)
    reasons = [_too_much(values, name, known.get(name, {})) for name in names]
    if all(reasons) and not _may_exceed_limits():
        others = [n for n, one in known.items() if not _too_much(values, n, one)]
        hint = f", or choose another partition: {', '.join(others)}" if others else ""
        raise SchedulerError(
            f"scheduler_args: {'; '.join(filter(None, reasons))}. Ask for less{hint}."
        )


def _names(
    values: Mapping[str, Any], known: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Return the partitions of a job."""
    given = values.get("partition") or os.environ.get("SBATCH_PARTITION")
    return str(given or default_partition(known) or "").split(",")


def limits_of(values: Mapping[str, Any]) -> Limits:
    """Return what a job may ask for at most; nothing if Slurm does not tell.

    `values` are its checked arguments. Of several partitions, the one with the largest
    limits counts, as Slurm itself chooses among them.
    """
    try:
        known = partitions()
        names = [name for name in _names(values, known) if name in known]
        if not names:
            return Limits()
        memory, cores = _largest_node(names)
        times = [_minutes(known[name].get("MaxTime", "")) for name in names]
        known_times = [each for each in times if each is not None]
        is_bounded = len(known_times) == len(times) and not _may_exceed_limits()
        per_node = [known[name].get("MaxMemPerNode", "") for name in names]
        if memory and all(map(str.isdecimal, per_node)):
            memory = min(memory, *map(int, per_node)) if memory else None
        return Limits(
            where=f"partition {','.join(names)!r}",
            seconds=60.0 * max(known_times) if is_bounded else None,
            memory=None if memory is None else float(memory * 2**20),
            cores=cores,
            n_jobs=_most_jobs(values.get("account")),
        )
    except SchedulerError:
        return Limits()


def _largest_node(names: Sequence[str]) -> tuple[int | None, int | None]:
    """Return megabytes and cores of the largest machine of some partitions."""
    shown = ask(["scontrol", "show", "node", "-o"]).stdout.splitlines()
    nodes = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in shown]
    mine = [
        node
        for node in nodes
        if set(names).intersection(node.get("Partitions", "").split(","))
    ]
    found = []
    for name in ("RealMemory", "CPUTot"):
        numbers = [int(each[name]) for each in mine if each.get(name, "").isdecimal()]
        found.append(max(numbers, default=None))
    return found[0], found[1]


def _most_jobs(account: object) -> int | None:
    """Return how many jobs may be submitted at once with an account, or with any."""
    numbers = [
        int(most)
        for name, most, _ in submit_limits()
        if most.isdecimal() and account in (None, name)
    ]
    return max(numbers, default=None)


def submit_limits() -> list[tuple[str, str, str]]:
    """Return accounts of the user, with how many jobs may be submitted, and may run.

    Numbers are empty where there is no limit. Nothing is known without `sacctmgr`.
    """
    if shutil.which("sacctmgr") is None:
        return []
    form = "format=account,maxsubmit,maxjobs"
    asked = ["sacctmgr", "-n", "-P", "show", "assoc", f"user={_user()}", form]
    rows = [line.split("|") for line in call(asked).stdout.splitlines()]
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3]


def _user() -> str:
    """Return the name of the user; the number if there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


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
