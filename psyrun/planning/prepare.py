"""From task files to accepted plans and Snakefiles."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError, RunningError, StoreError, enough_memory_for
from psyrun.planning.checks import (
    check,
    check_imports,
    check_results,
    check_work_folder,
    make_folder_for_result,
)
from psyrun.planning.current import current_state
from psyrun.planning.decide import Decision, Desired, decide
from psyrun.planning.snakefile import check_path, environment, render
from psyrun.queue.asking import Warn, silently
from psyrun.queue.recovery import EarlierJobs, left, release_locks
from psyrun.queue.site import resources
from psyrun.scheduler import ImmediateRun, scheduler_class
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.version import version_of
from psyrun.utils import __version__
from psyrun.utils.files import write_json, write_text
from psyrun.utils.resources import shipped
from psyrun.utils.text import counted
from psyrun.workdir.layout import TaskLayout, record_of_task
from psyrun.workdir.lock import Holder, Lock, live_holder, running_jobs
from psyrun.workdir.plan import DEFAULT_PYTHON, Plan

_PATIENCE = 10.0  # seconds that jobs of a killed run are given to end


@dataclass(frozen=True)
class RunOptions:
    """What the user asked for on the command line.

    Attributes
    ----------
    keep_going : bool
        Whether outdated rows are kept (``--continue``).
    accept_failures : bool
        Whether assignments that failed are gone without.
    max_failures : int or None
        How many assignments may fail, if that is not left to the task file.
    token : str
        Name for a new merge.
    """

    keep_going: bool = False
    accept_failures: bool = False
    max_failures: int | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def overrides(self) -> dict[str, Any]:
        """Special variables that take the place of those of the task file."""
        is_given = self.max_failures is not None
        return {"max_failures": self.max_failures} if is_given else {}


@dataclass
class Prepared:
    """A task for which it is decided what to do.

    Attributes
    ----------
    task : Task
        The task.
    layout : TaskLayout
        Its paths.
    decision : Decision
        What to do.
    options : RunOptions
        What the user asked for.
    lock : Lock or None
        The lock of the task, once it is started.
    site_scheduler : str or None
        Name of the scheduler that tasks without one of their own get; None
        while that is not known, and empty if there is none.
    """

    task: Task
    layout: TaskLayout
    decision: Decision
    options: RunOptions
    lock: Lock | None = None
    site_scheduler: str | None = ""

    @property
    def plan(self) -> Plan:
        """The plan to follow."""
        return self.decision.plan

    @property
    def profile(self) -> str:
        """Name of the Snakemake profile that the task's scheduler needs."""
        return self.task.scheduler.PROFILE

    def render(self) -> None:
        """Write the Snakefile, unless a run of the task is using it now."""
        if self.lock is None and live_holder(self.layout.lock) is not None:
            return
        template = shipped("workflow", "task.smk.template").read_text(encoding="utf-8")
        needs = resources(self.task.scheduler, self.task.scheduler_args, self.plan)
        write_text(self.layout.snakefile, render(self.plan, template, needs))
        write_text(self.layout.environment, environment(__version__))

    def start(self, warn: Warn = silently, *, insist: bool = False) -> None:
        """Lock the task and accept its plan.

        Parameters
        ----------
        warn : callable
            Takes remarks for the user, such as that a lock was taken over.
        insist : bool
            Whether the plan must still be the one that was made before, as
            Snakemake has read it already.

        Raises
        ------
        RunningError
            If somebody else runs the task.
        PsyrunError
            If the task changed since it was decided what to do.
        """
        lock = Lock(self.layout.lock, f"task {self.task.name!r}")
        former = self._acquire(lock)
        if former is not None:
            warn(_taken_over(self.task.name, former))
        try:
            decision = self._decide_anew(warn)
            if insist and decision != self.decision:
                raise PsyrunError(
                    f"task {self.task.name!r} was worked on by another run meanwhile. "
                    "Run again."
                )
            # Jobs of a killed run may have come to their ends meanwhile.
            self.decision = decision
            self.plan.save(self.layout)
            _note_where(self.task)
            make_folder_for_result(self.task)
        except BaseException:
            lock.release()
            raise
        self.lock = lock
        # A request to stop was meant for whoever ran the task before.
        self.layout.stop.unlink(missing_ok=True)
        self.render()

    def _acquire(self, lock: Lock) -> Holder | None:
        try:
            return lock.acquire()
        except RunningError as error:
            name = self.task.name
            raise RunningError(
                f"{error} Follow it with 'psy attach {name}', or stop it with "
                f"'psy kill {name}'."
            ) from None

    def _decide_anew(self, warn: Warn) -> Decision:
        """Decide what to do now that nobody else can start anything."""
        found = left(self.layout, self.task.scheduler, warn, records=True)
        release_locks(self.layout, found)
        adoptable = _adoptable(found, self.task, self.site_scheduler)
        self._wait_for_jobs_of_killed_run(found)
        decision = _decide(self.task, self.options, adoptable)
        number = decision.plan.round
        cancelled = [
            job
            for one in found
            for job in one.cancel(
                lambda batch, one=one: (
                    one not in adoptable  # type: ignore[misc]
                    or batch.intent.round != number
                ),
                warn,
            )
        ]
        if cancelled:
            n_jobs = counted(len(cancelled), "queued job")
            warn(f"{self.task.name}: cancelled {n_jobs} of an outdated plan")
            return self._decide_anew(warn)
        n_alive = sum(len(one.alive) for one in adoptable)
        if n_alive:
            warn(f"{self.task.name}: {counted(n_alive, 'job')} of before go on")
        return decision

    def _wait_for_jobs_of_killed_run(self, found: Sequence[EarlierJobs]) -> None:
        """Jobs end with their controller, but it takes them a moment.

        Those in queues do not: they are adopted or cancelled.
        """
        deadline = time.monotonic() + _PATIENCE
        alive = {batch.job(p) for one in found for batch, p in one.living()}
        while jobs := {
            job: holder
            for job, holder in running_jobs(self.layout).items()
            if holder.job not in alive
        }:
            if time.monotonic() > deadline:
                job, holder = next(iter(jobs.items()))
                name = self.task.name
                raise RunningError(
                    f"task {name!r}: its run ended, but its job {job} is still run by "
                    f"{holder}. Wait for it, or stop it with 'psy kill {name}'."
                )
            time.sleep(0.1)

    def release(self) -> None:
        """Give the lock back."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None


def _taken_over(name: str, former: Holder) -> str:
    return f"task {name!r}: taking over from {former}, which ended without a word."


def _note_where(task: Task) -> None:
    """Record where the task works, so that others needn't import it to know."""
    folder = record_of_task(task.taskdir, task.name).parent
    record = {
        "workdir": str(task.workdir),
        "resultfile": str(task.resultfile),
        "file_dep": [str(path) for path in task.file_dep],
    }
    # A convenience: a folder that cannot be written to must not stop a run.
    with suppress(OSError, StoreError):
        if not folder.exists():
            write_text(folder / ".gitignore", "*\n")
        write_json(record_of_task(task.taskdir, task.name), record)


def prepare_all(
    paths: Iterable[Path],
    options: RunOptions,
    warn: Warn = silently,
    site_scheduler: str | None = "",
) -> list[Prepared]:
    """Do what `prepare` does for tasks that are run together.

    Parameters
    ----------
    paths : iterable of Path
        The task files.
    options, warn, site_scheduler
        As for `prepare`.

    Raises
    ------
    TaskError
        If two tasks have the same result file, or as `prepare`.
    PsyrunError
        As `prepare`.
    """
    prepared = [prepare(path, options, warn, site_scheduler) for path in paths]
    check_results([one.task for one in prepared])
    return prepared


def prepare(
    path: Path,
    options: RunOptions,
    warn: Warn = silently,
    site_scheduler: str | None = "",
) -> Prepared:
    """Load a task and decide what is to be done for it; change nothing.

    Parameters
    ----------
    path : Path
        The task file.
    options : RunOptions
        What the user asked for.
    warn : callable
        Takes remarks for the user, such as that a queue does not answer.
    site_scheduler : str or None
        Name of the scheduler that tasks without one of their own get; None
        while that is not known, and empty if there is none.

    Raises
    ------
    TaskError
        If the task file is not usable, or its work folder is that of another.
    PsyrunError
        If what is on disk cannot be read.
    """
    task = load_task(path, options.overrides)
    check(task)
    layout = TaskLayout.of(task.workdir, task.name)
    found = left(layout, task.scheduler, warn, records=False)
    decision = _decide(task, options, _adoptable(found, task, site_scheduler))
    if not decision.is_done:
        check_imports(task)
    return Prepared(task, layout, decision, options, site_scheduler=site_scheduler)


def _adoptable(
    found: Sequence[EarlierJobs], task: Task, site_scheduler: str | None
) -> list[EarlierJobs]:
    """Return the queues whose jobs this run can go on with."""
    if not isinstance(task.scheduler, ImmediateRun):
        return [one for one in found if one.scheduler is task.scheduler]
    if site_scheduler is None:
        return list(found)
    if not site_scheduler:
        return []
    wanted = scheduler_class(site_scheduler)
    return [one for one in found if type(one.scheduler) is wanted]


def _decide(
    task: Task, options: RunOptions, adoptable: Sequence[EarlierJobs]
) -> Decision:
    wanted = _wanted(task, options)
    known = current_state(task, wanted)
    if known.plan is not None:
        number = known.plan.round
        has_jobs = any(one.in_round(number) for one in adoptable)
        known = replace(known, has_jobs=has_jobs)
    with enough_memory_for(task.pspace, task.path):
        decision = decide(wanted, known, keep_going=options.keep_going)
    check_work_folder(task, known.plan, decision.plan)
    return decision


def refusal(prepared: Prepared) -> str | None:
    """Return why outdated rows may not be replaced, None where they may."""
    if not prepared.decision.is_dirty or prepared.task.overwrite_dirty:
        return None
    name = prepared.task.name
    return (
        f"{prepared.task.path}: changed since its results were computed, and "
        "overwrite_dirty is False. Keep them and add what is missing with "
        f"'psy run --continue {name}', or remove them with 'psy clean {name}'."
    )


def _wanted(task: Task, options: RunOptions) -> Desired:
    workdir, resultfile, path = str(task.workdir), str(task.resultfile), str(task.path)
    check_path(workdir, "workdir", path)
    check_path(resultfile, "resultfile", path)
    return Desired(
        task=task.name,
        taskfile=path,
        workdir=workdir,
        fingerprint=version_of(task, TaskLayout.of(task.workdir, task.name).digests),
        n_items=len(task.pspace),
        backend=task.backend,
        max_jobs=task.max_jobs,
        min_items=task.min_items,
        pool_size=task.pool_size,
        accept_failures=options.accept_failures,
        max_failures=task.max_failures,
        ext=task.store.ext,
        resultfile=resultfile,
        python=DEFAULT_PYTHON if task.python == sys.executable else task.python,
        token=options.token,
    )
