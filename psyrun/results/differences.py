"""By what a task as it is differs from what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from psyrun.errors import PsyrunError, TaskError, enough_memory_for
from psyrun.pspace import ParameterSpace
from psyrun.pspace.matching import count_unmatched, match_rows
from psyrun.pspace.param import select
from psyrun.pspace.replicates import seeding_text
from psyrun.results.changed_assignments import Details, details_of, details_of_new
from psyrun.results.failed import failed_space
from psyrun.results.load import RecordedTask
from psyrun.results.spaces import RowsOfTask, version_of
from psyrun.store.arrays import Indices
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.layout import layout_of
from psyrun.workdir.plan import Plan

if TYPE_CHECKING:
    from psyrun.tasks.version import Version


@dataclass(frozen=True)
class Difference:
    """By what a task differs from its rows.

    Attributes
    ----------
    n_items : int
        Assignments in the space of the task file.
    n_new : int
        Those that have no row, and did not fail.
    n_failed : int
        Those whose last evaluation failed.
    n_older : int
        Those whose row comes from another version of the code.
    n_removed : int
        Rows whose assignment is not in the space.
    changed : str
        A clause that says what changed in between; empty if nothing did.
    details : Details or None
        Which assignments and versions these are, if that was asked for.
    """

    n_items: int
    n_new: int
    n_failed: int = 0
    n_older: int = 0
    n_removed: int = 0
    changed: str = ""
    details: Details | None = None


def difference_of(path: Path, name: str, *, with_details: bool = False) -> Difference:
    """Return by what the task of a task file differs from its rows.

    The task file is run if its space may have changed. Raises `PsyrunError` if it
    cannot be used, or its records cannot be read.
    """
    task = RecordedTask(layout_of(path.parent, name), Path())
    if Plan.load(task.layout) is None:
        return _all_new(_space_of(path), with_details=with_details)
    version = version_of(task)
    changed = _changed(version, task)
    if not changed:
        found = retry_while_changing(
            lambda: _of_own_space(version, task, with_details=with_details)
        )
        if found is not None:
            return found
    space = _space_of(path)
    version = replace(version, seeding=seeding_text(space))
    with enough_memory_for(space, path):
        found = retry_while_changing(
            lambda: _of_space(space, version, task, with_details=with_details)
        )
    return replace(found, changed=changed)


def difference_in(part: ParameterSpace, path: Path, name: str) -> Difference | None:
    """Return by what a part of the space of a task differs from the rows in it.

    None if the task was never run. Raises `PsyrunError` as `difference_of`.
    """
    task = RecordedTask(layout_of(path.parent, name), Path())
    if Plan.load(task.layout) is None:
        return None
    version = replace(version_of(task), seeding=seeding_text(part))
    with enough_memory_for(part, path):
        found = retry_while_changing(
            lambda: _of_space(part, version, task, with_details=False)
        )
    # Of rows that are not found, others are in the rest of the space.
    return replace(found, n_removed=0)


def _space_of(path: Path) -> ParameterSpace:
    from psyrun.tasks.loading import load_task

    return load_task(path).pspace


def _all_new(space: ParameterSpace, *, with_details: bool) -> Difference:
    details = details_of_new(space) if with_details else None
    return Difference(len(space), len(space), details=details)


def _of_own_space(
    version: Version, task: RecordedTask, *, with_details: bool
) -> Difference | None:
    """Return what is missing of the space that was divided; None if none was.

    It stays as it is, also if it was made at random.
    """
    rows = RowsOfTask.find(task)
    if rows is None or rows.number != task.plan.round or rows.are_replaced().any():
        return None
    n_failed, n_items = len(failed_space(task)), len(rows.whole)
    details = None
    if with_details:
        of_space = np.full(n_items, -1, np.int64)
        of_space[rows.in_whole()] = np.arange(len(rows.indices))
        details = details_of(rows.whole, [(rows, of_space)], version, task)
    return Difference(
        n_items=n_items,
        n_new=max(0, n_items - len(rows.indices) - n_failed),
        n_failed=n_failed,
        n_older=len(rows.stale(version)),
        n_removed=rows.data.division.n_former,
        details=details,
    )


def _of_space(
    space: ParameterSpace,
    version: Version,
    task: RecordedTask,
    *,
    with_details: bool,
) -> Difference:
    rows = RowsOfTask.find(task)
    if rows is None:
        return _all_new(space, with_details=with_details)
    details = None
    try:
        others = RowsOfTask.others(task, rows)
        counts = _count(space, rows, others, version)
        n_failed = _n_there(space, failed_space(task))
        if with_details:
            found = [(each, _rows_of(space, each)) for each in (*others, rows)]
            details = details_of(space, found, version, task)
    except PsyrunError as error:
        raise TaskError(f"{task.plan.taskfile}: {error}") from error
    return Difference(
        n_items=len(space),
        n_new=max(0, counts.n_open - n_failed),
        n_failed=n_failed,
        n_older=counts.n_older,
        n_removed=rows.n_rows - counts.n_kept,
        details=details,
    )


class _Counts(NamedTuple):
    """How many points of a space have no row, or an older one.

    `n_kept` are those with one in the round that was divided last.
    """

    n_open: int
    n_older: int
    n_kept: int


def _count(
    space: ParameterSpace,
    rows: RowsOfTask,
    others: Sequence[RowsOfTask],
    version: Version,
) -> _Counts:
    n_items = len(space)
    is_plain = not rows.data.division.n_former and not rows.are_replaced().any()
    if is_plain and not others:
        # Then points need not be listed.
        n_open = count_unmatched(space, rows.done())
        older = rows.stale(version)
        is_all = len(older) == len(rows.indices)
        n_older = n_items - n_open if is_all else _n_there(space, older)
        return _Counts(n_open, n_older, n_items - n_open)
    has_row = np.zeros(n_items, dtype=bool)
    is_current = np.zeros(n_items, dtype=bool)
    for each in (*others, rows):
        found = _rows_of(space, each)
        is_there = found >= 0
        has_row |= is_there
        is_current[is_there] |= ~each.are_older(version)[found[is_there]]
    n_older = int((has_row & ~is_current).sum())
    return _Counts(n_items - int(has_row.sum()), n_older, int(is_there.sum()))


def _rows_of(space: ParameterSpace, rows: RowsOfTask) -> Indices:
    """Return the row of each point, -1 where there is none."""
    found = match_rows(space, rows.done())
    if rows.data.division.n_former:
        lacking = np.flatnonzero(found < 0)
        former = match_rows(select(space, lacking), rows.former())
        found[lacking] = np.where(former < 0, -1, former + len(rows.indices))
    again = rows.are_replaced()
    if again.any():
        found[(found >= 0) & again[found]] = -1
    return found


def _n_there(space: ParameterSpace, points: ParameterSpace) -> int:
    """Return how many points of a space are among others."""
    return len(space) - count_unmatched(space, points) if len(points) else 0


def _changed(version: Version, recorded: RecordedTask) -> str:
    from psyrun.tasks.changes import changes_since, clause

    plan, layout = recorded.plan, recorded.layout
    is_same = version.is_one_of(plan.names, is_former=plan.is_former)
    if is_same and (plan.is_former or plan.space_source == version.space_text):
        return ""
    last = plan.space_source if is_same else plan.fingerprint
    found = changes_since(version, last, layout.versions, layout.version)
    return clause(found) or f"{recorded.plan.taskfile} changed"
