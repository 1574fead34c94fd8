"""How single jobs are handed to a queue.

A scheduler for another queue subclasses `Scheduler` and may be registered as
an entry point of the group ``psyrun.schedulers``.
"""

from __future__ import annotations

from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.immediate import ImmediateRun
from psyrun.scheduler.jobs import (
    Cause,
    Ending,
    JobArray,
    JobId,
    JobStatus,
    Obstacle,
    Usage,
    Waiting,
)
from psyrun.scheduler.limits import Limits
from psyrun.scheduler.options import Option
from psyrun.scheduler.registry import scheduler_class, scheduler_names
from psyrun.scheduler.slurm import Slurm
from psyrun.scheduler.sqsub import Sqsub

__all__ = [
    "Cause",
    "Ending",
    "ImmediateRun",
    "JobArray",
    "JobId",
    "JobStatus",
    "Limits",
    "Obstacle",
    "Option",
    "Scheduler",
    "Slurm",
    "Sqsub",
    "Usage",
    "Waiting",
    "scheduler_class",
    "scheduler_names",
]
