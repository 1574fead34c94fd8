"""What jobs of Slurm have used, as its accounting tells it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from psyrun.errors import SchedulerError
from psyrun.scheduler.jobs import Usage
from psyrun.scheduler.slurm.accounting import ending, job_numbers, number_of
from psyrun.scheduler.slurm.commands import ask

_TIME_OUT = 5.0  # seconds for an answer that nothing depends on
_MOST_JOBS = 500  # of a call of sacct
_FIELDS = (
    "JobID",
    "State",
    "ElapsedRaw",
    "TotalCPU",
    "MaxRSS",
    "AllocCPUS",
    "AllocNodes",
    "ReqMem",
    "TimelimitRaw",
)
_CLOCK = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)([nc]?)")
_POWERS = {unit: 1024.0**power for power, unit in enumerate(("", *"KMGTP"))}


@dataclass
class _Job:
    """The lines of one job: the first is the job's, and others are of its steps."""

    whole: list[str]
    peaks: list[float] = field(default_factory=list)

    def usage(self) -> Usage | None:
        """Return what it has used; None if it has not ended."""
        _, state, elapsed, cpu, _, cores, nodes, memory, limit = self.whole
        if ending(state, "0:0") is None:
            return None
        n_cores, minutes = number_of(cores), number_of(limit)
        return Usage(
            seconds=number_of(elapsed),
            # Where Slurm gathers nothing of jobs, it says none of both.
            cpu_seconds=_seconds(cpu) or None,
            peak_bytes=max(self.peaks, default=None) or None,
            n_cores=n_cores or None,
            memory_bytes=_requested(memory, n_cores, number_of(nodes)) or None,
            limit_seconds=None if minutes is None else 60.0 * minutes,
        )


def usages(jobids: Iterable[str]) -> dict[str, Usage]:
    """Ask sacct what jobs have used.

    Parameters
    ----------
    jobids : iterable of str
        Jobs, such as ``'12'`` or ``'13_0'``.

    Returns
    -------
    dict of str to Usage
        Of jobs that have ended and that the accounting knows; empty where there is no
        accounting, or it does not answer.
    """
    found: dict[str, Usage] = {}
    jobs = job_numbers(jobids)
    for start in range(0, len(jobs), _MOST_JOBS):
        some = ",".join(jobs[start : start + _MOST_JOBS])
        command = ["sacct", "-n", "-P", "-o", ",".join(_FIELDS), "-j", some]
        try:
            done = ask(command, _TIME_OUT)
        except SchedulerError:
            break
        found |= dict(parse_usages(done.stdout)) if done.returncode == 0 else {}
    return found


def parse_usages(printed: str) -> Iterator[tuple[str, Usage]]:
    """Read what sacct printed of jobs and their steps, the fields parted by ``|``.

    The memory of a job is that of the step with most of it. Slurm adds up the
    processes of each.
    """
    jobs: dict[str, _Job] = {}
    for line in printed.splitlines():
        columns = line.split("|")
        if len(columns) != len(_FIELDS):
            continue
        name, _, step = columns[0].partition(".")
        if not step:
            jobs[name] = _Job(columns)
        elif name in jobs and (peak := _bytes(columns[4])) is not None:
            jobs[name].peaks.append(peak)
    for name, job in jobs.items():
        if (usage := job.usage()) is not None:
            yield name, usage


def _seconds(clock: str) -> float | None:
    """Read ``[[days-]hours:]minutes:seconds``."""
    match = _CLOCK.fullmatch(clock)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _bytes(text: str) -> float | None:
    match = _SIZE.fullmatch(text)
    return float(match[1]) * _POWERS[match[2]] if match else None


def _requested(text: str, n_cores: int | None, n_nodes: int | None) -> float | None:
    """Read an amount of memory; before Slurm 21.08 it is per node or per core."""
    amount = _bytes(text)
    times = {"n": n_nodes, "c": n_cores}.get(text[-1:], 1)
    return None if amount is None or times is None else amount * times
