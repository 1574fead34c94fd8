"""Which rows of before a new round leaves out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace import ParameterSpace
from psyrun.pspace.matching import match_rows
from psyrun.pspace.param import select, select_ascending
from psyrun.store.arrays import Indices
from psyrun.workdir.reuse import ReusedRows
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import RowsThere


def rows_left_out(
    there: RowsThere, found: ReusedRows, again: NDArray[np.bool_] | None = None
) -> list[Indices]:
    """Return the rows of each part that are not taken over, counted in that part.

    Without those that are there once more, made by the same version: among the rows
    that are taken over, or those of a part before. Neither those that are evaluated
    `again`.
    """
    is_known = np.zeros(len(there.versions), dtype=bool)
    is_known[found.used] = True
    if again is not None:
        is_known |= again
    lefts = []
    for start, points in zip(there.starts, there.points, strict=False):
        is_used = is_known[start : start + len(points)]
        left = np.flatnonzero(~is_used) + start
        if len(left):
            mine = np.concatenate([np.flatnonzero(is_used) + start, left])
            known = np.flatnonzero(is_known)
            left = _not_known(there, points, start, mine, known, left)
            is_known[left] = True
        lefts.append(left - start)
    return lefts


def _not_known(
    there: RowsThere,
    points: ParameterSpace,
    start: int,
    own: Indices,
    known: Indices,
    left: Indices,
) -> Indices:
    """Return those of the rows `left` of a part that are not known by other numbers.

    All rows of the part, `own`, begin with those that are taken over: of equal ones,
    these are known.
    """
    double = [left[:0]]
    for version in np.unique(there.versions[left]):
        mine = own[there.versions[own] == version]
        others = there.some(known[there.versions[known] == version])
        if set(others.keys()) == set(points.keys()):
            is_known = match_rows(select(points, mine - start), others) >= 0
            double.append(mine[is_known])
    return np.setdiff1d(left, np.concatenate(double))


def by_round(
    numbers: Sequence[int], rounds: Sequence[RoundData], lefts: Sequence[Indices]
) -> dict[int, Indices]:
    """Return what `rows_left_out` has found by the numbers of the rounds."""
    found: dict[int, Indices] = {}
    parts = iter(lefts)
    for number, data in zip(numbers, rounds, strict=True):
        left = next(parts)
        if data.division.n_former:
            former = next(parts) + len(data.with_row())
            left = np.concatenate([left, former])
        if len(left):
            found[number] = left
    return found


def evaluated_again(
    space: ParameterSpace, there: RowsThere, current: Collection[str]
) -> NDArray[np.bool_] | None:
    """Return which rows of the current version a space has evaluated again."""
    if there.replaced is None:
        return None
    is_again = there.of_versions(current) & ~there.valid(current)
    for start, points in zip(there.starts, there.points, strict=False):
        rows = np.flatnonzero(is_again[start : start + len(points)])
        if not len(rows):
            continue
        has_keys = set(points.keys()) == set(space.keys())
        is_again[rows + start] = has_keys and (
            match_rows(select_ascending(points, rows), space) >= 0
        )
    return is_again
