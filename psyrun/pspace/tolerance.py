"""Numbers of two spaces that are nearly equal.

Numbers of the one are replaced by those of the other that they are nearly equal to;
then both are compared exactly. How a space is made stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Column, ConstantColumn, RangeColumn, listed
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
)

Floats = NDArray[np.float64]

_MOST_LISTED = 1_000_000  # values of a range, or to warn of
_EXACT = 2.0**53  # integers beyond are not all floats
_ULPS = 4  # units in the last place that rounding leaves


@dataclass(frozen=True)
class KnownAs:
    """By which rows assignments are known, beside those with equal values.

    Attributes
    ----------
    tolerances : mapping of str to float
        For some keys the largest difference, absolute or relative to the larger
        number, of numbers that count as equal. Arrays do if all of their numbers do.
    defaults : mapping of str to object
        For some keys the value in rows that lack them.
    """

    tolerances: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def completed(self, rows: ParameterSpace) -> ParameterSpace:
        """Return rows with the defaults of keys that they lack."""
        known = rows.keys()
        lacking = {
            key: ConstantColumn(value)
            for key, value in self.defaults.items()
            if key not in known
        }
        return rows * Table(lacking, 1) if lacking and known else rows

    def completed_columns(
        self, columns: Mapping[str, Any], keys: Collection[str]
    ) -> dict[str, Any]:
        """Return columns of rows with the defaults of some keys that they lack."""
        n_rows = len(next(iter(columns.values()), ()))
        lacking = {
            key: [value] * n_rows
            for key, value in self.defaults.items()
            if key in keys and key not in columns
        }
        return {**columns, **lacking}

    def as_in(
        self, space: ParameterSpace, rows: Sequence[ParameterSpace]
    ) -> ParameterSpace:
        """Return a space with the numbers that rows have in place of its own.

        Each number of the rows replaces one of the space at most: the nearest within
        the tolerance, and of two that are as near the lower one.
        """
        for key, tolerance in self.tolerances.items():
            wanted, known = _Numbers.of([space], key), _Numbers.of(rows, key)
            found = _nearest_scalars(wanted.scalars, known.scalars, tolerance)
            of_arrays = _nearest_arrays(wanted.arrays, known.arrays, tolerance)
            if found or of_arrays:
                space = _replaced(space, key, found, of_arrays)
        return space


def nearly_equal_keys(
    space: ParameterSpace, rows: Sequence[ParameterSpace]
) -> dict[str, tuple[float, float]]:
    """Return keys with numbers that rounding may have made different.

    They differ in a few units of the last place.

    Returns
    -------
    dict of str to (float, float)
        For each such key a number of the space, and the one of some rows that it is
        nearly equal to. Keys with very many numbers are passed over.
    """
    found = {}
    for key in space.keys():  # noqa: SIM118
        columns = [c for each in (space, *rows) for k, c in each.leaves() if k == key]
        if sum(column.n_places for column in columns) <= _MOST_LISTED:
            wanted, known = (_Numbers.of(s, key).scalars for s in ([space], rows))
            wanted, known = np.setdiff1d(wanted, known), np.setdiff1d(known, wanted)
            if pairs := _nearest_scalars(wanted, known, _ULPS * np.finfo(float).eps, 0):
                found[key] = next(iter(pairs.items()))
    return found


def has_numbers(space: ParameterSpace, key: str) -> bool:
    """Return whether some value of a key is a number, or an array of numbers."""
    columns = (column for name, column in space.leaves() if name == key)
    return any(
        _as_floats(column[i]) is not None
        for column in columns
        for i in range(column.n_places)
    )


class _Numbers(NamedTuple):
    """The different numbers and arrays of numbers of a key; numbers are ascending."""

    scalars: Floats
    arrays: list[Floats]

    @classmethod
    def of(cls, spaces: Sequence[ParameterSpace], key: str) -> _Numbers:
        leaves = chain.from_iterable(space.leaves() for space in spaces)
        columns = [column for name, column in leaves if name == key]
        scalars: list[Any] = [np.empty(0)]
        arrays: dict[Any, Floats] = {}
        for column in columns:
            numbers = _numbers_of(column)
            if numbers is not None:
                scalars.append(numbers)
                continue
            for value in _values_of(column):
                array = _as_floats(value)
                if array is not None and array.ndim:
                    arrays[array.shape, array.tobytes()] = array
                elif array is not None:
                    scalars.append(array.reshape(1))
        joined = np.unique(np.concatenate(scalars).astype(np.float64))
        return cls(joined[np.abs(joined) <= _EXACT], list(arrays.values()))


def _numbers_of(column: Column) -> NDArray[Any] | None:
    if isinstance(column, RangeColumn) and column.n_places > _MOST_LISTED:
        return np.empty(0)
    return column.numbers(np.arange(column.n_places))


def _values_of(column: Column) -> Iterator[Any]:
    return iter(column.take(np.arange(column.n_places)))


def _as_floats(value: Any) -> Floats | None:
    """Return a number or an array of numbers as float64, None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:
        return None
    if array.dtype.kind not in "biuf":
        return None
    # There are two zeros: leave one.
    return array.astype(np.float64) + 0.0


def _nearest_scalars(
    wanted: Floats, known: Floats, relative: float, absolute: float | None = None
) -> dict[float, float]:
    """Return the nearest known number of those that have one that is near enough.

    Those that are known themselves are left out.
    """
    if not (len(wanted) and len(known)):
        return {}
    above = np.searchsorted(known, wanted)
    lower = known[np.maximum(above - 1, 0)]
    upper = known[np.minimum(above, len(known) - 1)]
    nearest = np.where(np.abs(wanted - lower) <= np.abs(wanted - upper), lower, upper)
    far = np.abs(wanted - nearest)
    size = np.maximum(np.abs(wanted), np.abs(nearest))
    absolute = relative if absolute is None else absolute
    is_near = far <= np.maximum(relative * size, absolute)
    # The nearest first; each known number is taken once.
    order = np.flatnonzero(is_near)[np.argsort(far[is_near], kind="stable")]
    _, first = np.unique(nearest[order], return_index=True)
    taken = np.sort(order[first])
    taken = taken[far[taken] > 0]
    return dict(zip(wanted[taken].tolist(), nearest[taken].tolist(), strict=True))


_Arrays = dict[tuple[tuple[int, ...], bytes], Floats]


def _nearest_arrays(
    wanted: list[Floats], known: list[Floats], tolerance: float
) -> _Arrays:
    by_shape: dict[tuple[int, ...], list[Floats]] = {}
    for array in known:
        by_shape.setdefault(array.shape, []).append(array)
    pairs = []
    for i, array in enumerate(wanted):
        others = by_shape.get(array.shape, [])
        near = [
            (_distance(array, other, tolerance), j) for j, other in enumerate(others)
        ]
        pairs += [(far, i, j, others[j]) for far, j in near if far is not None]
    found: _Arrays = {}
    done: set[Any] = set()
    for _, i, j, other in sorted(pairs, key=lambda pair: pair[:3]):
        array = wanted[i]
        if i not in done and (array.shape, j) not in done:
            done |= {i, (array.shape, j)}
            found[array.shape, array.tobytes()] = other
    return found


def _distance(array: Floats, other: Floats, tolerance: float) -> float | None:
    """Return the largest difference of two arrays, None if they are not near."""
    is_same = (array == other) | (np.isnan(array) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        far = np.where(is_same, 0.0, np.abs(array - other))
    size = np.maximum(np.abs(array), np.abs(other))
    is_near = is_same | (far <= np.maximum(tolerance * size, tolerance))
    return float(far.max(initial=0.0)) if is_near.all() else None


def _replaced(
    space: ParameterSpace, key: str, scalars: dict[float, float], arrays: _Arrays
) -> ParameterSpace:
    """Return a space with other values of a key."""
    if key not in space._keys:
        return space
    if is_a(space, Product):
        return Product(*(_replaced(f, key, scalars, arrays) for f in space.operands))
    if is_a(space, Sum):
        return Sum(*(_replaced(term, key, scalars, arrays) for term in space.operands))
    if is_a(space, Selection):
        whole, rows = space.selected()
        return Selection(_replaced(whole, key, scalars, arrays), rows)
    if not is_a(space, Table):
        columns = {name: listed(values) for name, values in space.build().items()}
        space = Table(columns, len(space))
    column = _replaced_in(space._columns[key], scalars, arrays)
    return Table({**space._columns, key: column}, len(space))


def _replaced_in(
    column: Column, scalars: dict[float, float], arrays: _Arrays
) -> Column:
    numbers = _numbers_of(column)
    if numbers is not None and not len(numbers):
        return column
    if numbers is None:
        values = [_replaced_value(v, scalars, arrays) for v in _values_of(column)]
    else:
        values = _mapped(numbers, scalars)
    if isinstance(column, ConstantColumn):
        return ConstantColumn(values[0])
    return listed(values)


def _mapped(numbers: NDArray[Any], scalars: dict[float, float]) -> Any:
    if not scalars:
        return numbers
    old, new = (np.array(list(each)) for each in (scalars, scalars.values()))
    places = np.minimum(np.searchsorted(old, numbers), len(old) - 1)
    is_found = old[places] == numbers
    if not is_found.any() or np.any(np.abs(numbers) > _EXACT):
        return numbers
    return np.where(is_found, new[places], numbers)


def _replaced_value(value: Any, scalars: dict[float, float], arrays: _Arrays) -> Any:
    array = _as_floats(value)
    if array is None:
        return value
    if array.ndim:
        return arrays.get((array.shape, array.tobytes()), value)
    return scalars.get(float(array), value)
