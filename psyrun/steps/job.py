"""What a step knows of its task, its plan and its round."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psyrun.errors import PsyrunError, TaskError
from psyrun.store import Store
from psyrun.store.registry import store_with
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.version import version_of
from psyrun.utils.random_state import RandomStates
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.lock import Lock
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData


@dataclass(frozen=True)
class ImportedTask:
    """A task that was imported once, for all jobs that follow.

    Attributes
    ----------
    task : Task
        The task.
    version : str
        Its fingerprint.
    random_states : RandomStates
        The random generators that its import made.
    has_threads : bool
        Whether its import started threads, which a forked process lacks.
    """

    task: Task
    version: str
    random_states: RandomStates
    has_threads: bool

    @classmethod
    def load(cls, taskfile: str) -> ImportedTask | None:
        """Import a task; None if that fails, so that the job tells of it."""
        try:
            return cls.imported(taskfile)
        except PsyrunError:
            return None

    @classmethod
    def imported(cls, taskfile: str) -> ImportedTask:
        """Import a task.

        Raises
        ------
        TaskError
            If it is not usable.
        """
        n_threads = threading.active_count()
        task = load_task(Path(taskfile))
        has_threads = threading.active_count() > n_threads
        digests = TaskLayout.of(task.workdir, task.name).digests
        return cls(task, version_of(task, digests), RandomStates.find(), has_threads)


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes
    ----------
    plan : Plan
        The accepted plan.
    layout : TaskLayout
        Paths of the task.
    context : ImportedTask or None
        The task, if it was imported already.
    """

    plan: Plan
    layout: TaskLayout
    context: ImportedTask | None = None

    @classmethod
    def of(
        cls, layout: TaskLayout, number: int, context: ImportedTask | None = None
    ) -> Job:
        """Return a job of a round.

        Raises
        ------
        PsyrunError
            If the task has no plan, or one with another round.
        """
        plan = Plan.required(layout)
        if plan.round != number:
            raise PsyrunError(
                f"{layout.round(number).folder}: another plan has taken the place of "
                "this one. Start the task again with 'psy run'."
            )
        return cls(plan, layout, context)

    @cached_property
    def round(self) -> Round:
        """Paths of the round."""
        return self.layout.round(self.plan.round)

    @cached_property
    def imported(self) -> ImportedTask:
        """The imported task.

        Raises
        ------
        TaskError
            If it is not usable, or is another version than the plan is for:
            a job may have waited in a queue for long.
        """
        imported = self.context or ImportedTask.imported(self.plan.taskfile)
        if imported.version != self.plan.fingerprint:
            raise TaskError(
                f"{self.plan.taskfile}: was changed after the job was planned, so "
                "nothing was evaluated. Run the task again: 'psy run', or "
                "'psy run --continue' to keep the rows that are there."
            )
        return imported

    @property
    def task(self) -> Task:
        """The task."""
        return self.imported.task

    def store(self, ext: str) -> Store:
        """Return the task's store if it is for files named `ext`, else one that is."""
        return store_with(ext, self.task.store)

    @cached_property
    def data(self) -> RoundData:
        """What the round knows."""
        return RoundData(self.round, self.store(self.plan.block_ext))

    def lock(self, step: str) -> Lock:
        """Return the lock of a step."""
        name = step.replace("-", ":")
        return Lock(self.round.lock(step), f"{self.plan.task}:{name}")
