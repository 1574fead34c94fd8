"""Checks of a queue, with a short job."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from psyrun.cli.doctor.finding import Finding, Level, ok, problem, warning
from psyrun.cli.doctor.machine import CLOCK_TOLERANCE
from psyrun.cli.doctor.slurm import after_slurm, check_slurm, check_sqsub
from psyrun.cli.doctor.trial_job import NAME, TrialJob, try_job
from psyrun.errors import SchedulerError
from psyrun.scheduler import Scheduler, Slurm, Sqsub
from psyrun.utils import __version__


def check_queue(
    scheduler: Scheduler,
    scheduler_args: Mapping[str, Any],
    folders: list[Path],
    patience: float,
) -> Iterator[Finding]:
    """Check a queue, and that jobs run in it, as far as there is no problem.

    Parameters
    ----------
    scheduler_args : mapping of str to object
        Arguments for the short job.
    folders : list of Path
        Folders that must be shared with the nodes; the first is the project's.
    patience : float
        Seconds that the job has.
    """
    try:
        values = scheduler.validate(scheduler_args, NAME)
    except SchedulerError as error:
        yield problem("arguments", f"{error} Give arguments as --arg NAME=VALUE.")
        return
    for finding in _before(scheduler, values):
        yield finding
        if finding.level is Level.PROBLEM:
            return
    try:
        trial = try_job(scheduler, values, folders, patience)
    except SchedulerError as error:
        yield problem("job", str(error))
        return
    yield from _check_trial(trial)
    if isinstance(scheduler, Slurm) and trial.state == "ended":
        yield from after_slurm(trial.id, trial.key)


def _before(scheduler: Scheduler, values: Mapping[str, Any]) -> Iterator[Finding]:
    """Check what can be checked without a job."""
    if isinstance(scheduler, Slurm):
        yield from check_slurm(values)
    elif isinstance(scheduler, Sqsub):
        yield from check_sqsub()
    try:
        jobs = scheduler.get_jobs()
    except SchedulerError as error:
        yield problem("queue", str(error))
    else:
        yield ok("queue", f"answers; {len(jobs)} of your jobs are queued or running")


def _check_trial(trial: TrialJob) -> Iterator[Finding]:
    if trial.state != "ended":
        yield _unfinished(trial)
        return
    if not trial.trace.host and not any(trial.answers.values()):
        yield _lost(trial)
        return
    if not any(trial.answers.values()):
        yield _failed(trial)
        return
    answer = next(filter(None, trial.answers.values()))
    yield ok("job", f"ran on {answer['host']}; {trial.seconds:.1f} s until its end")
    for folder, found in trial.answers.items():
        yield _folder(folder, found, trial.key)
    yield from _software(answer)
    yield from _environment(answer, trial.key)
    yield from _clock(answer, trial)


def _unfinished(trial: TrialJob) -> Finding:
    where = f"after {trial.seconds:.0f} s job {trial.id}"
    if trial.state == "running":
        return problem(
            "job",
            f"{where} of two seconds is still running, and was cancelled. See its "
            "machine, or give it longer: --timeout SECONDS.",
        )
    why = f" ({trial.reason})" if trial.reason else ""
    return problem(
        "job",
        f"{where} is still queued{why}, and was cancelled. If the queue is just busy, "
        "give it longer: --timeout SECONDS; else see --arg for partition or account.",
    )


def _lost(trial: TrialJob) -> Finding:
    why = f" ({trial.ending.text})" if trial.ending else ""
    return problem(
        "project folder",
        f"job {trial.id} has ended{why}, but nothing that it wrote is in {Path.cwd()}. "
        "The nodes must see the same folder under the same path: move the project to a "
        "file system that is shared with them.",
    )


def _failed(trial: TrialJob) -> Finding:
    output = trial.trace.text or (
        trial.ending.text if trial.ending else "it says nothing"
    )
    status = trial.trace.exit_status
    return problem(
        "Python on the node",
        f"the job on {trial.trace.host} failed with exit status {status}: {output} "
        f"{sys.executable} and psyrun must be there under the same path: install both "
        "in a folder that is shared with the nodes.",
    )


def _folder(folder: Path, answer: Mapping[str, Any] | None, key: str) -> Finding:
    about = "shared folder"
    if answer is not None and answer["note"] == key:
        return ok(about, f"{folder} is seen from both sides")
    which = (
        "a file of the job is not seen here"
        if answer is None
        else ("a file written here is not seen by the job")
    )
    return problem(
        about,
        f"{folder}: {which}. Choose a folder on a file system that is shared with the "
        "nodes, as workdir for example.",
    )


def _software(answer: Mapping[str, Any]) -> Iterator[Finding]:
    here = {"python": platform.python_version(), "psyrun": __version__}
    there = {name: answer[name] for name in here}
    if here == there:
        yield ok("Python on the node", f"{there['python']}, psyrun {there['psyrun']}")
        return
    yield problem(
        "Python on the node",
        f"{answer['executable']} is Python {there['python']} with psyrun "
        f"{there['psyrun']}, here it is {here['python']} with psyrun {here['psyrun']}. "
        "Install both in a folder that is shared with the nodes.",
    )


def _environment(answer: Mapping[str, Any], key: str) -> Iterator[Finding]:
    here = filter(None, os.environ.get("PATH", "").split(os.pathsep))
    there = answer["path"].split(os.pathsep)
    missing = [folder for folder in dict.fromkeys(here) if folder not in there]
    if answer["mark"] == key and not missing:
        yield ok("environment", "variables and PATH arrive")
    elif answer["mark"] == key:
        yield warning(
            "environment",
            f"PATH does not arrive whole: {', '.join(missing[:3])} is missing. "
            "Programs that your tasks start from there need their full path.",
        )
    else:
        yield warning(
            "environment",
            "variables of this shell do not arrive. Set what your tasks need in their "
            "setup function, and load modules in ~/.profile.",
        )


def _clock(answer: Mapping[str, Any], trial: TrialJob) -> Iterator[Finding]:
    early = trial.submitted - answer["time"]
    late = answer["time"] - (trial.submitted + trial.seconds)
    off = max(early, late)
    if off > CLOCK_TOLERANCE:
        yield warning(
            "clock",
            f"that of {answer['host']} is at least {off:.0f} s off this machine's. Ask "
            "for both to be set by NTP.",
        )
    else:
        yield ok("clock", f"{answer['host']} has the same time")
