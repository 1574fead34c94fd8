"""What is wanted of a task, what is there of it, and what is to be done then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from psyrun.errors import enough_memory_for
from psyrun.planning.checks import check_result, check_work_folder
from psyrun.planning.current import (
    current_state,
    has_parameter,
    known_fingerprints,
    with_rerun,
)
from psyrun.planning.decide import Decision, decide
from psyrun.planning.desired import PlanOptions, desired_of, sources_of
from psyrun.planning.states import Current, Desired, IncomparableError, RowNumbers
from psyrun.queue.recovery import EarlierJobs
from psyrun.tasks.changes import Change, changes_since
from psyrun.tasks.loading import Task
from psyrun.tasks.version import Version, version_of
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan
from psyrun.workdir.result_file import is_foreign

if TYPE_CHECKING:
    from psyrun.planning.part import Chosen
    from psyrun.planning.rerun import Rerun


@dataclass(frozen=True)
class Assessment:
    """What is to be done for a task, with all that this follows from.

    Attributes
    ----------
    version : Version
        The version of the task.
    desired : Desired
        What the task asks for.
    current : Current
        What was found on disk.
    decision : Decision
        What to do.
    changes : tuple of Change
        What is known to differ from the version of the last plan.
    chosen : Chosen or None
        Which part of the space is to be evaluated, if not all.
    rerun : Rerun or None
        Which rows are to be evaluated again, if the options say so.
    incomparable : str
        Why rows of before cannot be found, so that all is evaluated; else empty.
    """

    version: Version
    desired: Desired
    current: Current
    decision: Decision
    changes: tuple[Change, ...] = ()
    chosen: Chosen | None = None
    rerun: Rerun | None = None
    incomparable: str = ""

    @property
    def rows(self) -> RowNumbers:
        """How many rows there are, and how many are to be made."""
        if self.decision.rows is not None:
            return self.decision.rows
        plan = self.decision.plan
        n_open = self.current.count_open(plan.round)
        n_items = max(plan.n_items or 0, n_open)
        return RowNumbers(n_items, n_open, n_items - n_open)


def assess(
    task: Task,
    options: PlanOptions,
    adoptable: Sequence[EarlierJobs],
    *,
    refuses_damage: bool = False,
) -> Assessment:
    """Decide what is to be done for a task.

    Parameters
    ----------
    adoptable : sequence of EarlierJobs
        The jobs in queues that can go on, if they fit.
    refuses_damage : bool
        Whether damaged blocks that rows would be taken from raise
        `DamagedFileError`; else they count as gone.
    """
    layout = TaskLayout.of(task.workdir, task.name)
    version = version_of(task, layout.digests, layout.source, layout.loaded)
    desired = _desired(task, options, layout, version)
    current = current_state(task, desired, refuses_damage=refuses_damage)
    if options.move_aside and is_foreign(layout, task.resultfile):
        current = replace(current, has_result=False)
    if current.plan is not None:
        number = current.plan.round
        has_jobs = any(one.in_round(number) for one in adoptable)
        current = replace(current, has_jobs=has_jobs)
    with enough_memory_for(task.pspace, task.path):
        chosen = _chosen(task, options, desired, current) if desired.part else None
        if chosen is not None:
            n_items, n_whole = chosen.n_items, chosen.n_whole
            desired = replace(desired, n_items=n_items, n_whole=n_whole)
        decision, rerun, incomparable = _decided(task, options, desired, current)
    _check(task, options, current.plan, decision)
    changes = _changes(layout, version, current.plan)
    return Assessment(
        version, desired, current, decision, changes, chosen, rerun, incomparable
    )


def _desired(
    task: Task, options: PlanOptions, layout: TaskLayout, version: Version
) -> Desired:
    """Return what a task asks for, as far as that does not depend on what is there."""
    known = list(known_fingerprints(layout))
    has_own_replicates = partial(has_parameter, layout, "replicate")
    sources = sources_of(version, Plan.load(layout), known, has_own_replicates)
    return desired_of(task, options, sources)


def _chosen(
    task: Task, options: PlanOptions, desired: Desired, current: Current
) -> Chosen:
    from psyrun.planning.part import check_not_replaced, chosen_of

    if not options.keep_going:
        check_not_replaced(task.name, current, options.part)
    return chosen_of(task, options.part, desired, current)


def _decided(
    task: Task, options: PlanOptions, desired: Desired, current: Current
) -> tuple[Decision, Rerun | None, str]:
    """Decide; also return what is evaluated again, and why rows are not compared."""
    if options.rerun is not None:
        return *_decided_rerun(options.rerun, task, options, desired, current), ""
    try:
        return decide(desired, current, keep_going=options.keep_going), None, ""
    except IncomparableError as error:
        if options.keep_going or desired.part:
            raise
        # Nobody has to know which rows there are.
        fresh = replace(desired, is_fresh=True)
        decision = decide(fresh, current, keep_going=False)
        return replace(decision, is_dirty=True), None, str(error)


def _decided_rerun(
    text: str, task: Task, options: PlanOptions, desired: Desired, current: Current
) -> tuple[Decision, Rerun]:
    from psyrun.planning.rerun import check_nothing_else, find_rerun

    rerun = find_rerun(text, desired, current, task)
    if rerun.n_selected:
        desired = replace(desired, rerun=text)
        current = with_rerun(task, desired, current, rerun.marks)
    decision = decide(desired, current, keep_going=options.keep_going)
    check_nothing_else(desired, decision)
    return decision, rerun


def _check(
    task: Task, options: PlanOptions, last: Plan | None, decision: Decision
) -> None:
    """Raise `PsyrunError` if what is decided would write where it must not."""
    check_work_folder(task, last, decision.plan)
    if decision.merge:
        check_result(task, last, decision.plan, may_move=options.move_aside)


def _changes(
    layout: TaskLayout, version: Version, last: Plan | None
) -> tuple[Change, ...]:
    """Return what is known to differ from the version of the last plan."""
    folder, path = layout.versions, layout.version
    fingerprint = "" if last is None else last.fingerprint
    changes = changes_since(version, fingerprint, folder, path)
    if last is not None and last.space_source:
        changes += changes_since(version, last.space_source, folder, path)
    return changes
