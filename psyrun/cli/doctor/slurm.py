"""Checks of Slurm, and of the commands of Sqsub."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

from psyrun.cli.doctor.finding import Finding, ok, problem, warning
from psyrun.errors import SchedulerError
from psyrun.scheduler import Slurm, Sqsub
from psyrun.scheduler.commands import call, words_of
from psyrun.scheduler.jobs import JobId
from psyrun.scheduler.slurm.commands import ask
from psyrun.scheduler.slurm.partitions import (
    default_partition,
    partitions,
    submit_limits,
)

_COMMENT = 10.0  # seconds that sacct has to show a job
_FEW_JOBS = 100  # a task's max_jobs, unless it says otherwise


def check_slurm(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Check Slurm without a job; `values` are the arguments of one."""
    yield (commands := _commands())
    if commands.level == "problem":
        return
    yield (controller := _controller())
    if controller.level == "problem":
        return
    yield _limits()
    yield from _partition(values.get("partition"))
    yield from _submit_limits()
    yield _accounting()


def _commands() -> Finding:
    missing = [name for name in Slurm.PROGRAMS if shutil.which(name) is None]
    if missing:
        return problem(
            "commands",
            f"{', '.join(missing)} not found on the PATH. Log in to a login node of "
            "the cluster, or load the module that has them.",
        )
    found = [name for name in (*Slurm.PROGRAMS, "sacct") if shutil.which(name)]
    version = call(["sbatch", "--version"]).stdout.strip()
    return ok("commands", f"{', '.join(found)} of {version}")


def _controller() -> Finding:
    try:
        answer = ask(["scontrol", "ping"])
    except SchedulerError as error:
        return problem("controller", str(error))
    if " UP" not in answer.stdout:
        text = words_of(answer.stdout, answer.stderr)
        return problem("controller", f"{text}. Try again later, or ask your admins.")
    return ok("controller", words_of(answer.stdout))


def _settings() -> dict[str, str]:
    lines = ask(["scontrol", "show", "config"]).stdout.splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _limits() -> Finding:
    settings = _settings()
    names = ("MaxArraySize", "MaxJobCount", "MinJobAge")
    text = ", ".join(f"{name} {settings.get(name, 'unknown')}" for name in names)
    if settings.get("MaxArraySize") in ("0", "1"):
        return problem(
            "limits", f"{text}: Slurm takes no job arrays here. Ask your admins."
        )
    return ok("limits", f"{text}; larger arrays are submitted in parts")


def _partition(name: str | None) -> Iterator[Finding]:
    """Check the partition that is named, or the one that is the default."""
    known = partitions()
    default = default_partition(known)
    names = ", ".join(sorted(known))
    if name is None and default is None:
        yield warning(
            "partition",
            f"none is the default. Choose one of {names}: --arg partition=NAME here, "
            "scheduler_args in psy-conf.py.",
        )
    for one in (name or default or "").split(","):
        if one and one not in known:
            yield problem("partition", f"{one} is not there. Choose one of {names}.")
        elif one:
            which = "" if name else " (the default)"
            state = known[one].get("State", "unknown")
            limit = known[one].get("MaxTime", "unknown")
            text = f"{one}{which}, longest time {limit}, state {state}"
            yield (ok if state == "UP" else warning)("partition", text)


def _submit_limits() -> Iterator[Finding]:
    """Say how many jobs may be submitted, where it is known."""
    for account, most, running in submit_limits():
        text = f"account {account}: {most or 'any number of'} jobs at once"
        text += f", of which {running} run" if running else ""
        few = most.isdecimal() and int(most) < _FEW_JOBS
        more = "; the others are submitted as jobs end" if few else ""
        yield ok("submit limit", text + more)


def _accounting() -> Finding:
    try:
        done = call(["sacct", "-n", "-P", "-X", "-o", "JobID"])
        complaint = words_of(done.stderr, done.stdout) if done.returncode else ""
    except SchedulerError as error:
        complaint = str(error)
    if complaint:
        return warning(
            "accounting",
            f"sacct does not work: {complaint.rstrip('.')}. Why jobs ended is read "
            "from scontrol and from what they wrote instead; nothing is to be done.",
        )
    return ok("accounting", "sacct works")


def after_slurm(jobid: JobId, key: str) -> Iterator[Finding]:
    """Check that accounting knows the comment of a job that has ended, its key."""
    asked = ["sacct", "-n", "-P", "-X", "-j", str(jobid), "-o", "State,Comment"]
    deadline = time.monotonic() + _COMMENT
    while True:
        done = call(asked)
        if done.returncode != 0:
            return
        if "COMPLETED" in done.stdout or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if key in done.stdout:
        yield ok("comments", "sacct shows those of jobs")
    else:
        yield warning(
            "comments",
            "sacct does not show those of jobs, by which a submission that was cut off "
            "is found again; squeue does, as long as it lists the job. Nothing is lost "
            "if a run is continued within MinJobAge.",
        )


def check_sqsub() -> Iterator[Finding]:
    """Check that the commands of Sqsub are there."""
    missing = [name for name in Sqsub.PROGRAMS if shutil.which(name) is None]
    if missing:
        yield problem(
            "commands",
            f"{', '.join(missing)} not found on the PATH. Log in to a machine of the "
            "cluster.",
        )
    else:
        yield ok("commands", ", ".join(Sqsub.PROGRAMS))
