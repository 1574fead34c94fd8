"""How jobs stand, as squeue tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from psyrun.scheduler.jobs import JobId, JobStatus

FORMAT = "%i|%t|%r|%j"
"""Columns asked of squeue: id, compact state, reason, name."""

_QUEUED = {"PD", "RQ", "RH", "RD", "RF", "SE"}
_SUSPENDED = {"S", "ST"}
_ENDED = {"BF", "CA", "CD", "DL", "F", "LF", "NF", "OOM", "PR", "RV", "TO"}


def parse(printed: str) -> Iterator[JobStatus]:
    """Read what squeue printed in the format `FORMAT`.

    Parameters
    ----------
    printed : str
        One line per job; other lines, such as names of clusters, are skipped.

    Yields
    ------
    JobStatus
        One per job; squeue has one line for the tasks of an array that have
        not started. A state that is not known counts as running: nothing is
        taken as ended that may go on.
    """
    for line in printed.splitlines():
        columns = line.strip().split("|", 3)
        if len(columns) == 4:
            jobid, state, reason, name = columns
            for one in spread(jobid):
                yield JobStatus(one, _status(state, reason), name)


def _status(state: str, reason: str) -> str:
    if state in _QUEUED:
        return "*Q" if reason == "Dependency" else "Q"
    if state in _SUSPENDED:
        return "Z"
    return "D" if state in _ENDED else "R"


def spread(jobid: str) -> Iterator[str]:
    """Yield the jobs that a name of Slurm's stands for.

    Parameters
    ----------
    jobid : str
        Such as ``'12'``, ``'13_0'`` or ``'13_[1-2,5%2]'``.

    Yields
    ------
    str
        Such as ``'12'`` or ``'13_0'``.
    """
    job, _, tasks = jobid.partition("_")
    if not tasks:
        yield job
    for index in positions(tasks):
        yield f"{job}_{index}"


def positions(text: str) -> Iterator[int]:
    """Yield the indices that Slurm writes for tasks of an array.

    Parameters
    ----------
    text : str
        Such as ``'0,3-5,10-20:5%2'``, with or without brackets.

    Yields
    ------
    int
        Each index.
    """
    for first, last, step in re.findall(
        r"(\d+)(?:-(\d+))?(?::(\d+))?", text.partition("%")[0]
    ):
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def collapsed(jobids: Iterable[JobId], living: Iterable[JobId]) -> list[str]:
    """Return jobs with as few words as possible.

    Parameters
    ----------
    jobids : iterable of int or str
        Such as ``'12'``, ``'13_0'`` and ``'13_1'``.
    living : iterable of int or str
        Jobs that are queued or running; tasks of arrays that are not among
        them are left out.

    Returns
    -------
    list of str
        Such as ``'12'`` and ``'13_[0-1]'``, or ``'13'`` if no other tasks of
        this array live: then Slurm goes on to list them, as cancelled.
    """
    alive, words = _tasks(living), []
    for job, indices in _tasks(jobids).items():
        ending = indices & alive.get(job, set())
        if not indices or (ending and ending == alive[job]):
            words.append(job)
        elif ending:
            words += [f"{job}_[{text}]" for text in _ranges(sorted(ending))]
    return words


def _tasks(jobids: Iterable[JobId]) -> dict[str, set[int]]:
    tasks: dict[str, set[int]] = {}
    for jobid in jobids:
        job, _, task = str(jobid).partition("_")
        tasks.setdefault(job, set()).update([int(task)] if task.isdecimal() else [])
    return tasks


def _ranges(indices: list[int]) -> Iterator[str]:
    start = previous = indices[0]
    for index in [*indices[1:], -1]:
        if index != previous + 1:
            yield f"{start}-{previous}" if start != previous else str(start)
            start = index
        previous = index
