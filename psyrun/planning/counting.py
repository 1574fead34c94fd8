"""How many rows there are for the space of a task, and how many are to be made."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError, TaskError
from psyrun.planning.states import (
    Desired,
    IncomparableError,
    KeptRows,
    RowNumbers,
)
from psyrun.pspace import ParameterSpace
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.samplers import resized_hypercube
from psyrun.pspace.tolerance import KnownAs, nearly_equal_keys
from psyrun.store.arrays import Indices
from psyrun.store.rows import ColumnDict
from psyrun.tasks.loading import Task
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.replaced import places_of, replaced_in
from psyrun.workdir.result_file import is_in_work_folder
from psyrun.workdir.reuse import from_result, from_rounds
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import RowsThere, fingerprint_of, rows_of_rounds


def count_rows(
    task: Task,
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> RowNumbers:
    """Return how many rows there are for the space of a task, or the part desired.

    Parameters
    ----------
    kept : KeptRows
        Which rows may be taken over.
    rounds : sequence of RoundData
        The rounds that `kept` names; without any, rows are those of the result.
    marks : mapping of int to ndarray of int64
        Rows that are evaluated again, by the numbers of their rounds, as `places_of`
        numbers them.

    Raises
    ------
    IncomparableError
        If values of the space cannot be compared with those of the rows.
    """
    known_as = task.known_as
    if not rounds:
        return _count_in_result(task, desired, known_as)
    there, names = _rows_there(desired, kept, rounds, marks), desired.names
    is_current = there.valid(names)
    whole = rounds[0].division.whole_space if kept.same_space else task.pspace
    searched = _searched(whole, desired, there, None if kept.same_space else known_as)
    there, space, is_chosen = searched.there, searched.space, searched.is_chosen
    try:
        found = from_rounds(
            space, there, names, keeps_all=kept.keeps_all, is_chosen=is_chosen
        )
        has_row, is_open = found.rows >= 0, _are_open(found.rows, is_chosen)
        n_redone, n_rerun = _count_again(space, there, desired, kept, is_open)
    except PsyrunError as error:
        raise IncomparableError(f"{task.path}: {error}") from error
    if is_open.any() and not kept.same_space:
        _warn_of_misses(task, space, there, rounds)
    # Those that are marked stay as they are where they are not chosen.
    n_kept = _count_current(there.of_versions(names), found.rows[has_row])
    n_open, n_older = int(is_open.sum()), int(has_row.sum()) - n_kept
    n_items = n_open + n_kept + n_older
    return RowNumbers(
        n_items=n_items,
        n_open=n_open,
        n_kept=n_kept,
        n_older=n_older,
        n_redone=n_redone,
        n_former=len(found.former),
        n_left_out=_count_left_out(kept, rounds, is_current, found.used),
        n_rerun=n_rerun,
        is_part=is_chosen is not None
        and (n_items < len(whole) or n_older > 0 or there.replaced is not None),
    )


class _Searched(NamedTuple):
    """What rows are searched for, and among which."""

    space: ParameterSpace
    there: RowsThere
    is_chosen: NDArray[np.bool_] | None


def _searched(
    whole: ParameterSpace, desired: Desired, there: RowsThere, known_as: KnownAs | None
) -> _Searched:
    """Return the points of a space that may have a row, or are to be evaluated.

    With `known_as`, the rows are those of other spaces.
    """
    if known_as is not None:
        there = there.with_defaults(known_as)
    among = Candidates.of(whole, desired.part, there.points)
    there, space = there.among(among), among.space
    if known_as is not None:
        space = known_as.as_in(space, there.points)
    return _Searched(space, there, among.is_chosen)


def _rows_there(
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> RowsThere:
    return rows_of_rounds(
        [(data, fingerprint_of(data)) for data in rounds],
        same_space=kept.same_space,
        may_stay=[number in kept.all_of for number in kept.rounds],
        replaced=_replaced(desired, kept, rounds, marks),
    )


def _are_open(rows: Indices, is_chosen: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return which assignments are to be evaluated, given the rows that they have."""
    is_open: NDArray[np.bool_] = rows < 0
    return is_open if is_chosen is None else is_open & is_chosen


def _count_current(is_current: NDArray[np.bool_], rows: Indices) -> int:
    return len(rows) if is_current.all() else int(is_current[rows].sum())


def _count_left_out(
    kept: KeptRows,
    rounds: Sequence[RoundData],
    is_current: NDArray[np.bool_],
    used: Indices,
) -> int:
    """Return how many current rows of the last round are not taken over.

    Rows of before that, which are left out as well, were told of then.
    """
    newest = kept.rounds.index(max(kept.rounds))
    begin = sum(data.n_rows for data in rounds[:newest])
    of_last = is_current[begin : begin + rounds[newest].n_rows]
    used = used - begin
    n_used = int(of_last[used[(used >= 0) & (used < len(of_last))]].sum())
    return int(of_last.sum()) - n_used


def _count_again(
    space: ParameterSpace,
    there: RowsThere,
    desired: Desired,
    kept: KeptRows,
    is_open: NDArray[np.bool_],
) -> tuple[int, int]:
    """Return how many assignments are evaluated that have an older, or a marked row."""
    names, n_redone, n_rerun = desired.names, 0, 0
    if not kept.keeps_all and not there.valid(names).all():
        n_redone = _count_open_with_row(space, there, names, is_open)
    if there.replaced is not None:
        before = replace(there, replaced=None)
        n_rerun = _count_open_with_row(space, before, names, is_open) - n_redone
    return n_redone, n_rerun


def _count_open_with_row(
    space: ParameterSpace,
    there: RowsThere,
    names: frozenset[str],
    is_open: NDArray[np.bool_],
) -> int:
    """Return for how many assignments that are to be evaluated there is any row."""
    all_rows = from_rounds(space, there, names, keeps_all=True).rows
    return int((is_open & (all_rows >= 0)).sum())


def _replaced(
    desired: Desired,
    kept: KeptRows,
    rounds: Sequence[RoundData],
    marks: Mapping[int, Indices],
) -> list[NDArray[np.bool_]]:
    """Return which rows of each round are evaluated again."""
    names = () if kept.takes_replaced else desired.names
    found = [replaced_in(data, names) for data in rounds]
    for number, data, is_marked in zip(kept.rounds, rounds, found, strict=True):
        if number in marks:
            is_marked |= np.isin(places_of(data), marks[number])
    return found


def _count_in_result(task: Task, desired: Desired, known_as: KnownAs) -> RowNumbers:
    columns, excluded = _result(task), task.exclude_from_result
    among = Candidates.of(task.pspace, desired.part)
    try:
        found = from_result(among.space, columns, excluded, known_as)
    except PsyrunError as error:
        raise TaskError(f"{task.path}: {error}") from error
    n_older = int((found.rows >= 0).sum())
    n_open = int(_are_open(found.rows, among.is_chosen).sum())
    return RowNumbers(
        n_open + n_older,
        n_open,
        n_older=n_older,
        n_former=len(found.former),
        is_part=among.is_chosen is not None,
    )


def _warn_of_misses(
    task: Task, space: ParameterSpace, there: RowsThere, rounds: Sequence[RoundData]
) -> None:
    """Say why rows may not have been found that a user expects to be."""
    _warn_of_rounding(task, space, there.points)
    _warn_of_hypercube(task, [data.division.space for data in rounds])


def _warn_of_hypercube(task: Task, former: Sequence[ParameterSpace]) -> None:
    if sizes := resized_hypercube(task.pspace, former):
        warnings.warn(
            f"{task.path}: a Latin hypercube of {sizes[1]} points has none of the "
            f"{sizes[0]} of before, so that their rows are left out. Sobol and Halton "
            "keep them when they get larger.",
            UserWarning,
            stacklevel=2,
        )


def _warn_of_rounding(
    task: Task, space: ParameterSpace, points: Sequence[ParameterSpace]
) -> None:
    for key, (wanted, there) in nearly_equal_keys(space, points).items():
        if key not in task.match:
            warnings.warn(
                f"{task.path}: pspace has {key} {wanted!r}, where rows of before have "
                f"{there!r}: these are different assignments. If they are not, set "
                f"match = {{{key!r}: 1e-9}}.",
                UserWarning,
                stacklevel=2,
            )


def _result(task: Task) -> ColumnDict:
    """Return the columns of a result whose rows are to be kept.

    A file of the user's own in its place is refused.
    """
    layout = TaskLayout.of(task.workdir, task.name)
    try:
        columns = task.store.load(task.resultfile)
    except StoreError as error:
        if is_in_work_folder(layout, task.resultfile):
            raise
        cause = str(error).removeprefix(f"{task.resultfile}: ").partition(";")[0]
        raise _not_continued(task, cause) from error
    keys = task.pspace.keys()
    if columns and not set(keys).intersection(columns):
        raise _not_continued(task, f"has none of the parameters {', '.join(keys)}")
    return columns


def _not_continued(task: Task, cause: str) -> TaskError:
    return TaskError(
        f"{task.path}: resultfile {str(task.resultfile)!r} cannot be continued: it "
        f"{cause}. Choose another resultfile, or move the file away."
    )
