"""Where the jobs of tasks go, according to profile and task file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psyrun.errors import SchedulerError
from psyrun.queue.ledger import Ledger
from psyrun.queue.placement import ImportCost
from psyrun.scheduler import ImmediateRun, Scheduler, scheduler_class
from psyrun.scheduler.options import joined
from psyrun.tasks.config import PLACES
from psyrun.tasks.loading import Task, load_task
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT, TaskLayout
from psyrun.workdir.plan import Plan

_FLAGS = {"True": True, "False": False}  # for options that take no value


class SiteSettings:
    """What a profile says, for all tasks.

    It names the scheduler of tasks that do not name one, has arguments such as
    ``'account=lab partition=short'``, and says where split and merge are done.

    Raises
    ------
    SchedulerError
        If the arguments, or the place, are not understood.
    """

    def __init__(
        self,
        scheduler: str | None,
        arguments: str | None,
        split_and_merge: str | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._split_and_merge = _place(split_and_merge or "auto")
        self._arguments = parse_arguments(arguments or "")
        self._tasks: dict[Path, QueuedTask] = {}

    def task(self, folder: Path) -> QueuedTask:
        """Return the task that works in a folder ``<workdir>/<task>``.

        Raises `PsyrunError` if its task file is not usable, or no scheduler is named.
        """
        if folder not in self._tasks:
            self._tasks[folder] = self._load(folder)
        return self._tasks[folder]

    def _load(self, folder: Path) -> QueuedTask:
        plan = Plan.required(TaskLayout(folder))
        cost = ImportCost()
        with cost.measured():
            task = load_task(Path(plan.taskfile), with_space=False)
        scheduler = self._scheduler_of(task.scheduler, plan)
        return replace(
            QueuedTask.of(task, plan, self._arguments, scheduler),
            split_and_merge=task.split_and_merge or self._split_and_merge,
            import_cost=cost,
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


def _place(word: str) -> str:
    if word not in PLACES:
        raise SchedulerError(
            f"psyrun-split-and-merge: must be {', '.join(PLACES[:-1])} or "
            f"{PLACES[-1]}, got {word!r}."
        )
    return word


def parse_arguments(text: str) -> dict[str, Any]:
    """Read scheduler arguments as profiles give them, quoted as in a shell."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SchedulerError(
            f"psyrun-args: {text!r}: {str(error).lower()}. Fix the quotes."
        ) from error
    return read_pairs(words, "psyrun-args:")


def read_pairs(words: Iterable[str], where: str) -> dict[str, Any]:
    """Read scheduler arguments NAME=VALUE; `where` says in errors where they are."""
    values: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator:
            raise SchedulerError(
                f"{where} {word}: must be NAME=VALUE, such as account=lab."
            )
        values[name] = _FLAGS.get(value, value)
    return values


@dataclass(frozen=True, eq=False)
class QueuedTask:
    """A task whose jobs go to a queue.

    `scheduler_args` are what the task and its site ask for; functions take the name
    of a job. `retries` is how often a job that was given too little is given more.
    `split_and_merge` is where these are done, and `import_cost` what importing the task
    took, see `psyrun.queue.placement`.
    """

    layout: TaskLayout
    plan: Plan
    scheduler: Scheduler
    scheduler_args: Mapping[str, Any]
    retries: int
    split_and_merge: str = "auto"
    import_cost: ImportCost = field(default_factory=ImportCost)

    @classmethod
    def of(
        cls,
        task: Task,
        plan: Plan,
        of_site: Mapping[str, Any] | None = None,
        scheduler: Scheduler | None = None,
    ) -> QueuedTask:
        """Join what a task and its site ask for; what the task says wins.

        `of_site` is what holds for all tasks, as `parse_arguments` returns it;
        `scheduler` is that of the site, if the task has none of its own.
        """
        scheduler = scheduler or task.scheduler
        return cls(
            layout=TaskLayout.of(plan.workdir, plan.task),
            plan=plan,
            scheduler=scheduler,
            scheduler_args=joined(
                scheduler.OPTIONS, of_site or {}, *task.argument_sources
            ),
            retries=task.retries,
        )

    @property
    def ledger(self) -> Ledger:
        """What was submitted for the task."""
        return Ledger(self.layout)

    def values(self, step: str, block: int | str | None = None) -> dict[str, Any]:
        """Return the checked arguments of the scheduler for one job."""
        name = self.layout.job(step, block)
        values = self.scheduler.validate(self.scheduler_args, name)
        takes_cores = "n_cpus" in (self.scheduler.OPTIONS or {})
        is_parallel = step == PROCESS and self.plan.pool_size > 1
        if is_parallel and takes_cores and "n_cpus" not in self.scheduler_args:
            # Each process of a job needs a core, unless the user knows better and has
            # said so by another name.
            with suppress(SchedulerError):
                given = {**self.scheduler_args, "n_cpus": self.plan.pool_size}
                return self.scheduler.validate(given, name)
        return values

    def resources(self) -> dict[str, dict[str, int | str]]:
        """Return what jobs ask for as Snakemake's resources, for its other executors.

        They are listed by step. Where process jobs ask for different amounts, each is
        given the largest. Raises `SchedulerError` if arguments are not accepted.
        """
        varies = any(callable(value) for value in self.scheduler_args.values())
        blocks = range(self.plan.n_blocks if varies else 1)
        found = [self._resources_of(PROCESS, block) for block in blocks]
        names = dict.fromkeys(name for one in found for name in one)
        most = {name: _most([r[name] for r in found if name in r]) for name in names}
        return {
            SPLIT: self._resources_of(SPLIT),
            PROCESS: most,
            MERGE: self._resources_of(MERGE),
        }

    def _resources_of(
        self, step: str, block: int | None = None
    ) -> dict[str, int | str]:
        return self.scheduler.resources(self.values(step, block))


def _most(values: list[int | str]) -> int | str:
    numbers = [value for value in values if isinstance(value, int)]
    return max(numbers) if len(numbers) == len(values) else values[0]


def time_limit(scheduler: Scheduler, values: Mapping[str, Any]) -> int | None:
    """Return the time limit of a job in minutes, None where it is not known.

    `values` are the scheduler's arguments for the job.
    """
    minutes = scheduler.resources(values).get("runtime")
    return minutes if isinstance(minutes, int) else None
