"""Where the jobs of tasks go, according to profile and task file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.files import read_json
from psyrun.layout import TaskLayout
from psyrun.plan import Plan
from psyrun.queue.item import QueuedTask
from psyrun.scheduler import ImmediateRun, Scheduler, scheduler_class
from psyrun.scheduler.options import joined
from psyrun.tasks import Task, load_task

LEAVE_VARIABLE = "PSYRUN_LEAVE_JOBS"
"""Environment variable: jobs stay in the queue when Snakemake is interrupted."""

_FLAGS = {"True": True, "False": False}  # for options that take no value


class Site:
    """What a profile says, for all tasks.

    Parameters
    ----------
    scheduler : str or None
        Name of the scheduler of tasks that do not name one.
    arguments : str or None
        Such as ``'account=lab partition=short'``.
    """

    def __init__(self, scheduler: str | None, arguments: str | None) -> None:
        self._scheduler = scheduler
        self._arguments = parse_arguments(arguments or "")
        self._tasks: dict[Path, QueuedTask] = {}

    def task(self, folder: Path) -> QueuedTask:
        """Return the task that works in a folder.

        Parameters
        ----------
        folder : Path
            ``<workdir>/<task>``.

        Raises
        ------
        PsyrunError
            If its task file is not usable, or no scheduler is named.
        """
        if folder not in self._tasks:
            self._tasks[folder] = self._load(folder)
        return self._tasks[folder]

    def _load(self, folder: Path) -> QueuedTask:
        state = folder / "state.json"
        plan = Plan.from_json(read_json(state), str(state))
        task = load_task(Path(plan.taskfile), with_space=False)
        scheduler = self._scheduler_of(task.scheduler, plan)
        return QueuedTask(
            layout=TaskLayout.of(plan.workdir, plan.task),
            plan=plan,
            scheduler=scheduler,
            scheduler_args=with_site(task, scheduler, self._arguments),
            retries=task.retries,
        )

    def _scheduler_of(self, scheduler: Scheduler, plan: Plan) -> Scheduler:
        if not isinstance(scheduler, ImmediateRun):
            return scheduler
        if self._scheduler is None:
            raise SchedulerError(
                f"{plan.taskfile}: no scheduler is set. Set one there, such as "
                "'scheduler = Slurm()', or in the profile: 'psyrun-scheduler: Slurm'."
            )
        return scheduler_class(self._scheduler)()


def with_site(
    task: Task, scheduler: Scheduler, of_site: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the scheduler's arguments of a task with those of its site.

    Parameters
    ----------
    task : Task
        The task, whose own arguments win.
    scheduler : Scheduler
        Its scheduler; that of the site if it has none of its own.
    of_site : mapping of str to object
        What holds for all tasks, as `parse_arguments` returned it.
    """
    return joined(scheduler.OPTIONS, of_site, *task.argument_sources)


def parse_arguments(text: str) -> dict[str, Any]:
    """Read scheduler arguments as profiles give them.

    Parameters
    ----------
    text : str
        Such as ``'account=lab partition=short'``; quotes as in a shell.

    Raises
    ------
    SchedulerError
        If a word is no such pair.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SchedulerError(
            f"psyrun-args: {text!r}: {str(error).lower()}. Mend the quotes."
        ) from error
    for word in words:
        if "=" not in word:
            raise SchedulerError(
                f"psyrun-args: {word!r} must be NAME=VALUE, such as account=lab."
            )
    pairs = (word.split("=", 1) for word in words)
    return {name: _FLAGS.get(value, value) for name, value in pairs}
