"""Rows of one space, found in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.pspace.equality import (
    common_beginning,
    equal_rows,
    is_in,
    pair_rows,
)
from psyrun.pspace.finding import are_different, finder, first_equals, is_structured
from psyrun.pspace.param import Param
from psyrun.pspace.space import ParameterSpace, Selection


def match_rows(
    space: ParameterSpace,
    old: ParameterSpace | Mapping[str, Sequence[Any]],
    keys: Sequence[str] | None = None,
) -> Indices:
    """Return for each point of a space the index of an equal old row, or -1.

    Rows are equal as in a difference. Each old row is used at most once, and equal
    ones in the order in which they occur, so that points that occur several times
    are told apart by how often they do. Only `keys` of the space, by default all,
    are compared; one that the old rows lack equals nan only. Raises `PsyrunError` if
    values of a parameter cannot be compared.
    """
    compared = tuple(space.keys() if keys is None else keys)
    if isinstance(old, Mapping):
        old = _from_columns(old, compared)
    if not (is_structured(space) or is_structured(old)):
        return _match_compared(space, old, compared)
    first = finder(space, old, compared).all()
    if are_different(space, compared) and are_different(old, compared):
        return first
    return _paired(first, old, compared)


def _match_compared(
    space: ParameterSpace, old: ParameterSpace, keys: tuple[str, ...]
) -> Indices:
    """Match rows by comparing them; those that both begin with are only compared once.

    As equal ones are paired in their order, these are paired with each other.
    """
    n_common = common_beginning(space, old, keys)
    if not n_common:
        return pair_rows(*equal_rows([space, old], keys))
    rest, of_old = (_without_beginning(each, n_common) for each in (space, old))
    found = np.arange(len(space))
    found[n_common:] = -1
    if len(rest) or len(of_old):
        more = pair_rows(*equal_rows([rest, of_old], keys))
        found[n_common:] = np.where(more < 0, -1, more + n_common)
    return found


def _without_beginning(space: ParameterSpace, n_points: int) -> ParameterSpace:
    return Selection(space, range(n_points, len(space)))


def _paired(first: Indices, old: ParameterSpace, keys: tuple[str, ...]) -> Indices:
    """Pair rows of which the first equal one is known, as `pair_rows` does."""
    places = np.full(len(first), -1, dtype=np.int64)
    is_there = first >= 0
    equals = first_equals(old, keys)
    numbers = np.arange(len(old)) if equals is None else equals.all()
    places[is_there] = pair_rows(first[is_there], numbers)
    return places


def count_unmatched(
    space: ParameterSpace,
    old: ParameterSpace | Mapping[str, Sequence[Any]],
    keys: Sequence[str] | None = None,
) -> int:
    """Return for how many points of a space `match_rows` finds no row.

    Two products whose factors correspond are not listed for that.
    """
    compared = tuple(space.keys() if keys is None else keys)
    if isinstance(old, Mapping):
        old = _from_columns(old, compared)
    if are_different(space, compared) and are_different(old, compared):
        return len(space) - finder(space, old, compared).count()
    return int(np.count_nonzero(match_rows(space, old, compared) < 0))


def are_points_of(points: ParameterSpace, space: ParameterSpace) -> NDArray[np.bool_]:
    """Return which points of a space another one has, however often.

    One with other parameters has none of them. Raises `PsyrunError` if values of a
    parameter cannot be compared.
    """
    keys = tuple(space.keys())
    if {*keys} != {*points.keys()}:
        return np.zeros(len(points), dtype=np.bool_)
    if is_structured(points) or is_structured(space):
        return finder(points, space, keys).all() >= 0
    return is_in(*equal_rows([points, space], keys))


def _from_columns(columns: Mapping[str, Sequence[Any]], keys: Sequence[str]) -> Param:
    known = {key: columns[key] for key in keys if key in columns}
    # One column is enough to say how many rows there are.
    return Param(**(known or dict(list(columns.items())[:1])))


def match_stored(
    space: ParameterSpace, columns: Mapping[str, Any], keys: Sequence[str]
) -> Indices:
    """Return for each point of a space the index of an equal row of a data file, or -1.

    As `match_rows`, but nan with which the store has filled arrays up to make them
    equally long does not count.
    """
    filled = [key for key in keys if _may_be_filled(columns.get(key))]
    if filled:
        there = space.build()
        space = Param(**{**there, **_without_filling(there, filled)})
        columns = {**columns, **_without_filling(columns, filled)}
    return match_rows(space, columns, keys)


def _may_be_filled(column: Any) -> bool:
    return (
        isinstance(column, np.ndarray)
        and column.ndim > 1
        and column.dtype.kind in "fc"
        and bool(np.isnan(column).any())
    )


def _without_filling(columns: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: [_trimmed(value) for value in columns[key]] for key in keys}


def _trimmed(value: Any) -> Any:
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
