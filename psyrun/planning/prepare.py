"""From task files to accepted plans and Snakefiles."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import (
    DamagedFileError,
    PsyrunError,
    RunningError,
    StoreError,
    enough_memory_for,
)
from psyrun.planning.checks import (
    check,
    check_result,
    check_results,
    check_work_folder,
    make_folder_for_result,
)
from psyrun.planning.current import (
    IncomparableError,
    current_state,
    has_parameter,
    known_fingerprints,
    with_rerun,
)
from psyrun.planning.decide import Decision, decide
from psyrun.planning.desired import PlanOptions, desired_of, sources_of
from psyrun.planning.hints import unlisted_files
from psyrun.planning.snakefile import check_path, check_taskfile, environment, render
from psyrun.planning.states import Current, Desired, RowNumbers
from psyrun.planning.telling import told_of_rerun, told_of_rest, told_of_rows
from psyrun.queue.asking import Warn
from psyrun.queue.recovery import EarlierJobs, find_earlier_jobs, release_locks
from psyrun.queue.site import QueuedTask
from psyrun.scheduler import ImmediateRun, scheduler_class
from psyrun.tasks.changes import (
    Change,
    changes_since,
    clause,
    of_code,
    of_space,
    record_accepted,
    told,
)
from psyrun.tasks.discovery import Refuse, raise_error
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.provenance import record_provenance
from psyrun.tasks.version import Version, version_of
from psyrun.utils import __version__
from psyrun.utils.checksums import keep_beside
from psyrun.utils.files import checking, write_json, write_text
from psyrun.utils.leftovers import remove_abandoned, remove_all_abandoned
from psyrun.utils.process.opened_files import opened_files
from psyrun.utils.resources import shipped
from psyrun.utils.text import counted, listed
from psyrun.workdir.copies import settle
from psyrun.workdir.description import Description
from psyrun.workdir.layout import TaskLayout, record_of_task
from psyrun.workdir.lock import (
    Lock,
    live_holder,
    remove_abandoned_rights,
    remove_stale_locks,
    running_jobs,
)
from psyrun.workdir.merged_rows import forget_lost
from psyrun.workdir.old_rounds import recover
from psyrun.workdir.origin import note_taskfile
from psyrun.workdir.plan import Plan, run_arguments
from psyrun.workdir.progress import changed_result, told_of_change
from psyrun.workdir.result_file import KEPT, is_foreign
from psyrun.workdir.snakemake_records import (
    forget_backups,
    forget_incomplete,
    forget_missing,
)

if TYPE_CHECKING:
    from psyrun.planning.part import Chosen
    from psyrun.planning.repair import Repair
    from psyrun.planning.rerun import Rerun

_PATIENCE = 10.0  # seconds that jobs of a killed run are given to end


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
    desired : Desired
        What the task asks for, once it is decided what to do.
    current : Current
        What was found on disk when that was decided.
    decision : Decision
        What to do, once it is decided.
    remarks : list of str
        What the user should know of the runs before.
    mended : list of str
        What was damaged of their records, and what was done about it.
    changes : tuple of Change
        What is known to differ from the version of the last plan.
    opened : frozenset of str
        Files that were opened when the task was loaded.
    rerun : Rerun or None
        Which rows are to be evaluated again, if the options say so.
    chosen : Chosen or None
        Which part of the space is to be evaluated, if not all.
    incomparable : str
        Why rows of before cannot be found, so that all is evaluated; else empty.
    """

    task: Task
    options: PlanOptions
    site_scheduler: str | None = ""
    lock: Lock | None = None
    desired: Desired = field(init=False)
    current: Current = field(init=False)
    decision: Decision = field(init=False)
    remarks: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    changes: tuple[Change, ...] = ()
    opened: frozenset[str] = frozenset()
    rerun: Rerun | None = None
    chosen: Chosen | None = None
    incomparable: str = ""
    _version: Version = field(init=False)
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
        what = told(of_code(self.changes)) or self.task.path
        return (
            f"{what}: changed since its results were computed, and "
            "overwrite_dirty is False. Keep them and add what is missing with "
            f"'psy run --continue {self.arguments}', or remove them with "
            f"'psy clean {self.name}'."
        )

    @property
    def said_of_rows(self) -> list[str]:
        """What is to be said of the rows that are there."""
        code, space = clause(of_code(self.changes)), clause(of_space(self.changes))
        lines = told_of_rows(self.name, self.decision, code, space, self.arguments)
        again = told_of_rerun(
            self.name,
            self.decision,
            self.rerun,
            is_merged=self.current.merged is not None,
            is_of_part=self.chosen is not None,
        )
        incomparable = filter(None, [self.incomparable])
        if self.chosen is not None:
            return [self.chosen.said_of(self.name), *incomparable, *again, *lines]
        is_rest = not (self.rerun or self.changes)
        rest = told_of_rest(self.name, self.decision, self.current) if is_rest else ()
        return [*rest, *incomparable, *again, *lines]

    @property
    def rows(self) -> RowNumbers:
        """How many rows there are, and how many are to be made."""
        rows = self.decision.rows
        if rows is not None:
            return rows
        plan = self.plan
        n_open = self.current.count_open(plan.round)
        n_items = max(plan.n_items or 0, n_open)
        return RowNumbers(n_items, n_open, n_items - n_open)

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
        self.decision = self._decide(self._adoptable(found))

    def decide(self, warn: Warn) -> None:
        """Decide what is to be done, now that nobody else can start anything."""
        self.check_lock()
        found = find_earlier_jobs(self.layout, self.task.scheduler, warn, records=True)
        release_locks(self.layout, found)
        self._earlier = found
        self.decision = self._decide_after_repair(self._adoptable(found))
        if self.options.keep_going and self.current.has_marks:
            # Who keeps rows gives up to evaluate them again.
            self._forget_marks()
            self.decision = self._decide(self._adoptable(found))
        if self.decision.is_done:
            _describe(self.task, self.layout)

    def _forget_marks(self) -> None:
        from psyrun.workdir.replaced import unmark

        for round_ in self.layout.rounds().values():
            unmark(round_, self.plan.names)

    def _decide_after_repair(self, adoptable: Sequence[EarlierJobs]) -> Decision:
        """Decide, and rebuild before what is damaged of what that depends on.

        What is large is looked at only if there is something to do.
        """
        # A first run has nothing to mend, and starts sooner without what mends.
        if not (self.layout.rounds() or self.layout.state.exists()):
            return self._decide(adoptable)
        repair = self._repair()
        repair.mend_records()
        try:
            decision = self._decide(adoptable, refuses_damage=True)
            is_mended = not decision.is_done and repair.mend_rows()
        except DamagedFileError:
            if not (is_mended := repair.mend_rows(is_thorough=True)):
                raise
        if is_mended:
            decision = self._decide(adoptable)
        self.mended += repair.said
        return decision

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
        _note_where(self.task)
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
        while self._wait_for_jobs_of_killed_run() or self._cancel_outdated(warn):
            self.decide(warn)
        n_alive = sum(len(one.alive) for one in self._adoptable(self._earlier))
        if n_alive:
            jobs = counted(n_alive, "job")
            self.remarks.append(f"{self.name}: {jobs} of before go on")

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
            self._accept()

    def _accept(self) -> None:
        if self.rerun is not None:
            # Without a plan, the next run evaluates them again all the same.
            self.rerun.record(self.layout, self.plan.fingerprint)
        self.plan.save(self.layout)
        self._record_version()
        _note_where(self.task)
        note_taskfile(self.layout, self.task.path)
        _describe(self.task, self.layout)
        make_folder_for_result(self.task)
        self._forget_lost_rows()
        self._keep_changed_result()
        self._move_aside()
        forget_missing(self.layout.folder, [self.task.resultfile])
        self.render()

    def _forget_lost_rows(self) -> None:
        """Have blocks made again whose rows are gone, as the result was changed."""
        n_lost = forget_lost(self.layout.round(self.plan.round), self.plan.block_ext)
        if n_lost:
            blocks = counted(n_lost, "block")
            self.remarks.append(
                f"{self.name}: the result had the only copy of its rows; {blocks} are "
                "evaluated again"
            )

    def _keep_changed_result(self) -> None:
        """Move a result aside that is not what was written, and that a merge replaces.

        It may have been damaged, but also edited on purpose.
        """
        path = Path(self.plan.resultfile)
        problem = changed_result(self.layout, path) if self.decision.merge else ""
        if problem:
            kept = keep_beside(path)
            self.remarks.append(
                f"{self.name}: {told_of_change(path, problem)} It is kept as {kept}, "
                "and merged again"
            )

    def _move_aside(self) -> None:
        path = Path(self.plan.resultfile)
        # All rows of a result that is continued are in the new one.
        is_replaced = self.decision.merge and self.plan.keep != "result"
        if is_replaced and is_foreign(self.layout, path):
            self.remarks.append(f"{path}: is kept as {keep_beside(path, KEPT)}")

    def _record_version(self) -> None:
        self._version.remember(self.layout.source)
        files, name = self._version.source.parts, self.plan.fingerprint
        record_provenance(self.layout.provenance, name, files, self.task.taskdir)
        unlisted = unlisted_files(self.task, self._version.source, self.opened)
        folder, path = self.layout.versions, self.layout.version
        fingerprint = self.plan.fingerprint
        new = record_accepted(self._version, fingerprint, folder, path, unlisted)
        if new:
            verb = "is" if len(new) == 1 else "are"
            self.remarks.append(
                f"{self.name}: {listed(new)} {verb} read but {verb} not in file_dep; "
                "rows are not outdated by a change of that"
            )

    def render(self) -> None:
        """Write the Snakefile, unless a run of the task is using it now."""
        if self.lock is None and live_holder(self.layout.lock) is not None:
            return
        template = shipped("workflow", "task.smk.template").read_text(encoding="utf-8")
        needs = QueuedTask.of(self.task, self.plan).resources()
        write_text(self.layout.snakefile, render(self.plan, template, needs))
        write_text(self.layout.environment, environment(__version__))

    def _decide(
        self, adoptable: Sequence[EarlierJobs], *, refuses_damage: bool = False
    ) -> Decision:
        """Decide what is to be done.

        Damaged blocks that rows would be taken from count as gone, or else raise
        `DamagedFileError`.
        """
        task = self.task
        version = version_of(
            task, self.layout.digests, self.layout.source, self.layout.loaded
        )
        known = list(known_fingerprints(self.layout))
        has_own_replicates = partial(has_parameter, self.layout, "replicate")
        plan = Plan.load(self.layout)
        sources = sources_of(version, plan, known, has_own_replicates)
        desired = desired_of(task, self.options, sources)
        current = current_state(task, desired, refuses_damage=refuses_damage)
        if self.options.move_aside and is_foreign(self.layout, task.resultfile):
            current = replace(current, has_result=False)
        if current.plan is not None:
            number = current.plan.round
            has_jobs = any(one.in_round(number) for one in adoptable)
            current = replace(current, has_jobs=has_jobs)
        with enough_memory_for(task.pspace, task.path):
            if desired.part:
                desired = self._with_part(desired, current)
            decision = self._decided(desired, current)
        check_work_folder(task, current.plan, decision.plan)
        if decision.merge:
            may_move = self.options.move_aside
            check_result(task, current.plan, decision.plan, may_move=may_move)
        last = "" if current.plan is None else current.plan.fingerprint
        folder, path = self.layout.versions, self.layout.version
        self.changes = changes_since(version, last, folder, path)
        if current.plan is not None and current.plan.space_source:
            space = current.plan.space_source
            self.changes += changes_since(version, space, folder, path)
        self._version, self.desired, self.current = version, desired, current
        return decision

    def _with_part(self, desired: Desired, current: Current) -> Desired:
        """Return what is desired, with the size of the part that is chosen."""
        from psyrun.planning.part import check_not_replaced, chosen_of

        if not self.options.keep_going:
            check_not_replaced(self.name, current, self.options.part)
        self.chosen = chosen_of(self.task, self.options.part, desired, current)
        n_items, n_whole = self.chosen.n_items, self.chosen.n_whole
        return replace(desired, n_items=n_items, n_whole=n_whole)

    def _decided(self, desired: Desired, current: Current) -> Decision:
        if self.options.rerun is not None:
            return self._decided_rerun(self.options.rerun, desired, current)
        try:
            return decide(desired, current, keep_going=self.options.keep_going)
        except IncomparableError as error:
            if self.options.keep_going or desired.part:
                raise
            # Nobody has to know which rows there are.
            self.incomparable = str(error)
            fresh = replace(desired, is_fresh=True)
            decision = decide(fresh, current, keep_going=False)
            return replace(decision, is_dirty=True)

    def _decided_rerun(self, text: str, desired: Desired, current: Current) -> Decision:
        from psyrun.planning.rerun import check_nothing_else, find_rerun

        self.rerun = rerun = find_rerun(text, desired, current, self.task)
        if rerun.n_selected:
            desired = replace(desired, rerun=text)
            current = with_rerun(self.task, desired, current, rerun.marks)
        decision = decide(desired, current, keep_going=self.options.keep_going)
        check_nothing_else(desired, decision)
        return decision

    def _adoptable(self, found: Sequence[EarlierJobs]) -> list[EarlierJobs]:
        """Return the queues whose jobs this run can go on with."""
        scheduler = self.task.scheduler
        if not isinstance(scheduler, ImmediateRun):
            return [one for one in found if one.scheduler is scheduler]
        if self.site_scheduler is None:
            return list(found)
        if not self.site_scheduler:
            return []
        kind = scheduler_class(self.site_scheduler)
        return [one for one in found if type(one.scheduler) is kind]

    def _wait_for_jobs_of_killed_run(self) -> bool:
        """Wait for the jobs that no queue runs; return whether there were any.

        They end with their controller, but it takes them a moment.
        """
        deadline = time.monotonic() + _PATIENCE
        alive = {
            batch.job(p) for one in self._earlier for batch, p in one.active_jobs()
        }
        has_waited = False
        while jobs := [
            (job, holder)
            for job, holder in running_jobs(self.layout)
            if holder.job not in alive
        ]:
            if time.monotonic() > deadline:
                job, holder = jobs[0]
                raise RunningError(
                    f"task {self.name!r}: its run ended, but its job {job} is still "
                    f"run by {holder}. Wait for it, or stop it with "
                    f"'psy kill {self.name}'."
                )
            has_waited = True
            time.sleep(0.1)
        return has_waited

    def _cancel_outdated(self, warn: Warn) -> bool:
        """Cancel jobs that do not fit to the plan; return whether there were any."""
        n_jobs, adoptable = 0, self._adoptable(self._earlier)
        for one in self._earlier:
            number = self.plan.round if one in adoptable else None
            n_jobs += _cancel_unless_in_round(number, one, warn)
        if n_jobs:
            jobs = counted(n_jobs, "queued job")
            self.remarks.append(f"{self.name}: cancelled {jobs} of an outdated plan")
        return n_jobs > 0


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


def _cancel_unless_in_round(number: int | None, jobs: EarlierJobs, warn: Warn) -> int:
    return len(jobs.cancel(lambda batch: batch.intent.round != number, warn))


def _describe(task: Task, layout: TaskLayout) -> None:
    """Record what the task file says of the results, which may be there already."""
    Description(task.dims, task.coords, task.attrs).save(layout)


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
