"""The levels of parameters: which values there are along the axes of a space.

A `Variable` is a parameter with at least two levels. Those that can be compared come
first, in ascending order; text, nan, and that the parameter is not given, come after
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import absent
from psyrun.pspace.axes import Grid, values_of
from psyrun.pspace.columns import Column, Indices, ValueColumn
from psyrun.pspace.equality import equal_rows
from psyrun.results.rules.counts import Levels
from psyrun.results.rules.ranges import ranges_of
from psyrun.utils.text import text_of

_COMPARABLE = (Decimal, datetime, date, timedelta, time)
_MOST_SORTED = 10_000  # levels of other types, by their texts
_MANY_PLACES = 100_000  # from which on near numbers are one level
_MOST_LEVELS = 1024  # then


@dataclass(frozen=True, eq=False)
class Variable:
    """A parameter with its levels.

    Attributes
    ----------
    key : str
        Its name.
    axis : int
        Which dimension of the grid it varies along.
    of_place : ndarray of an unsigned type, shape (n_places,)
        The level at each place along the axis.
    values : ndarray, shape (n_levels,)
        The value of each level; one more, which is not looked at, for `not_given`.
    n_ordered : int
        How many levels, from the first one on, are in ascending order.
    not_given : int
        The level of points that lack the parameter, -1 if there is no such.
    highest : ndarray, shape (n_levels,), or None
        Where levels are ranges of numbers, the largest one in each; `values` has the
        smallest ones.
    """

    key: str
    axis: int
    of_place: Levels
    values: NDArray[Any]
    n_ordered: int
    not_given: int = -1
    highest: NDArray[Any] | None = None

    @property
    def is_coarse(self) -> bool:
        """Whether a level is a range of numbers."""
        return self.highest is not None

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return len(self.values)

    @property
    def n_conditions(self) -> int:
        """Number of conditions that it allows: ``=``, ``≤`` and ``≥`` a level."""
        return self.n_levels * (not self.is_coarse) + 2 * self.n_ordered


def variables_of(grid: Grid) -> list[Variable]:
    """Return the parameters that differ between the points of a grid.

    Those whose values cannot be compared are left out.
    """
    return [
        found
        for axis, dimension in enumerate(grid.dimensions)
        for key in dimension.keys
        for found in _variable(dimension.space, key, axis)
    ]


def _variable(space: ParameterSpace, key: str, axis: int) -> Iterator[Variable]:
    try:
        found = (
            _coarse(space, key, axis)
            or _text(space, key, axis)
            or _exact(space, key, axis)
        )
    except PsyrunError:
        return
    if space.may_lack(key):
        found = _without(found, absent(space, key, np.arange(len(space))))
    if found.n_levels > 1:
        yield found


def _exact(space: ParameterSpace, key: str, axis: int) -> Variable:
    firsts, of_place = _distinct(equal_rows([space], [key])[0])
    values = values_of(space, key, firsts)
    order, n_ordered = _order(values)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    levels = _small(rank)[of_place]
    return Variable(key, axis, levels, values[order], n_ordered)


def _text(space: ParameterSpace, key: str, axis: int) -> Variable | None:
    """Return a parameter whose values are text at very many places, else None."""
    n_places = len(space)
    if n_places < _MANY_PLACES:
        return None
    some = np.arange(0, n_places, n_places // _MOST_LEVELS)
    for rows in (some, np.arange(n_places)):
        values = space.gather(key, rows, _texts).tolist()
        if not set(map(type, values)) <= {str, np.str_}:
            return None
    different = sorted(set(values))
    level_of = {text: level for level, text in enumerate(different)}
    levels = map(level_of.__getitem__, values)
    of_place = np.fromiter(levels, np.min_scalar_type(len(different)), len(values))
    return Variable(key, axis, of_place, np.array(different, object), 0)


def _texts(column: Column, rows: Indices) -> NDArray[np.object_]:
    """Return values as objects, text from arrays of text as that of Python."""
    array = column.held() if isinstance(column, ValueColumn) else None
    if array is not None and array.ndim == 1 and array.dtype.kind == "U":
        return array[rows].astype(object)
    return column.take(rows)


def _coarse(space: ParameterSpace, key: str, axis: int) -> Variable | None:
    """Return a parameter with as many near numbers in each level.

    None if it has few numbers, or others.
    """
    n_places = len(space)
    if n_places < _MANY_PLACES:
        return None
    some = np.arange(0, n_places, n_places // (8 * _MOST_LEVELS))
    sample = values_of(space, key, some)
    if sample.dtype.kind not in "iuf":
        return None
    limits = np.unique(sample[np.isfinite(sample)])
    if len(limits) <= _MOST_LEVELS:
        return None
    limits = limits[:: len(limits) // _MOST_LEVELS]
    values = values_of(space, key, np.arange(n_places))
    if values.dtype.kind not in "iuf" or np.isnan(values).any():
        return None
    of_place = ranges_of(values, limits)
    lowest = np.full(len(limits) + 1, values.max(), values.dtype)
    highest = np.full(len(limits) + 1, values.min(), values.dtype)
    np.minimum.at(lowest, of_place, values)
    np.maximum.at(highest, of_place, values)
    return Variable(key, axis, of_place, lowest, len(lowest), highest=highest)


def _without(variable: Variable, is_absent: NDArray[np.bool_]) -> Variable:
    """Return a parameter that is not given at some places, where it is nan now."""
    if not is_absent.any():
        return variable
    used = np.unique(variable.of_place[~is_absent])
    new_level = np.full(variable.n_levels, len(used))
    new_level[used] = np.arange(len(used))
    return Variable(
        variable.key,
        variable.axis,
        _small(np.where(is_absent, len(used), new_level[variable.of_place])),
        np.append(variable.values[used].astype(object), [None]),
        int(np.count_nonzero(used < variable.n_ordered)),
        not_given=len(used),
    )


def _small(levels: Indices) -> Levels:
    return levels.astype(np.min_scalar_type(int(levels.max(initial=0))))


def _distinct(numbers: Indices) -> tuple[Indices, Indices]:
    """Return the first rows with each number, and which of these each row equals."""
    first_of = np.full(int(numbers.max(initial=-1)) + 1, len(numbers))
    np.minimum.at(first_of, numbers, np.arange(len(numbers)))
    used = np.flatnonzero(first_of < len(numbers))
    place_of = np.empty(len(first_of), np.int64)
    place_of[used] = np.arange(len(used))
    return first_of[used], place_of[numbers]


def _order(values: NDArray[Any]) -> tuple[Indices, int]:
    """Return values in ascending order, and how many can be compared."""
    if values.dtype.kind in "iufmM":
        # What is not a number, or no time, comes last.
        is_known = values == values
        return np.argsort(values, kind="stable"), int(np.count_nonzero(is_known))
    if values.dtype.kind in "USb":
        return np.argsort(values, kind="stable"), 0
    items = values.tolist()
    known = [i for i, value in enumerate(items) if not _is_nan(value)]
    rest = [i for i, value in enumerate(items) if _is_nan(value)]
    if _are_comparable([items[i] for i in known]):
        try:
            known.sort(key=items.__getitem__)
        except TypeError:  # such as times with and without a zone
            pass
        else:
            return np.array(known + rest, np.int64), len(known)
    everything = list(range(len(items)))
    if len(items) <= _MOST_SORTED:
        everything.sort(key=lambda i: text_of(items[i]))
    return np.array(everything, np.int64), 0


def _is_nan(value: Any) -> bool:
    return isinstance(value, float | np.floating | Decimal) and value != value


def _are_comparable(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    if any(issubclass(kind, bool | np.bool_) for kind in kinds):
        return False
    return all(issubclass(kind, Real) for kind in kinds) or (
        len(kinds) == 1 and issubclass(kinds.pop(), _COMPARABLE)
    )
