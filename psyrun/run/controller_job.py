"""A controller as a job of a queue, for sites that end processes on login nodes."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from psyrun.errors import QueueUnreachableError, SchedulerError, TaskError
from psyrun.queue.asking import Warn, ask_until_answered
from psyrun.queue.diagnosis import why_ended
from psyrun.queue.ledger import Batch, Intent, Ledger
from psyrun.queue.recovery import EarlierJobs, class_path, evidence, find_earlier_jobs
from psyrun.queue.site import QueuedTask, parse_arguments
from psyrun.queue.site import time_limit as time_limit_of
from psyrun.queue.trust import Thaw, if_own
from psyrun.run.log import RunLog
from psyrun.run.snakemake import site_arguments
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.immediate import LOCAL
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.scheduler.registry import frozen
from psyrun.utils.environment import JOB_OF_SLURM, JOB_VARIABLE, VARIABLES, deadline
from psyrun.workdir.holder import recorded_holder
from psyrun.workdir.layout import TaskLayout, layout_of
from psyrun.workdir.lock import break_lock, locks_of
from psyrun.workdir.run_record import RunRecord

if TYPE_CHECKING:
    from psyrun.planning.prepare import TaskRun

CONTROLLER = "controller"
_LEAST_MARGIN = 60.0  # seconds, to stop, to submit, and for the queue's own delays
_MARGIN = 0.05  # of the time limit
# Megabytes; psyrun and Snakemake, which hold all jobs, whatever a job needs.
_LEAST_MEMORY = 512


def check(tasks: Sequence[TaskRun], extra: Sequence[str]) -> None:
    """Refuse tasks that have no queue, or one that does not accept the controller."""
    for task in tasks:
        if task.profile == LOCAL:
            raise TaskError(
                f"{task.task.path}: its jobs run on this machine, so its controller "
                "cannot be put in a queue. Set 'scheduler', or use 'psy run --detach "
                f"{task.arguments}'."
            )
    _values(tasks[0], extra)


def submit(
    first: TaskRun,
    home: TaskLayout,
    arguments: Sequence[str],
    extra: Sequence[str],
    record: Callable[[str], None],
    warn: Warn,
) -> Batch:
    """Put a controller in the queue of a task.

    Parameters
    ----------
    home : TaskLayout
        Paths of the task after which the job is named, and that records it.
    arguments : sequence of str
        Arguments of ``psy``, with those for Snakemake, `extra`.
    record : callable
        Takes the job just before it is submitted.

    Raises
    ------
    SchedulerError
        If it is not accepted, or the queue does not answer.
    """
    scheduler, values = first.task.scheduler, _values(first, extra)
    name = home.job(CONTROLLER)
    intent = Intent(
        name=name,
        names=(name,),
        targets=("",),
        commands=(shlex.join(["python3", "-P", "-m", "psyrun.cli", *arguments]),),
        round=first.plan.round,
        scheduler=class_path(scheduler),
        scheduler_args=values,
        minutes=time_limit_of(scheduler, values),
        frozen_scheduler=frozen(scheduler),
    )
    batch = Ledger(home, home.controllers).begin(intent)
    record(batch.job(0))
    try:
        batch.note_ids(_submit(scheduler, batch, warn))
    except SchedulerError:
        batch.remove()
        raise
    return batch


def _submit(scheduler: Scheduler, batch: Batch, warn: Warn) -> dict[int, int | str]:
    try:
        return dict(enumerate(scheduler.submit_array(batch.array)))
    except QueueUnreachableError:
        found = ask_until_answered(lambda: scheduler.find(batch.array), warn)
        if not found:
            raise
        return found


def _values(first: TaskRun, extra: Sequence[str]) -> dict[str, object]:
    scheduler = first.task.scheduler
    of_site = parse_arguments(site_arguments(first.profile, extra))
    values = QueuedTask.of(first.task, first.plan, of_site).values(CONTROLLER)
    memory = scheduler.resources(values).get("mem_mb")
    if isinstance(memory, int) and 0 < memory < _LEAST_MEMORY:
        raised = scheduler.raised(values, Cause.MEMORY, _LEAST_MEMORY / memory)
        return values if raised is None else raised
    return values


def this_job() -> str:
    """Return the job of a queue that this process belongs to, empty if none."""
    return os.environ.get(JOB_VARIABLE, "")


def log_to_continue(taskdir: Path, names: Iterable[str]) -> RunLog | None:
    """Return the log of the run that has put this process in a queue.

    From here on, this process prints to it.
    """
    for name in names:
        record = RunRecord.load(layout_of(taskdir, name))
        if record is not None and record.is_waiting and record.job == this_job():
            log = RunLog(record)
            log.become_output()
            return log
    return None


class TimeLimit(NamedTuple):
    """When the queue ends a controller, in seconds since the epoch.

    Attributes
    ----------
    stop : float
        When it should stop, so that there is time to submit the next one.
    end : float
        When it is ended; infinity where that is not known.
    job_of_slurm : str
        What Slurm calls the job; empty for other queues.
    """

    stop: float = float("inf")
    end: float = float("inf")
    job_of_slurm: str = ""


def time_limit(scheduler: Scheduler) -> TimeLimit:
    """Return when the queue ends this process, which is a job of it."""
    end, now = deadline(), time.time()
    if end == float("inf"):
        with suppress(SchedulerError):
            end = scheduler.end_of_this_job() or end
    job_of_slurm = os.environ.get(JOB_OF_SLURM, "")
    _forget_environment()
    duration = end - now
    margin = min(max(_LEAST_MARGIN, _MARGIN * duration), duration / 2)
    return TimeLimit(end - margin, end, job_of_slurm)


def _forget_environment() -> None:
    """Remove variables about this job: its children inherit the environment."""
    for name in list(os.environ):
        is_of_slurm = name.startswith("SLURM_") and name != "SLURM_CONF"
        if name in VARIABLES or is_of_slurm:
            del os.environ[name]


def controllers(
    layout: TaskLayout, warn: Warn, thaw: Thaw = if_own
) -> list[EarlierJobs]:
    """Return the controllers of a task that were put in queues."""
    ledger = Ledger(layout, controllers_of(layout))
    return find_earlier_jobs(
        layout, None, warn, records=False, ledger=ledger, thaw=thaw
    )


def controllers_of(layout: TaskLayout) -> Path:
    """Return the folder of the controllers of a task, which another task may have.

    A record that somebody else wrote does not point to one's own tasks.
    """
    record = RunRecord.load(layout)
    with suppress(OSError):
        if record is not None:
            owners = {each.run_record.stat().st_uid for each in (layout, record.home)}
            return (record.home if len(owners) == 1 else layout).controllers
    return layout.controllers


def waiting_job(layout: TaskLayout, warn: Warn, thaw: Thaw = if_own) -> str | None:
    """Return the id of the controller that was put in a queue and has not begun."""
    record = RunRecord.load(layout)
    if record is None or not record.is_waiting:
        return None
    for one in controllers(layout, warn, thaw):
        for batch, position in one.active_jobs():
            if batch.job(position) == record.job != this_job():
                return str(batch.ids[position])
    return None


def ending(layout: TaskLayout, job: str, warn: Warn) -> Ending | None:
    """Return why a controller in a queue ended; None if that is not known."""
    for one in controllers(layout, warn):
        for batch in one.batches:
            if batch.job(0) == job and (batch.key, 0) not in one.alive:
                _, ending, is_explained = batch.state(0)
                if not is_explained:
                    (ending,) = why_ended([evidence(batch, 0)], one.scheduler)
                return ending and batch.with_cause(ending)
    return None


def release_lock(layout: TaskLayout, warn: Warn, thaw: Thaw = if_own) -> None:
    """Remove the locks of a controller whose job has ended, as its queue says.

    Among them are those of the steps that it had done in its job.
    """
    holder = recorded_holder(layout.lock)
    if holder is None or not holder.job:
        return
    for one in controllers(layout, warn, thaw):
        ended = [b.job(0) for b in one.batches if (b.key, 0) not in one.alive]
        if holder.job in ended:
            for path in (*locks_of(layout), layout.lock):
                break_lock(path, holder.job)


def stop(layout: TaskLayout, warn: Warn, thaw: Thaw = if_own) -> tuple[int, set[str]]:
    """Cancel a task's controllers in queues; return their number and their tasks."""
    n_jobs = 0
    # One that ends for want of time may just have submitted the next.
    while cancelled := [
        job
        for one in controllers(layout, warn, thaw)
        for job in one.cancel(lambda _: True, warn)
    ]:
        n_jobs += len(cancelled)
    release_lock(layout, warn, thaw)
    record = RunRecord.load(layout)
    if not n_jobs or record is None:
        return n_jobs, set()
    log = RunLog(record)
    if record.ended is None:
        log.write("psy: stopped by 'psy kill'.\n")
        log.end(130)
    return n_jobs, set(record.tasks)


def forget_ended(home: TaskLayout, warn: Warn) -> None:
    """Remove what is recorded of controllers that have ended."""
    for one in controllers(home, warn):
        for batch in one.batches:
            if (batch.key, 0) not in one.alive and batch.job(0) != this_job():
                batch.remove()
