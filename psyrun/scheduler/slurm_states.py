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
        One per job; squeue has one line for the tasks of an array that were
        cancelled before they started. A state that is not known counts as
        running: nothing is taken as ended that may go on.
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


def collapsed(jobids: Iterable[JobId]) -> list[str]:
    """Return jobs with one word for neighbouring tasks of an array.

    Parameters
    ----------
    jobids : iterable of int or str
        Such as ``'12'``, ``'13_0'`` and ``'13_1'``.

    Returns
    -------
    list of str
        Such as ``'12'`` and ``'13_[0-1]'``.
    """
    words: list[str] = []
    tasks: dict[str, set[int]] = {}
    for jobid in map(str, jobids):
        job, _, task = jobid.partition("_")
        if task.isdecimal():
            tasks.setdefault(job, set()).add(int(task))
        else:
            words.append(jobid)
    for job, indices in tasks.items():
        words += [f"{job}_[{text}]" for text in _ranges(sorted(indices))]
    return words


def _ranges(indices: list[int]) -> Iterator[str]:
    start = previous = indices[0]
    for index in [*indices[1:], -1]:
        if index != previous + 1:
            yield f"{start}-{previous}" if start != previous else str(start)
            start = index
        previous = index
