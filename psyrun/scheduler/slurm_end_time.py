"""When Slurm will end the job that this process belongs to."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime

from psyrun.errors import SchedulerError
from psyrun.scheduler.slurm_commands import ask_or_fail


def end_time() -> float | None:
    """Ask squeue, as Slurm tells its jobs themselves only from version 23.02 on.

    Returns
    -------
    float or None
        In seconds since the epoch. None where there is no limit, this process
        belongs to no job, or Slurm does not answer.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return None
    with suppress(SchedulerError, ValueError):
        # It prints local time without the zone, or NONE; the user may have chosen
        # another form of times.
        squeue = ["env", "SLURM_TIME_FORMAT=standard", "squeue"]
        shown = ask_or_fail([*squeue, "-h", "-j", job, "-o", "%e"])
        return datetime.fromisoformat(shown.strip()).timestamp()
    return None
