"""When the job that this process belongs to will be killed by its queue."""

from __future__ import annotations

import os
from contextlib import suppress

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
        with suppress(ValueError):
            return float(os.environ.get(variable, ""))
    return float("inf")
