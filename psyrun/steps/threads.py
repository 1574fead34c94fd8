"""Limits the threads of a job's workers, before libraries are loaded that have some."""

from __future__ import annotations

import os
from collections.abc import Sequence

from psyrun.errors import PsyrunError
from psyrun.steps.command import StepCommand
from psyrun.utils.process.threads import own_cores, share_of, thread_settings
from psyrun.workdir.layout import PROCESS
from psyrun.workdir.plan import Plan


def limit_threads(arguments: Sequence[str]) -> None:
    """Have the libraries that a process job loads later use its cores and no more.

    The arguments are those of `psyrun.steps.main.run`, which refuses wrong ones.
    """
    try:
        step = StepCommand.read(arguments)
        plan = Plan.load(step.layout) if step.step == PROCESS else None
    except (PsyrunError, OSError, TypeError, ValueError):
        return
    if plan is not None:
        share = share_of(own_cores(), plan.pool_size)
        os.environ.update(thread_settings(plan.threads, share, os.environ))
