"""Submitting jobs with sbatch, so that a kill at any moment loses no job."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from psyrun.errors import QueueUnreachableError, SchedulerError
from psyrun.scheduler.commands import (
    call,
    cannot_run,
    environment_without,
    exclusive_lock,
)
from psyrun.scheduler.jobs import JobArray, JobId
from psyrun.scheduler.slurm.accounting import SACCT_TIME_OUT
from psyrun.scheduler.slurm.commands import ask, ask_or_fail, refusal
from psyrun.scheduler.slurm.squeue import expand_ids
from psyrun.utils.environment import JOB_OF_SLURM

TIME_OUT = 300.0
"""Seconds that sbatch has. Where the queue is full it tries for 2 min itself."""


_RETRIES = b"sleeping and retrying"
_LOOK_EVERY = 0.1  # seconds
_SURELY_SLEEPING = 0.9  # seconds
_ALWAYS = ("--parsable", "--no-requeue", "--open-mode=append")
_ID = re.compile(r"^(\d+)(?:;\S+)?$", re.MULTILINE)

# What is set for one job must neither change other jobs nor keep sbatch waiting.
# squeue asks no other cluster, and what Slurm says of a job belongs into its output.
_CHANGES_JOBS = tuple(
    f"SBATCH_{name}"
    for name in (
        *("ARRAY_INX", "WAIT", "REQUEUE", "NO_REQUEUE", "OPEN_MODE", "DEBUG"),
        *("CLUSTERS", "ERROR", "INPUT", "OUTPUT", "JOB_NAME", "COMMENT"),
        # Slurm tells a job by these how it is bound.
        *("MEM_BIND_LIST", "MEM_BIND_PREFER", "MEM_BIND_TYPE", "MEM_BIND_VERBOSE"),
    )
)
_ASKED_FOR = ("SBATCH_WAIT_ALL_NODES", "SBATCH_WAIT4SWITCH")

# What salloc, sbatch and srun leave in the environment of a job: it would describe the
# new job, which believes it. Such variables outlive their job in some shells.
_OF_A_JOB = tuple(
    f"SLURM_{name}"
    for name in (
        *("ARRAY_", "CLUSTER_NAME", "CPUS_", "CPU_", "DISTRIBUTION", "DIST_", "GPUS"),
        *("GTIDS", "HET_", "JOBID", "JOB_", "LAUNCH_", "LOCALID", "MEM_", "NNODES"),
        *("NODEID", "NODELIST", "NODE_", "NPROCS", "NTASKS", "OVERCOMMIT", "PACK_"),
        *("PRIO_PROCESS", "PROCID", "PROFILE", "RESTART_COUNT", "SHARDS_", "SRUN_"),
        *("STEPID", "STEP_", "SUBMIT_", "TASKS_", "TASK_PID", "THREADS_", "TOPOLOGY_"),
        *("TRES_", "EXPORT_ENV", "GET_USER_ENV", "HINT", "WORKING_CLUSTER"),
    )
)
_OF_SITES = (
    *("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT", "SLURM_DEBUG_FLAGS"),
    *("SLURM_EXIT_ERROR", "SLURM_UMASK", "SLURM_STEP_KILLED_MSG_NODE_ID"),
)
MY_JOBS = ("squeue", "--all", "--me")
"""Lists all jobs of yours, those in hidden partitions included."""
_SINCE = "now-30days"
_KEY = re.compile("[0-9a-f]{16}")


def job_command(
    options: Sequence[str],
    args: Sequence[str],
    output: str,
    name: str,
    depends_on: Sequence[JobId],
) -> list[str]:
    """Return the command that submits one job."""
    words = ["sbatch", *_ALWAYS, *options, "-J", name, "-o", pattern(output)]
    if depends_on:
        words.append(f"--dependency=afterok:{':'.join(map(str, depends_on))}")
    return [*words, "--wrap", f"exec {shlex.join(args)}"]


def array_command(options: Sequence[str], array: JobArray) -> list[str]:
    """Return the command that submits a job array."""
    return [
        *("sbatch", *_ALWAYS, *options, f"--array=0-{len(array) - 1}"),
        *("-J", array.name, f"--comment={array.key}"),
        *("-o", f"{pattern(str(array.folder))}/%a.out"),
        *("--wrap", f'exec {shlex.join(array.args)} "$SLURM_ARRAY_TASK_ID"'),
    ]


def pattern(path: str) -> str:
    """Return a path so that sbatch takes it as it is, with percent signs doubled.

    Raises `SchedulerError` for a backslash, for which Slurm knows no way.
    """
    if "\\" in path:
        raise SchedulerError(
            f"{path}: Slurm cannot write to a path with a backslash. Choose another "
            "workdir."
        )
    return path.replace("%", "%%")


def parse_id(printed: str) -> str | None:
    """Return the job id that ``sbatch --parsable`` printed, None if there is none.

    Its line is such as ``'12'``, or ``'12;cluster'``.
    """
    match = _ID.search(printed)
    return match[1] if match else None


def submit(command: Sequence[str]) -> str:
    """Run sbatch and return the job id.

    Raises `SchedulerError` if it failed; a `QueueError` where it may succeed later.
    """
    done = call(command, time_out=TIME_OUT, environment=_environment())
    jobid = parse_id(done.stdout)
    if done.returncode != 0 or jobid is None:
        raise refusal(done.returncode, done.stderr or done.stdout)
    return jobid


def submit_recorded(command: Sequence[str], folder: Path) -> str:
    """Run sbatch such that the job id is written even if we are killed.

    sbatch writes to a file in `folder`, which it keeps locked as long as it runs. If
    there is a job id in it already, nothing is submitted. Errors are as for `submit`.
    """
    with (
        exclusive_lock(_file(folder)) as output,
        (folder / "sbatch.err").open("wb") as errors,
    ):
        jobid = _recorded_id(folder)
        if jobid is not None:
            return jobid
        status = _wait(_start(command, output, errors), folder / "sbatch.err")
        jobid = _recorded_id(folder)
    said = (folder / "sbatch.err").read_text(encoding="utf-8", errors="replace")
    if jobid is None:
        raise refusal(status, said)
    return jobid


def recorded_id(folder: Path) -> str | None:
    """Return the job id that sbatch left in a folder, None if it has left none.

    Raises `QueueUnreachableError` while sbatch, started by a process that is gone,
    still runs.
    """
    if not _file(folder).exists():
        return None
    with exclusive_lock(_file(folder)):
        return _recorded_id(folder)


def _file(folder: Path) -> Path:
    return folder / "sbatch.out"


def _recorded_id(folder: Path) -> str | None:
    text = _file(folder).read_text(encoding="utf-8", errors="replace")
    # A line that is not ended may be the first half of a number.
    return parse_id(text[: text.rfind("\n") + 1])


def _start(
    command: Sequence[str], output: BinaryIO, errors: BinaryIO
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=_environment(),
            # Ctrl-C is for us: sbatch is to end what it has begun.
            start_new_session=True,
        )
    except OSError as error:
        raise cannot_run(command[0], error) from error


def _wait(process: subprocess.Popen[bytes], errors: Path) -> int:
    deadline = time.monotonic() + TIME_OUT
    looked = time.monotonic()
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_EVERY)
        if _RETRIES in errors.read_bytes():
            return _stop_retrying(process, looked)
        looked = time.monotonic()
    _kill(process)
    raise QueueUnreachableError(
        f"sbatch has not answered within {TIME_OUT:.0f} s. The queue may be busy or "
        "down; try again later."
    )


def _stop_retrying(process: subprocess.Popen[bytes], looked: float) -> int:
    """End an sbatch that waits for 2 min, as psyrun has better things to do.

    It sleeps for a second before it tries again: if it was killed within this
    second, it has not submitted anything.
    """
    _kill(process)
    if time.monotonic() - looked > _SURELY_SLEEPING:
        raise QueueUnreachableError(
            "sbatch found the queue full and was stopped, perhaps too late. It is to "
            "be seen whether the jobs were submitted."
        )
    return process.returncode


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _environment() -> dict[str, str]:
    """Return the environment of jobs, without what describes another one."""
    is_in_job = JOB_OF_SLURM in os.environ
    dropped = ("SLURM_",) if is_in_job else _OF_A_JOB
    kept = (*_ASKED_FOR, *_OF_SITES)
    left = environment_without("SRUN_", *dropped, *_CHANGES_JOBS)
    return left | {name: os.environ[name] for name in kept if name in os.environ}


def find(array: JobArray) -> str | None:
    """Return the id of an array that may have been submitted; None if Slurm lacks it.

    Raises `QueueUnreachableError` where Slurm does not answer, or an sbatch still
    tries.
    """
    jobid = recorded_id(array.folder)
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
    """Return the jobs that carry a comment, each once, the oldest first.

    Lines hold an id, a vertical line and a comment. The ids of tasks of an array
    begin with that of the array.
    """
    jobs = set()
    for line in printed.splitlines():
        jobid, _, text = line.partition("|")
        if text == comment:
            jobs.add(jobid.strip().partition("_")[0])
    return sorted(jobs, key=lambda job: int(job) if job.isdecimal() else 0)


def in_queue(columns: str) -> str:
    """Return columns, as squeue names them, of all jobs of yours."""
    return ask_or_fail([*MY_JOBS, "-t", "all", "-h", "-o", columns])


def reused_ids(printed: str, jobs: Mapping[str, JobArray]) -> set[JobId]:
    """Return the jobs whose ids once were those of certain arrays.

    Lines hold an id, a comment and a name, with vertical lines in between.
    """
    found: set[JobId] = set()
    for line in printed.splitlines():
        jobid, _, text = line.partition("|")
        comment, _, name = text.rpartition("|")
        for one in expand_ids(jobid.strip()):
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
