"""From task files to accepted plans and Snakefiles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import DamagedFileError, PsyrunError, RunningError
from psyrun.planning.acceptance import accept, describe, note_where
from psyrun.planning.assessment import Assessment, assess
from psyrun.planning.checks import check, check_results
from psyrun.planning.decide import Decision
from psyrun.planning.desired import PlanOptions
from psyrun.planning.earlier_jobs import (
    adoptable,
    cancel_outdated,
    wait_for_killed_run,
)
from psyrun.planning.snakefile import check_path, check_taskfile, environment, render
from psyrun.planning.states import Current, Desired, RowNumbers
from psyrun.planning.telling import told_of_assessment
from psyrun.queue.asking import Warn
from psyrun.queue.recovery import EarlierJobs, find_earlier_jobs, release_locks
from psyrun.queue.site import QueuedTask
from psyrun.tasks.changes import of_code, told
from psyrun.tasks.discovery import Refuse, raise_error
from psyrun.tasks.loading import Task, load_task
from psyrun.utils import __version__
from psyrun.utils.files import checking, write_text
from psyrun.utils.leftovers import remove_abandoned, remove_all_abandoned
from psyrun.utils.process.opened_files import opened_files
from psyrun.utils.resources import shipped
from psyrun.utils.text import counted
from psyrun.workdir.copies import settle
from psyrun.workdir.layout import TaskLayout, record_of_task
from psyrun.workdir.lock import (
    Lock,
    live_holder,
    remove_abandoned_rights,
    remove_stale_locks,
    running_jobs,
)
from psyrun.workdir.old_rounds import recover
from psyrun.workdir.plan import Plan, run_arguments
from psyrun.workdir.snakemake_records import forget_backups, forget_incomplete

if TYPE_CHECKING:
    from psyrun.planning.repair import Repair


@dataclass(eq=False)
class TaskRun:
    """One task of a run.

    It is locked, it is decided what to do for it, jobs of earlier runs are settled,
    and the plan is accepted. Where nothing may change, `preview` decides without the
    lock.

    Attributes
    ----------
    site_scheduler : str or None
        Name of the scheduler that tasks without one of their own get; None
        while that is not known, and empty if there is none.
    lock : Lock or None
        The lock of the task, while this process holds it.
    assessment : Assessment
        What is to be done, and all that this follows from, once it is decided.
    remarks : list of str
        What the user should know of the runs before.
    mended : list of str
        What was damaged of their records, and what was done about it.
    opened : frozenset of str
        Files that were opened when the task was loaded.
    """

    task: Task
    options: PlanOptions
    site_scheduler: str | None = ""
    lock: Lock | None = None
    assessment: Assessment = field(init=False)
    remarks: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    opened: frozenset[str] = frozenset()
    _earlier: list[EarlierJobs] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task.name

    @property
    def arguments(self) -> str:
        """What to give ``psy run`` to run it again as the options say."""
        return run_arguments(self.options.part, self.name)

    @property
    def layout(self) -> TaskLayout:
        """Paths of the task."""
        return TaskLayout.of(self.task.workdir, self.task.name)

    @property
    def desired(self) -> Desired:
        """What the task asks for, once it is decided what to do."""
        return self.assessment.desired

    @property
    def current(self) -> Current:
        """What was found on disk when that was decided."""
        return self.assessment.current

    @property
    def decision(self) -> Decision:
        """What to do, once it is decided."""
        return self.assessment.decision

    @property
    def plan(self) -> Plan:
        """The plan to follow."""
        return self.decision.plan

    @property
    def profile(self) -> str:
        """Name of the Snakemake profile that the task's scheduler needs."""
        return self.task.scheduler.PROFILE

    @property
    def refusal(self) -> str | None:
        """Why outdated rows may not be replaced, None where they may."""
        if not self.decision.is_dirty or self.task.overwrite_dirty:
            return None
        what = told(of_code(self.assessment.changes)) or self.task.path
        return (
            f"{what}: changed since its results were computed, and "
            "overwrite_dirty is False. Keep them and add what is missing with "
            f"'psy run --continue {self.arguments}', or remove them with "
            f"'psy clean {self.name}'."
        )

    @property
    def said_of_rows(self) -> list[str]:
        """What is to be said of the rows that are there."""
        return told_of_assessment(self.name, self.assessment, self.arguments)

    @property
    def rows(self) -> RowNumbers:
        """How many rows there are, and how many are to be made."""
        return self.assessment.rows

    def acquire(self) -> None:
        """Lock the task.

        Raises
        ------
        RunningError
            If somebody else runs it.
        """
        settle(self.layout)
        lock, name = Lock(self.layout.lock, f"task {self.name!r}"), self.name
        try:
            former = lock.acquire()
        except RunningError as error:
            raise RunningError(
                f"{error} Follow it with 'psy attach {name}', or stop it with "
                f"'psy kill {name}'."
            ) from None
        self.lock = lock
        if former is not None:
            self.remarks.append(
                f"task {name!r}: taking over from {former}, which ended unexpectedly."
            )
        self._remove_abandoned()
        # A request to stop was meant for whoever ran the task before.
        self.layout.stop.unlink(missing_ok=True)

    def _remove_abandoned(self) -> None:
        """Remove what writers of earlier runs have left that were killed."""
        result = Path(os.path.realpath(self.task.resultfile))
        remove_abandoned(result.parent, result.name)
        remove_abandoned(record_of_task(self.task.path.parent, self.name).parent)
        remove_all_abandoned(self.layout.folder)
        remove_stale_locks(self.layout)
        remove_abandoned_rights(self.layout)
        recover(self.layout)
        forget_incomplete(self.layout.folder, [self.task.resultfile])
        forget_backups([self.task.resultfile])

    def forget_incomplete(self) -> None:
        """Have Snakemake take no file for incomplete, unless somebody makes it now."""
        if live_holder(self.layout.lock) is None:
            forget_incomplete(self.layout.folder, [self.task.resultfile])

    def release(self) -> None:
        """Give the lock back."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def preview(self, warn: Warn) -> None:
        """Decide what is to be done, but change nothing, whoever runs the task."""
        found = find_earlier_jobs(self.layout, self.task.scheduler, warn, records=False)
        self.assessment = self._assess(found)

    def decide(self, warn: Warn) -> None:
        """Decide what is to be done, now that nobody else can start anything."""
        self.check_lock()
        found = find_earlier_jobs(self.layout, self.task.scheduler, warn, records=True)
        release_locks(self.layout, found)
        self._earlier = found
        self.assessment = self._assess_after_repair(found)
        if self.options.keep_going and self.current.has_marks:
            # Who keeps rows gives up to evaluate them again.
            self._forget_marks()
            self.assessment = self._assess(found)
        if self.decision.is_done:
            describe(self.task, self.layout)

    def _forget_marks(self) -> None:
        from psyrun.workdir.replaced import unmark

        for round_ in self.layout.rounds().values():
            unmark(round_, self.plan.names)

    def _assess(
        self, found: Sequence[EarlierJobs], *, refuses_damage: bool = False
    ) -> Assessment:
        jobs = self._adoptable(found)
        return assess(self.task, self.options, jobs, refuses_damage=refuses_damage)

    def _adoptable(self, found: Sequence[EarlierJobs]) -> list[EarlierJobs]:
        return adoptable(found, self.task.scheduler, self.site_scheduler)

    def _assess_after_repair(self, found: Sequence[EarlierJobs]) -> Assessment:
        """Decide, and rebuild before what is damaged of what that depends on.

        What is large is looked at only if there is something to do.
        """
        # A first run has nothing to mend, and starts sooner without what mends.
        if not (self.layout.rounds() or self.layout.state.exists()):
            return self._assess(found)
        repair = self._repair()
        repair.mend_records()
        try:
            assessment = self._assess(found, refuses_damage=True)
            is_mended = not assessment.decision.is_done and repair.mend_rows()
        except DamagedFileError:
            if not (is_mended := repair.mend_rows(is_thorough=True)):
                raise
        if is_mended:
            assessment = self._assess(found)
        self.mended += repair.said
        return assessment

    def repair(self) -> list[str]:
        """Rebuild all that is damaged of the records, and say what was done.

        Raises
        ------
        RunningError
            If a job of an earlier run goes on.
        """
        for job, holder in running_jobs(self.layout):
            raise RunningError(
                f"task {self.name!r}: its job {job} is run by {holder}. Wait for it, "
                f"or stop it with 'psy kill {self.name}'."
            )
        repair = self._repair()
        repair.mend_records()
        repair.mend_rows(is_thorough=True)
        repair.mend_files()
        note_where(self.task)
        return repair.said

    def _repair(self) -> Repair:
        from psyrun.planning.repair import Repair

        return Repair(self.task, self.layout)

    def settle_earlier_jobs(self, warn: Warn) -> None:
        """See to it that only jobs go on that fit to the plan.

        Those of a killed run, on this machine, end by themselves; others in queues
        are cancelled. As both may have added rows, it is decided once more then.

        Raises
        ------
        RunningError
            If a job of a killed run does not end.
        """
        while wait_for_killed_run(self.layout, self._earlier) or self._cancel_outdated(
            warn
        ):
            self.decide(warn)
        n_alive = sum(len(one.alive) for one in self._adoptable(self._earlier))
        if n_alive:
            jobs = counted(n_alive, "job")
            self.remarks.append(f"{self.name}: {jobs} of before go on")

    def _cancel_outdated(self, warn: Warn) -> bool:
        """Cancel jobs that do not fit to the plan; return whether there were any."""
        fitting = self._adoptable(self._earlier)
        n_jobs = cancel_outdated(self._earlier, fitting, self.plan.round, warn)
        if n_jobs:
            jobs = counted(n_jobs, "queued job")
            self.remarks.append(f"{self.name}: cancelled {jobs} of an outdated plan")
        return n_jobs > 0

    def check_lock(self) -> None:
        """Raise `LostLockError` if another run has taken the lock over meanwhile."""
        if self.lock is not None:
            self.lock.check()

    def accept(self) -> None:
        """Record the plan as the one that is followed, and write its Snakefile.

        Raises
        ------
        PsyrunError
            If the folder of the result cannot be made.
        """
        with checking(self.check_lock):
            accept(self.task, self.assessment, self.opened, self.remarks.append)
            self.render()

    def render(self) -> None:
        """Write the Snakefile, unless a run of the task is using it now."""
        if self.lock is None and live_holder(self.layout.lock) is not None:
            return
        template = shipped("workflow", "task.smk.template").read_text(encoding="utf-8")
        needs = QueuedTask.of(self.task, self.plan).resources()
        write_text(self.layout.snakefile, render(self.plan, template, needs))
        write_text(self.layout.environment, environment(__version__))


def load_tasks(
    paths: Iterable[Path],
    options: PlanOptions,
    site_scheduler: str | None = "",
    refuse: Refuse = raise_error,
) -> list[TaskRun]:
    """Load tasks that are run together.

    Parameters
    ----------
    refuse : callable
        Is told of a task file that is not usable, or whose result is that of another
        task, and why; such a task is left out if this returns.
    """
    loaded = []
    opened: dict[Path, frozenset[str]] = {}
    for path in paths:
        with opened_files() as found:
            task = _loaded(path, options, refuse)
        if task is not None:
            loaded.append(task)
            opened[task.path] = frozenset(found)
    tasks = check_results(loaded, refuse)
    return [
        TaskRun(task, options, site_scheduler, opened=opened[task.path])
        for task in tasks
    ]


def _loaded(path: Path, options: PlanOptions, refuse: Refuse) -> Task | None:
    try:
        check_taskfile(str(path))
        task = load_task(path, options.overrides)
        check(task)
        check_path(str(task.workdir), "workdir", str(task.path))
        check_path(str(task.resultfile), "resultfile", str(task.path))
        check_path(task.python, "python", str(task.path))
    except (PsyrunError, OSError) as error:
        refuse(path, error)
        return None
    return task
