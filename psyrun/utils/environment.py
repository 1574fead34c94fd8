"""When the job that this process belongs to will be killed by its queue."""

from __future__ import annotations

import os

# Slurm sets its variable in the environment of jobs, see sbatch(1).
VARIABLES = ("PSYRUN_DEADLINE", "SLURM_JOB_END_TIME")


def deadline() -> float:
    """Return when wall time is over, in seconds since the epoch.

    Returns
    -------
    float
        Infinity where no queue has said so.
    """
    for variable in VARIABLES:
        try:
            return float(os.environ.get(variable, ""))
        except ValueError:
            pass
    return float("inf")


# Holds HOST:FOLDER. Jobs on other machines may inherit it.
FOLDER_VARIABLE = "PSYRUN_FORKSERVERS"


JOB_VARIABLE = "PSYRUN_JOB"
"""Environment variable that tells a process which job of a queue it belongs to."""


LEAVE_VARIABLE = "PSYRUN_LEAVE_JOBS"
"""Environment variable: jobs stay in the queue when Snakemake is interrupted."""
