"""Finding the jobs of a submission that was cut off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from psyrun.errors import SchedulerError
from psyrun.scheduler.jobs import JobArray, JobId
from psyrun.scheduler.slurm_commands import ask, ask_or_fail
from psyrun.scheduler.slurm_endings import SACCT_TIME_OUT
from psyrun.scheduler.slurm_states import spread
from psyrun.scheduler.slurm_submit import noted

MY_JOBS = ("squeue", "--all", "--me")
"""Lists all jobs of yours, those in hidden partitions included."""

_SINCE = "now-30days"
_KEY = re.compile("[0-9a-f]{16}")


def find(array: JobArray) -> str | None:
    """Return the id of an array that may have been submitted.

    Parameters
    ----------
    array : JobArray
        The array.

    Returns
    -------
    str or None
        None if Slurm does not have it.

    Raises
    ------
    QueueUnreachableError
        Slurm's controller does not answer, or an sbatch still tries.
    """
    jobid = noted(array.folder)
    if jobid is not None:
        return jobid
    found = jobs_with_comment(in_queue("%F|%k"), array.key) or jobs_with_comment(
        _in_accounting(array.name), array.key
    )
    # A submission that was repeated although the first one had succeeded.
    for other in found[1:]:
        ask(["scancel", other])
    return found[0] if found else None


def jobs_with_comment(printed: str, comment: str) -> list[str]:
    """Return the jobs that carry a comment.

    Parameters
    ----------
    printed : str
        Lines of an id, a vertical line, and a comment. The ids of tasks of an
        array begin with that of the array.
    comment : str
        The comment.

    Returns
    -------
    list of str
        Each job once, the oldest first.
    """
    jobs = set()
    for line in printed.splitlines():
        jobid, _, text = line.partition("|")
        if text == comment:
            jobs.add(jobid.strip().partition("_")[0])
    return sorted(jobs, key=lambda job: int(job) if job.isdecimal() else 0)


def in_queue(columns: str) -> str:
    """Return what squeue prints of all jobs of yours.

    Parameters
    ----------
    columns : str
        The columns, as squeue names them.

    Raises
    ------
    QueueUnreachableError
        Slurm's controller does not answer.
    """
    return ask_or_fail([*MY_JOBS, "-t", "all", "-h", "-o", columns])


def others(printed: str, jobs: Mapping[str, JobArray]) -> set[JobId]:
    """Return the jobs whose ids once were those of certain arrays.

    Parameters
    ----------
    printed : str
        Lines of an id, a comment and a name, with vertical lines in between.
    jobs : mapping of str to JobArray
        Ids, and the arrays that they belonged to.
    """
    found: set[JobId] = set()
    for line in printed.splitlines():
        jobid, _, text = line.partition("|")
        comment, _, name = text.rpartition("|")
        for one in spread(jobid.strip()):
            array = jobs.get(one)
            # Some sites write comments of their own.
            is_key = _KEY.fullmatch(comment) is not None
            if array and (name != array.name or (is_key and comment != array.key)):
                found.add(one)
    return found


def _in_accounting(name: str) -> str:
    command = ["sacct", "-X", "-n", "-P", "-S", _SINCE, f"--name={name}"]
    with suppress(SchedulerError):
        done = ask([*command, "-o", "JobID,Comment"], SACCT_TIME_OUT)
        return done.stdout if done.returncode == 0 else ""
    return ""
