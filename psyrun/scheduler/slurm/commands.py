"""Calling Slurm's commands, and telling its errors apart."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler.commands import TIME_OUT, call, environment_without, words_of
from psyrun.utils.environment import JOB_OF_SLURM, deadline, forget_job_of_slurm

_SHORT_TIME_OUT = 5.0  # seconds for an answer that is not worth more

# It prints local time without the zone, or NONE; the user may have chosen another form
# of times.
STANDARD_TIMES = ("env", "SLURM_TIME_FORMAT=standard")
_END_OF = (*STANDARD_TIMES, "squeue", "-h", "-o", "%e", "-j")

_UNREACHABLE = re.compile(
    r"Unable to contact slurm|timed out|Connection refused|standby"
    r"|Communication connection failure|Communication shutdown failure"
    r"|Unable to establish (?:controller|configuration)|fetch_config"
    r"|Unexpected message received|Zero Bytes were transmitted|Transport endpoint"
    r"|Protocol authentication error|Munge|job state information",
    re.IGNORECASE,
)

# Which limit it is, in a line of its own. Slurm's text behind it is the same for
# limits that no waiting helps against, such as that of a job's time.
_LIMIT = re.compile(r"\b(?:Assoc|QOS)[A-Z]\w+")
_FULL_LIMIT = re.compile(r"Submit|Jobs(?:Per|Limit)")

_FULL = re.compile(
    r"job submit limit|sleeping and retrying|retrying$"
    r"|temporarily (?:unable|disabled)|job queue full|MaxJobCount|try again"
    r"|Resource temporarily unavailable",
    re.IGNORECASE | re.MULTILINE,
)

_PREFIX = re.compile(
    r"^(?:\w+: |slurm_\w+ )(?:error|fatal): (?:Batch job submission failed: )?"
)


def ask(
    command: Sequence[str], time_out: float = TIME_OUT
) -> subprocess.CompletedProcess[str]:
    """Run a command that asks Slurm, without the user's own ways to ask it.

    Raises `QueueUnreachableError` where Slurm's controller does not answer.
    """
    environment = environment_without("SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_")
    # Lists of the tasks of an array are not to be cut short.
    environment["SLURM_BITSTR_LEN"] = "0"
    done = call(command, time_out=time_out, environment=environment)
    if done.returncode != 0 and _UNREACHABLE.search(done.stderr):
        raise unreachable(command[0], done.stderr)
    return done


def ask_or_fail(command: Sequence[str]) -> str:
    """Run a command that must succeed where Slurm answers; return what it printed.

    Raises `QueueUnreachableError` if it fails.
    """
    done = ask(command)
    if done.returncode != 0:
        raise unreachable(command[0], done.stderr or done.stdout)
    return done.stdout


def unreachable(program: str, said: str) -> QueueUnreachableError:
    """Return the error for a controller that does not answer a command."""
    return QueueUnreachableError(
        f"Slurm does not answer {program}: {_words(said)}. Jobs may well go on. See "
        "'scontrol ping', and try again later."
    )


def refusal(status: int, said: str) -> SchedulerError:
    """Return the error for a job that sbatch did not submit.

    It is of the kind that says whether to try again.
    """
    text = _words(said)
    if _UNREACHABLE.search(said):
        return unreachable("sbatch", said)
    limits = _LIMIT.findall(said)
    is_full = all(map(_FULL_LIMIT.search, limits)) if limits else _FULL.search(said)
    if is_full:
        return QueueFullError(
            f"Slurm takes no more jobs now: {text}. Wait for jobs to end, or see your "
            "limits with 'sacctmgr show assoc' and 'scontrol show config'."
        )
    if status < 0:
        return QueueUnreachableError(
            f"sbatch was killed by signal {-status}: {text}. Try again."
        )
    return SchedulerError(
        f"sbatch failed with exit status {status}: {text}. Check scheduler_args, and "
        "'sinfo' and 'sacctmgr show assoc' for what there is."
    )


def _words(said: str) -> str:
    lines = (_PREFIX.sub("", line).strip(" .") for line in said.splitlines())
    return words_of("; ".join(dict.fromkeys(filter(None, lines))))


class OwnJob(NamedTuple):
    """The job of Slurm that this process belongs to, and when it ends.

    `id` is empty if there is none, and `end`, in seconds since the epoch, infinity
    where that is not known.
    """

    id: str = ""
    end: float = float("inf")

    @classmethod
    def of_environment(cls) -> OwnJob:
        """Return the job that the environment names, if it has not ended.

        What is started in a terminal that a job has opened may outlive it. What is
        left of such a job is removed from the environment.
        """
        job, shown = os.environ.get(JOB_OF_SLURM, ""), ""
        with suppress(SchedulerError):
            if job:
                done = ask([*_END_OF, job], time_out=_SHORT_TIME_OUT)
                shown = done.stdout.strip()
                is_refused = "Invalid job id" in done.stderr
                is_there = shown or (done.returncode and not is_refused)
                job = job if is_there else ""
        if not job:
            forget_job_of_slurm()
        return cls(job, min(deadline(), seconds_of(shown) or float("inf")))


def end_time() -> float | None:
    """Ask squeue when this job ends, in seconds since the epoch.

    Slurm tells its jobs themselves only from version 23.02 on. None where there is
    no limit, this process belongs to no job, or Slurm does not answer.
    """
    job = os.environ.get(JOB_OF_SLURM)
    with suppress(SchedulerError):
        return seconds_of(ask_or_fail([*_END_OF, job])) if job else None
    return None


def seconds_of(shown: str) -> float | None:
    """Return a time that Slurm printed, in seconds since the epoch; None for none."""
    with suppress(ValueError):
        return datetime.fromisoformat(shown.strip()).timestamp()
    return None
