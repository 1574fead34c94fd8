"""What the environment says of the job that this process belongs to."""

from __future__ import annotations

import os

# Slurm sets its variable in the environment of jobs, see sbatch(1).
VARIABLES = ("PSYRUN_DEADLINE", "SLURM_JOB_END_TIME")
JOB_OF_SLURM = "SLURM_JOB_ID"
"""Environment variable with the job of Slurm that a process belongs to."""

# Holds HOST:FOLDER. Jobs on other machines may inherit it.
FOLDER_VARIABLE = "PSYRUN_FORKSERVERS"

TMPDIR_VARIABLE = "PSYRUN_TMPDIR"
"""Environment variable with the user's TMPDIR, while Snakemake starts with another."""

JOB_VARIABLE = "PSYRUN_JOB"
"""Environment variable that tells a process which job of a queue it belongs to."""

ORIGIN_VARIABLE = "PSYRUN_ORIGIN"
"""Environment variable that names the job of a queue with whose rest a job goes on."""

CONTROLLED_VARIABLE = "PSYRUN_CONTROLLED"
"""Environment variable that tells Snakemake that a controller has started it.

Jobs then stay in the queue when Snakemake is interrupted, and the ledgers are
complete: the controller has asked the queue what it has of earlier runs. Its value
names the locks that the controller holds.
"""

OWN_RULES_VARIABLE = "PSYRUN_OWN_RULES"
"""Environment variable that tells Snakemake that all rules are written by psyrun."""

CORES_VARIABLE = "PSYRUN_CORES"
"""Environment variable with how many cores a job of a queue has asked for."""

AT_ONCE_VARIABLE = "PSYRUN_AT_ONCE"
"""Environment variable with how many cores jobs on this machine may use together."""

EXIT_LIMIT_VARIABLE = "PSYRUN_EXIT_LIMIT"
"""Environment variable with what `exit_limit` returns."""

_EXIT_LIMIT = 30.0

HANG_LIMIT_VARIABLE = "PSYRUN_HANG_LIMIT"
"""Environment variable with what `hang_limit` returns; 0 for never."""

_HANG_LIMIT = 600.0


def cores_at_once() -> int:
    """Return how many cores jobs may use together, on the machine of their run.

    It is 0 in a queue, where nobody knows how many jobs will run at once.
    """
    text = os.environ.get(AT_ONCE_VARIABLE, "")
    return int(text) if text.isdecimal() else 0


def exit_limit() -> float:
    """Return how many seconds processes have for what they do at their end."""
    return _seconds(EXIT_LIMIT_VARIABLE, _EXIT_LIMIT)


def hang_limit() -> float:
    """Return after how many seconds a process that does nothing seems to hang."""
    return _seconds(HANG_LIMIT_VARIABLE, _HANG_LIMIT) or float("inf")


def wrong_limit() -> str:
    """Return the name of a variable that should be a number of seconds, but is not."""
    for variable in (EXIT_LIMIT_VARIABLE, HANG_LIMIT_VARIABLE):
        if os.environ.get(variable) and _seconds(variable, -1.0) < 0:
            return variable
    return ""


def _seconds(variable: str, default: float) -> float:
    try:
        seconds = float(os.environ[variable])
    except (KeyError, ValueError):
        return default
    return seconds if seconds >= 0 else default


def forget_job_of_slurm() -> None:
    """Remove what says of which job of Slurm this process is, and when that ends."""
    for variable in (VARIABLES[1], JOB_OF_SLURM, "SLURM_JOBID"):
        os.environ.pop(variable, None)


def deadline() -> float:
    """Return when wall time is over, in seconds since the epoch; else infinity."""
    # That of Slurm outlives its job in some shells.
    is_in_job = JOB_OF_SLURM in os.environ
    for variable in VARIABLES if is_in_job else VARIABLES[:1]:
        try:
            return float(os.environ.get(variable, ""))
        except ValueError:
            pass
    return float("inf")
