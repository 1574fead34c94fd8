"""Which existing rows hold the results of the assignments of a new space."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.matching import match_rows, match_stored
from psyrun.pspace.param import select
from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict, count_rows


@dataclass(frozen=True)
class ReusedRows:
    """Existing rows that a new space needs.

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

    rows: Indices
    former: Indices
    former_points: ColumnDict


def from_rounds(space: ParameterSpace, rounds: Sequence[ColumnDict]) -> ReusedRows:
    """Find the rows of former rounds that a space needs.

    `rounds` holds the parameters of all rows of each round, of one at least. Rows
    are counted through all rounds; of several for one assignment, the first is
    taken. Raises `PsyrunError` if values of a parameter cannot be compared.
    """
    first, *others = rounds
    found, n_rows = _from_one(space, first), count_rows(first)
    for points in others:
        found = _added(space, found, points, n_rows)
        n_rows += count_rows(points)
    return found


def from_result(
    space: ParameterSpace, columns: ColumnDict, excluded: Collection[str]
) -> ReusedRows:
    """Find the rows of a data file that a space needs.

    Assignments are recognized by the parameters that are not `excluded` from data
    files. Raises `PsyrunError` if these do not tell assignments apart, or cannot be
    compared.
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


def _from_one(space: ParameterSpace, points: ColumnDict) -> ReusedRows:
    return _with_former(match_rows(space, points), points)


def _with_former(rows: Indices, points: ColumnDict) -> ReusedRows:
    is_former = np.ones(count_rows(points), dtype=bool)
    is_former[rows[rows >= 0]] = False
    former = np.flatnonzero(is_former)
    return ReusedRows(rows, former, take(points, former))


def _added(
    space: ParameterSpace, found: ReusedRows, points: ColumnDict, n_before: int
) -> ReusedRows:
    """Add the rows of one more round to what was found in those before."""
    # A row whose assignment has one of an earlier round is not needed any more.
    former = _from_one(space, points).former
    if len(former) and len(found.former):
        there = match_rows(Param(**take(points, former)), found.former_points)
        former = former[there < 0]
    lacking = np.flatnonzero(found.rows < 0)
    more = match_rows(select(space, lacking), points)
    rows = found.rows.copy()
    rows[lacking] = np.where(more < 0, -1, more + n_before)
    return ReusedRows(
        rows,
        np.concatenate([found.former, former + n_before]),
        joined_points([found.former_points, take(points, former)]),
    )


def joined_points(parts: Sequence[ColumnDict]) -> ColumnDict:
    """Put columns of parameters below each other; what one lacks is nan."""
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
