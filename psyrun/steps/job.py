"""A job: one step of a round, with its plan, its task and its rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from psyrun.errors import (
    LostLockError,
    PsyrunError,
    RecordError,
    StoreError,
    TaskError,
)
from psyrun.store import Store
from psyrun.store.registry import store_with
from psyrun.tasks.changes import changes_since, told
from psyrun.tasks.loaded_code import LoadedFile
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.version import Version, version_of
from psyrun.utils.files import checking
from psyrun.utils.process.code_watch import code_watch
from psyrun.utils.process.forkable import ImportWatch, Obstacles
from psyrun.utils.process.random_state import RandomStates
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import SPLIT, Round, TaskLayout
from psyrun.workdir.lock import Lock, is_held_by
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData

# A job of a run that has lost the task may hold its lock until that has ended it.
_PATIENCE = 10.0  # seconds


@dataclass(frozen=True)
class ImportedTask:
    """A task that was imported once, for all jobs that follow.

    Attributes
    ----------
    version : Version
        The version of the task.
    loaded : tuple of LoadedFile
        What is to be recorded of the code that its import loaded.
    random_states : RandomStates
        The random generators that its import made.
    obstacles : Obstacles
        What its import started that a forked process lacks, such as threads.
    """

    task: Task
    version: Version
    loaded: tuple[LoadedFile, ...]
    random_states: RandomStates
    obstacles: Obstacles

    @classmethod
    def load(cls, taskfile: str) -> ImportedTask:
        """Import a task."""
        watch = code_watch()
        watch.since = time.time()
        # It is not loaded by the import system.
        watch.loaded(taskfile, is_module=True)
        with ImportWatch() as import_watch:
            task = load_task(Path(taskfile))
        layout = TaskLayout.of(task.workdir, task.name)
        version = version_of(task, layout.digests, layout.source, layout.loaded)
        version.remember(layout.source)
        loaded = tuple(version.new(watch.take()))
        found = import_watch.obstacles()
        return cls(task, version, loaded, RandomStates.find(), found)

    def is_forkable_for(self, step: str) -> bool:
        """Whether a copy of this process can do a step; workers are another matter.

        Only split runs code of the task file: it iterates over the space.
        """
        lacks = self.obstacles
        return not (lacks if step == SPLIT else lacks.others)


@dataclass(frozen=True)
class Job:
    """One job of a plan.

    Attributes
    ----------
    preloaded : ImportedTask or None
        Its task, if it was imported already.
    controller : Holder or None
        Who ran the task when the job began, if it ends with that.
    """

    plan: Plan
    layout: TaskLayout
    preloaded: ImportedTask | None = None
    controller: Holder | None = None

    @classmethod
    def of(
        cls,
        layout: TaskLayout,
        number: int,
        preloaded: ImportedTask | None,
        controller: Holder | None = None,
    ) -> Job:
        """Return a job of a round; refuse one that is not that of the task's plan."""
        plan = Plan.required(layout)
        if plan.round != number:
            raise PsyrunError(
                f"{layout.round(number).folder}: another plan has taken the place of "
                f"this one. Start the task again with 'psy run {plan.arguments}'."
            )
        return cls(plan, layout, preloaded, controller)

    @cached_property
    def round(self) -> Round:
        """Paths of the round."""
        return self.layout.round(self.plan.round)

    @property
    def activity(self) -> str:
        """What the job is at, as far as that is known."""
        return "" if "imported" in vars(self) else "in the import of the task file"

    @cached_property
    def imported(self) -> ImportedTask:
        """The imported task; another version than the plan's is refused.

        A job may have waited in a queue for long.
        """
        imported = self.preloaded or ImportedTask.load(self.plan.taskfile)
        version = imported.version
        planned = self.plan.fingerprint
        if not version.is_one_of(self.plan.names, is_former=self.plan.is_former):
            self._check_seeding(version)
            folder, path = self.layout.versions, self.layout.version
            what = told(changes_since(version, planned, folder, path))
            what = what or self.plan.taskfile
            arguments = self.plan.arguments
            raise TaskError(
                f"{what}: was changed after the job was planned, so "
                f"nothing was evaluated. Run the task again: 'psy run {arguments}', or "
                f"'psy run --continue {arguments}' to keep the rows that are there."
            )
        for file in imported.loaded:
            file.save(self.layout.loaded)
        return imported

    def _check_seeding(self, version: Version) -> None:
        """Refuse a task whose version only has another seed, which may be random."""
        planned = replace(version, seeding=self.plan.seeding)
        if version.seeding and planned.is_one_of(self.plan.names):
            before = self.plan.seeding or "no seed"
            raise TaskError(
                f"{self.plan.taskfile}: replicates had {before} "
                f"when the job was planned, and have {version.seeding} now, so nothing "
                "was evaluated. Give them a fixed number, such as seed=1, and run the "
                f"task again: 'psy run {self.plan.arguments}'."
            )

    def record_loaded_code(self) -> None:
        """Record which files of code were loaded since the last call.

        Raises
        ------
        RecordError
            If they cannot be recorded.
        """
        watch = code_watch()
        if "imported" not in vars(self) or not watch.has_new:
            return
        for file in self.imported.version.new(watch.take()):
            try:
                file.save(self.layout.loaded)
            except StoreError as error:
                raise RecordError(str(error)) from error

    @property
    def task(self) -> Task:
        """The task."""
        return self.imported.task

    def store(self, ext: str) -> Store:
        """Return the task's store if it is for files `*ext`, else one that is."""
        return store_with(ext, self.task.store)

    @cached_property
    def data(self) -> RoundData:
        """The space and the rows of the round."""
        return RoundData(self.round, self.store(self.plan.block_ext))

    @contextmanager
    def locked(self, step: str) -> Iterator[Lock]:
        """Hold the lock of a step; no file takes its name once that is lost.

        Nor does one once the run has lost its task: another run may have begun
        another round, whose locks are others.
        """
        lock = self._lock(step)
        with lock, checking(lock.check), checking(self._check_controller):
            try:
                yield lock
            except Exception:
                # What was missing then, another run may have removed.
                self._check_controller()
                raise

    @property
    def is_controlled(self) -> bool:
        """Whether the run that began the job still has its task."""
        controller = self.controller
        return controller is None or is_held_by(self.layout.lock, controller)

    def _check_controller(self) -> None:
        if not self.is_controlled:
            raise LostLockError(
                f"task {self.plan.task!r} is another run's now, or its lock was "
                "removed. What was recorded here is kept."
            )

    def _lock(self, step: str) -> Lock:
        name = step.replace("-", ":")
        path, subject = self.round.lock(step), f"{self.plan.task}:{name}"
        return Lock(path, subject, patience=_PATIENCE)
