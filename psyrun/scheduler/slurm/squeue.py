"""How jobs stand, as squeue tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from psyrun.scheduler.jobs import JobId, JobStatus, Obstacle, Waiting
from psyrun.scheduler.slurm.commands import seconds_of

FORMAT = "%i|%t|%r|%j"
"""Columns asked of squeue: id, compact state, reason, name."""
WAITING_FORMAT = "%i|%t|%r|%S"
"""Columns asked about jobs that wait: instead of the name, when they may start."""

_REASONS = {
    "BadConstraints": "no machine has what is asked for",
    "BeginTime": "the time at which it may start has not come",
    "Dependency": "another job has to end first",
    "JobArrayTaskLimit": "as many of this array run as may at a time",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "you hold it; 'scontrol release' lets it go",
    "Licenses": "a licence has to become free",
    "NodeDown": "a machine that it needs is down",
    "PartitionDown": "the partition starts no jobs now",
    "PartitionInactive": "the partition starts no jobs now",
    "PartitionNodeLimit": "more machines are asked for than the partition allows",
    "PartitionTimeLimit": "more time is asked for than the partition allows",
    "Priority": "others come first",
    "ReqNodeNotAvail": "machines that it needs are not available",
    "Reservation": "its reservation has not begun",
    "Resources": "enough machines have to become free",
}
"""What Slurm means; of https://slurm.schedmd.com/job_reason_codes.html the reasons
that are not about the limits of an account, which begin with Assoc or QOS."""

_UNTIL_BACK = "it passes when they are back; see 'sinfo -R' for why"
_OBSTACLES = {
    "AccountNotAllowed": "choose another account or partition",
    "BadConstraints": "change what is asked for, such as constraint",
    "DeadLine": "its deadline cannot be met; choose a later one",
    "DependencyNeverSatisfied": "the job that it waits for has failed",
    "InvalidAccount": "choose an account that 'sacctmgr show assoc' lists",
    "InvalidQOS": "choose a QOS that 'sacctmgr show qos' lists",
    "PartitionNodeLimit": "lower n_nodes, or choose another partition",
    "PartitionTimeLimit": "lower timelimit, or choose another partition",
    "QOSNotAllowed": "choose another QOS or partition",
    "ReservationDeleted": "remove reservation, or choose another one",
}
"""Reasons for which a job can never start, and what to do."""

_PER_JOB = re.compile(r"(?:Assoc|QOS)(?:\w*(?:PerJob|PerNode)|Min)")
_USED_UP = re.compile(r"(?:Assoc|QOS)\w*(?:Minutes|Grp\w*Wall)")
_OUT_OF_SERVICE = (
    *("NodeDown", "PartitionDown", "PartitionInactive", "ReqNodeNotAvail"),
    "Nodes",  # Nodes required for job are DOWN, DRAINED or reserved …
)
_HELD = ("JobHeldAdmin", "JobHeldUser", "launch")

_NOT_LOOKED_AT = "None"  # by Slurm, which was given the job just now
_QUEUED = {"PD", "RQ", "RH", "RD", "RF", "SE"}
_SUSPENDED = {"S", "ST"}
_ENDED = {"BF", "CA", "CD", "DL", "F", "LF", "NF", "OOM", "PR", "RV", "TO"}


def parse(printed: str) -> Iterator[JobStatus]:
    """Read what squeue printed in the format `FORMAT`.

    squeue has one line for the tasks of an array that have not started. Lines of
    another form, such as names of clusters, are skipped. An unknown state counts as
    running: nothing is taken as ended that may go on.
    """
    for jobid, state, reason, name in _rows(printed):
        for one in expand_ids(jobid):
            yield JobStatus(one, _status(state, reason), name)


def reasons(printed: str) -> dict[JobId, str]:
    """Read why queued jobs wait from what squeue printed in the format `FORMAT`."""
    return {
        one: described(reason)
        for jobid, state, reason, _ in _rows(printed)
        if state in _QUEUED
        for one in expand_ids(jobid)
    }


def waiting(printed: str) -> dict[JobId, Waiting]:
    """Read why queued jobs wait and when they will start.

    It is taken from what squeue printed in the format `WAITING_FORMAT`. Of the tasks of
    an array in one line, the time is that of the first.
    """
    found: dict[JobId, Waiting] = {}
    for jobid, state, reason, shown in _rows(printed):
        start = seconds_of(shown)
        for one in expand_ids(jobid) if state in _QUEUED else ():
            text = "" if reason == _NOT_LOOKED_AT else described(reason)
            found[one], start = Waiting(text, start), None
    return found


def obstacles(printed: str) -> dict[JobId, Obstacle]:
    """Read what keeps queued jobs from starting that does not pass as others end.

    It is taken from what squeue printed in the format `FORMAT`.
    """
    return {
        one: found
        for jobid, state, reason, _ in _rows(printed)
        if state in _QUEUED and (found := obstacle(reason)) is not None
        for one in expand_ids(jobid)
    }


def obstacle(reason: str) -> Obstacle | None:
    """Return what a reason of Slurm's stands for, if it does not pass by itself."""
    word = re.split(r"\W", reason, maxsplit=1)[0]
    if word in _OBSTACLES:
        between = ";" if word in _REASONS else ":"
        text = f"{described(reason)}{between} {_OBSTACLES[word]}"
        return Obstacle(text, is_final=True)
    if _PER_JOB.match(word):
        what = "more is asked for than your account or QOS allows for one job"
        return Obstacle(f"{reason}: {what}; ask for less", is_final=True)
    if _USED_UP.match(word):
        what = "your account or QOS has used up its share; ask your admins"
        return Obstacle(f"{reason}: {what}", is_final=False)
    if word in _OUT_OF_SERVICE:
        return Obstacle(f"{described(reason)}; {_UNTIL_BACK}", is_final=False)
    return Obstacle(described(reason), is_final=False) if word in _HELD else None


def described(reason: str) -> str:
    """Return a reason of Slurm's with what it means, such as ``'Priority: …'``."""
    # Some carry details behind a comma or in parentheses.
    word = re.split(r"\W", reason, maxsplit=1)[0]
    if word.startswith(("Assoc", "QOS")):
        return f"{reason}: a limit of your account or QOS is reached"
    return f"{reason}: {_REASONS[word]}" if word in _REASONS else reason


def _rows(printed: str) -> Iterator[list[str]]:
    for line in printed.splitlines():
        columns = line.strip().split("|", 3)
        if len(columns) == 4:
            yield columns


def _status(state: str, reason: str) -> str:
    if state in _QUEUED:
        return "*Q" if reason == "Dependency" else "Q"
    if state in _SUSPENDED:
        return "Z"
    return "D" if state in _ENDED else "R"


def expand_ids(jobid: str) -> Iterator[str]:
    """Yield the jobs that a name of Slurm's stands for.

    The name is such as ``'12'``, ``'13_0'`` or ``'13_[1-2,5%2]'``.
    """
    job, _, tasks = jobid.partition("_")
    if not tasks:
        yield job
    for index in positions(tasks):
        yield f"{job}_{index}"


def positions(text: str) -> Iterator[int]:
    """Yield the indices in a text such as ``'0,3-5,10-20:5%2'``."""
    for first, last, step in re.findall(
        r"(\d+)(?:-(\d+))?(?::(\d+))?", text.partition("%")[0]
    ):
        yield from range(int(first), int(last or first) + 1, int(step or 1))


def compact_ids(jobids: Iterable[JobId], living: Iterable[JobId]) -> list[str]:
    """Return jobs with as few words as possible, such as ``'12'`` and ``'13_[0-1]'``.

    Tasks of arrays that are not among the `living` (queued or running) ones are left
    out. If no other tasks of an array live, it is named as a whole, ``'13'``: then
    Slurm goes on to list them, as cancelled.
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
