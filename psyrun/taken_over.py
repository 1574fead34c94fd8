"""Which rows of before hold the results of which assignments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from psyrun._rows import equal_rows
from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace, match_rows, select
from psyrun.sources import Columns, Rows, take
from psyrun.store.rows import count_rows


@dataclass(frozen=True)
class TakenOver:
    """The rows of before, seen from a new space.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        For each of the `n` assignments of the space the row that holds its
        result, or -1.
    former : ndarray of int64, shape (m,)
        Rows whose assignments are not in the space, in their order.
    former_points : dict of str to sequence
        The parameters of these; `m` values each.
    """

    rows: Rows
    former: Rows
    former_points: Columns


def from_rounds(space: ParameterSpace, rounds: Sequence[Columns]) -> TakenOver:
    """Find the rows of former rounds that a space needs.

    Parameters
    ----------
    space : ParameterSpace
        The space.
    rounds : sequence of dict of str to sequence
        The parameters of all rows of each round, of one at least. Rows are
        counted through all rounds; where several have one for an assignment,
        the first is taken.

    Raises
    ------
    PsyrunError
        If values of a parameter cannot be compared.
    """
    first, *others = rounds
    found, n_rows = _from_one(space, first), count_rows(first)
    for points in others:
        found = _added(space, found, points, n_rows)
        n_rows += count_rows(points)
    return found


def from_result(
    space: ParameterSpace, columns: Columns, excluded: Collection[str]
) -> TakenOver:
    """Find the rows of a data file that a space needs.

    Parameters
    ----------
    space : ParameterSpace
        The space.
    columns : dict of str to sequence
        What the file holds.
    excluded : collection of str
        What is left out of data files. Assignments are recognized by their other
        parameters.

    Raises
    ------
    PsyrunError
        If these do not tell assignments apart, or cannot be compared.
    """
    keys = [key for key in space.keys() if key not in excluded]  # noqa: SIM118
    if keys != space.keys() and _n_different(space, keys) < _n_different(space):
        left_out = ", ".join(sorted(set(space.keys()) - set(keys)))
        raise PsyrunError(
            f"the result file lacks {left_out}, which exclude_from_result leaves out, "
            "and without it rows of several assignments look alike. Move the file "
            "away to keep it, then compute all with 'psy run'."
        )
    rows = match_stored(space, columns, keys)
    return _with_former(rows, {key: columns[key] for key in keys if key in columns})


def match_stored(
    space: ParameterSpace, columns: Mapping[str, Any], keys: Sequence[str]
) -> Rows:
    """Find for each point of a space an equal row of a data file.

    Parameters
    ----------
    space : ParameterSpace
        A space of `n` points.
    columns : mapping of str to sequence
        What the file holds. Where its store has filled arrays up with nan to
        make them equally long, that does not count.
    keys : sequence of str
        Keys of the space to compare.

    Returns
    -------
    ndarray of int64, shape (n,)
        For each point the index of its row, or -1; see
        :func:`~psyrun.pspace.match_rows`.

    Raises
    ------
    PsyrunError
        If values of a parameter cannot be compared.
    """
    filled = [key for key in keys if _may_be_filled(columns.get(key))]
    if filled:
        there = space.build()
        space = Param(**{**there, **_shortened(there, filled)})
        columns = {**columns, **_shortened(columns, filled)}
    return match_rows(space, columns, keys)


def _from_one(space: ParameterSpace, points: Columns) -> TakenOver:
    return _with_former(match_rows(space, points), points)


def _with_former(rows: Rows, points: Columns) -> TakenOver:
    is_former = np.ones(count_rows(points), dtype=bool)
    is_former[rows[rows >= 0]] = False
    former = np.flatnonzero(is_former)
    return TakenOver(rows, former, take(points, former))


def _added(
    space: ParameterSpace, found: TakenOver, points: Columns, n_before: int
) -> TakenOver:
    """Add the rows of one more round to what was found in those before."""
    # A row whose assignment has one of a round before is not needed any more.
    former = _from_one(space, points).former
    if len(former) and len(found.former):
        there = match_rows(Param(**take(points, former)), found.former_points)
        former = former[there < 0]
    lacking = np.flatnonzero(found.rows < 0)
    more = match_rows(select(space, lacking), points)
    rows = found.rows.copy()
    rows[lacking] = np.where(more < 0, -1, more + n_before)
    return TakenOver(
        rows,
        np.concatenate([found.former, former + n_before]),
        joined_points([found.former_points, take(points, former)]),
    )


def joined_points(parts: Sequence[Columns]) -> Columns:
    """Put columns of parameters below each other; what one lacks is nan.

    Parameters
    ----------
    parts : sequence of dict of str to sequence
        Columns that are equally long within each of the parts.
    """
    keys = dict.fromkeys(key for part in parts for key in part)
    return {
        key: [
            value
            for part in parts
            for value in part.get(key, [np.nan] * count_rows(part))
        ]
        for key in keys
    }


def _n_different(space: ParameterSpace, keys: Sequence[str] | None = None) -> int:
    (numbers,) = equal_rows([space], space.keys() if keys is None else keys)
    return len(np.unique(numbers))


def _may_be_filled(column: Any) -> bool:
    return (
        isinstance(column, np.ndarray)
        and column.ndim > 1
        and column.dtype.kind in "fc"
        and bool(np.isnan(column).any())
    )


def _shortened(columns: Mapping[str, Any], keys: Sequence[str]) -> Columns:
    return {key: [_without_end(value) for value in columns[key]] for key in keys}


def _without_end(value: Any) -> Any:
    """Return an array without what is nan at its ends, along all of its axes."""
    try:
        array = np.asarray(value)
    except ValueError:
        return value  # lists of different lengths
    if array.dtype.kind not in "fc":
        return value
    there = ~np.isnan(array)
    for axis in range(array.ndim):
        others = tuple(i for i in range(array.ndim) if i != axis)
        used = np.flatnonzero(there.any(axis=others))
        end = int(used[-1]) + 1 if len(used) else 0
        array, there = (a.take(range(end), axis) for a in (array, there))
    return array
