"""Why jobs of Slurm ended."""

from __future__ import annotations

import pwd
import re
import signal
from collections.abc import Callable, Container, Iterable, Iterator
from typing import NamedTuple

from psyrun.errors import SchedulerError
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.scheduler.slurm.commands import ask
from psyrun.scheduler.slurm.squeue import expand_ids

SACCT_TIME_OUT = 20.0
"""Seconds that sacct has; its database may be down."""

_NONE_LEFT = str(0xFFFFFFFE)
"""What scontrol shows as the task of an array of which it lists no others."""

_FEW = 3  # as many jobs are asked for one by one: scontrol takes one, or shows all
# "Signals" by which Slurm marks what is none.
_OUT_OF_MEMORY = 125
_NO_OUTPUT = 53

_CAUSES = {
    "BOOT_FAIL": (Cause.NODE, "its node did not boot"),
    "COMPLETED": (Cause.DONE, "completed"),
    "DEADLINE": (Cause.TIME, "its deadline was reached"),
    "LAUNCH_FAILED": (Cause.NODE, "it could not be started on its node"),
    "NODE_FAIL": (Cause.NODE, "its node failed"),
    "OUT_OF_MEMORY": (Cause.MEMORY, "out of memory"),
    "PREEMPTED": (Cause.NODE, "preempted by another job"),
    "REVOKED": (Cause.CANCELLED, "revoked"),
    "TIMEOUT": (Cause.TIME, "time limit reached"),
}


# Slurm says that it cancels a job also when it does so for another cause.
_WRITTEN = (
    (r"exceeded .*memory limit|oom[-_]kill", Cause.MEMORY, "out of memory"),
    (r"CANCELLED AT .* DUE TO TIME LIMIT", Cause.TIME, "time limit reached"),
    (r"CANCELLED AT .* DUE TO NODE FAILURE", Cause.NODE, "its node failed"),
    (r"CANCELLED AT .* DUE TO PREEMPTION", Cause.NODE, "preempted by another job"),
    (r"\*\*\* (?:JOB|STEP) .* CANCELLED AT ", Cause.CANCELLED, "cancelled"),
)


class AccountingRecord(NamedTuple):
    """What Slurm has written down of a job.

    Attributes
    ----------
    id : str
        The job, such as ``'12'`` or ``'13_0'``.
    state : str
        Such as ``'TIMEOUT'`` or ``'CANCELLED by 1000'``.
    exit_code : str
        Exit status and signal, such as ``'1:0'``.
    """

    id: str
    state: str
    exit_code: str


def ending(state: str, exit_code: str) -> Ending | None:
    """Return what a state says about the end of a job; None if it has not ended.

    The state is such as ``'TIMEOUT'`` or ``'CANCELLED by 1000'``; the exit code
    holds exit status and signal, such as ``'1:0'``.
    """
    status, _, killed_by = exit_code.partition(":")
    code, signal_number = number_of(status), number_of(killed_by)
    word, _, by = state.partition(" by ")
    if word.startswith("CANCELLED"):
        text = f"cancelled by {_user(by)}" if by else "cancelled"
        return Ending(Cause.CANCELLED, text)
    if word in _CAUSES:
        cause, text = _CAUSES[word]
        return Ending(cause, text, code if cause is Cause.DONE else None)
    if word != "FAILED":
        return None
    if signal_number == _OUT_OF_MEMORY:
        return Ending(*_CAUSES["OUT_OF_MEMORY"])
    if signal_number == _NO_OUTPUT:
        text = "its node could not open its output file; is the folder shared?"
        return Ending(Cause.NODE, text)
    if signal_number:
        text = f"killed by signal {_signal(signal_number)}"
        return Ending(Cause.FAILED, text, 128 + signal_number)
    return Ending(Cause.FAILED, f"exit status {code}" if code else "failed", code)


def number_of(text: str) -> int | None:
    """Return a number that Slurm printed; None for anything else."""
    return int(text) if text.isdecimal() else None


def _user(uid: str) -> str:
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except (KeyError, ValueError):
        return f"user {uid}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def explain(text: str) -> Ending | None:
    """Return why a job ended if Slurm wrote it into the job's output, else None."""
    lines = text.splitlines()
    written = "\n".join(line for line in lines if line.startswith("slurm"))
    for pattern, cause, words in _WRITTEN:
        if re.search(pattern, written, re.IGNORECASE):
            return Ending(cause, words)
    return None


def parse_sacct(printed: str) -> Iterator[AccountingRecord]:
    """Read what ``sacct -X -n -P -o JobID,State,ExitCode`` printed."""
    for line in printed.splitlines():
        columns = line.split("|")
        if len(columns) == 3:
            name, state, code = columns
            yield from (
                AccountingRecord(jobid, state, code) for jobid in expand_ids(name)
            )


def parse_scontrol(printed: str) -> Iterator[AccountingRecord]:
    """Read what ``scontrol -o show job`` printed."""
    for line in printed.splitlines():
        state, code = _field(line, "JobState"), _field(line, "ExitCode")
        job, tasks = _field(line, "ArrayJobId"), _field(line, "ArrayTaskId")
        if tasks == _NONE_LEFT:
            continue
        name = f"{job}_[{tasks}]" if job and tasks else _field(line, "JobId")
        if name and state and code:
            yield from (
                AccountingRecord(jobid, state, code) for jobid in expand_ids(name)
            )


def _field(line: str, name: str) -> str:
    match = re.search(rf"(?:^| ){name}=(\S+)", line)
    return match[1] if match else ""


def from_sacct(jobids: Iterable[str]) -> dict[str, Ending]:
    """Ask the accounting; raises `SchedulerError` where there is none."""
    jobs = ",".join(job_numbers(jobids))
    command = ["sacct", "-X", "-n", "-P", "-o", "JobID,State,ExitCode", "-j", jobs]
    done = ask(command, SACCT_TIME_OUT)
    if done.returncode != 0:
        raise SchedulerError("sacct failed")
    return _endings(parse_sacct(done.stdout))


def from_scontrol(jobids: Iterable[str]) -> dict[str, Ending]:
    """Ask the controller, which forgets jobs some minutes after their end."""
    return _endings(parse_scontrol(_scontrol(jobids)))


def _scontrol(jobids: Iterable[str]) -> str:
    jobs = job_numbers(jobids)
    command = ["scontrol", "-o", "show", "job"]
    asked = [[*command, job] for job in jobs] if len(jobs) <= _FEW else [command]
    return "\n".join(ask(words).stdout for words in asked)


def cancelled_before_start(jobids: Iterable[str]) -> dict[str, Ending]:
    """Return which tasks were cancelled while they were queued.

    Slurm takes such tasks out of the record of their array, and goes on to list
    the others.
    """
    wanted = list(jobids)
    try:
        printed = _scontrol(wanted)
    except SchedulerError:
        return {}
    arrays = {_field(line, "ArrayJobId") for line in printed.splitlines()}
    listed = {record.id for record in parse_scontrol(printed)}
    ending = Ending(Cause.CANCELLED, "cancelled before it began")
    return {
        jobid: ending
        for jobid in wanted
        if jobid not in listed and _is_of(jobid, arrays)
    }


def _is_of(jobid: str, arrays: Container[str]) -> bool:
    array, _, task = jobid.partition("_")
    return bool(task) and array in arrays


def job_numbers(jobids: Iterable[str]) -> list[str]:
    """Return the numbers of jobs and arrays, each once."""
    return list(dict.fromkeys(jobid.partition("_")[0] for jobid in jobids))


def _endings(records: Iterable[AccountingRecord]) -> dict[str, Ending]:
    found = {record.id: ending(record.state, record.exit_code) for record in records}
    return {jobid: end for jobid, end in found.items() if end is not None}


def first_known(
    jobids: Iterable[str], *sources: Callable[[Iterable[str]], dict[str, Ending]]
) -> dict[str, Ending]:
    """Ask one source after the other until all jobs are known.

    A source that raises `SchedulerError` is passed over.
    """
    wanted = list(dict.fromkeys(jobids))
    found: dict[str, Ending] = {}
    for source in sources:
        missing = [jobid for jobid in wanted if jobid not in found]
        if not missing:
            break
        try:
            told = source(missing)
        except SchedulerError:
            continue
        found |= {jobid: told[jobid] for jobid in missing if jobid in told}
    return found
