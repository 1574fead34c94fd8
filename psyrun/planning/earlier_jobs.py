"""What becomes of the jobs of earlier runs, now that there is another plan."""

from __future__ import annotations

import time
from collections.abc import Sequence

from psyrun.errors import RunningError
from psyrun.queue.asking import Warn
from psyrun.queue.recovery import EarlierJobs
from psyrun.scheduler import ImmediateRun, Scheduler, scheduler_class
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import running_jobs

_PATIENCE = 10.0  # seconds that jobs of a killed run are given to end


def adoptable(
    found: Sequence[EarlierJobs], scheduler: Scheduler, site_scheduler: str | None
) -> list[EarlierJobs]:
    """Return the queues whose jobs a run can go on with.

    Parameters
    ----------
    found : sequence of EarlierJobs
        Jobs of earlier runs.
    scheduler : Scheduler
        That of the task.
    site_scheduler : str or None
        Name of the scheduler that tasks without one of their own get; None while that
        is not known, and empty if there is none.
    """
    if not isinstance(scheduler, ImmediateRun):
        return [one for one in found if one.scheduler is scheduler]
    if site_scheduler is None:
        return list(found)
    if not site_scheduler:
        return []
    kind = scheduler_class(site_scheduler)
    return [one for one in found if type(one.scheduler) is kind]


def wait_for_killed_run(layout: TaskLayout, found: Sequence[EarlierJobs]) -> bool:
    """Wait for the jobs that no queue runs; return whether there were any.

    They end with their controller, but it takes them a moment. Raises `RunningError`
    if one does not end.
    """
    deadline = time.monotonic() + _PATIENCE
    alive = {batch.job(p) for one in found for batch, p in one.active_jobs()}
    has_waited = False
    while jobs := [
        (job, holder) for job, holder in running_jobs(layout) if holder.job not in alive
    ]:
        if time.monotonic() > deadline:
            job, holder = jobs[0]
            raise RunningError(
                f"task {layout.name!r}: its run ended, but its job {job} is still "
                f"run by {holder}. Wait for it, or stop it with "
                f"'psy kill {layout.name}'."
            )
        has_waited = True
        time.sleep(0.1)
    return has_waited


def cancel_outdated(
    found: Sequence[EarlierJobs],
    fitting: Sequence[EarlierJobs],
    round_number: int,
    warn: Warn,
) -> int:
    """Cancel jobs that do not fit to a plan, and return their number.

    Parameters
    ----------
    found : sequence of EarlierJobs
        Jobs of earlier runs.
    fitting : sequence of EarlierJobs
        Those in queues that the plan is for.
    round_number : int
        The round of the plan.
    """
    return sum(
        _cancel_unless_in_round(round_number if one in fitting else None, one, warn)
        for one in found
    )


def _cancel_unless_in_round(number: int | None, jobs: EarlierJobs, warn: Warn) -> int:
    return len(jobs.cancel(lambda batch: batch.intent.round != number, warn))
