"""Spaces of which some points are chosen: no other values are computed, or kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Column, Indices, as_objects, listed
from psyrun.pspace.derived import ComputedColumn, Derived, Zip
from psyrun.pspace.rows import (
    AnyRows,
    are_all_different,
    listed_rows,
    picked,
    places_of,
    rows_where,
)
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
)
from psyrun.utils.typing import override

_MOST_LOOKED_AT = 10**8  # points that are chosen; of more, all values are kept
_AT_ONCE = 2**16  # points
_MOST_MARKED = 10**7  # values for which it is marked whether they are used
_EXACT = 2.0**53  # integers beyond are not all floats


class PartialColumn(Column):
    """The values of another column at some of its rows.

    At all others there is nothing: nan, NaT for dates and times, empty text for text.

    A pickle holds those values.

    Parameters
    ----------
    column : Column
        The other column.
    rows : range, ndarray or Rows
        Ascending rows.
    """

    def __init__(self, column: Column, rows: AnyRows) -> None:
        self._column, self._rows, self.n_places = column, rows, column.n_places

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_values, (self.known(), self._rows, self.n_places)

    @override
    def known(self) -> Column:
        return self._values

    @cached_property
    def _values(self) -> Column:
        return listed(self._column.take(listed_rows(self._rows)))

    @cached_property
    def _nothing(self) -> Any:
        """What stands at other rows, as in a file: of texts an empty one, or nan."""
        values = self._values.take(np.arange(len(self._rows)))
        kinds = set(map(type, values))
        kind = kinds.pop() if len(kinds) == 1 else object
        if issubclass(kind, str | bytes):
            return kind()
        if issubclass(kind, np.datetime64 | np.timedelta64):
            # Of their unit: newer versions of NumPy demand one.
            return np.array("NaT", dtype=values[0].dtype)[()]
        return kind("nan") if issubclass(kind, np.floating) else float("nan")

    def __getitem__(self, row: int) -> Any:
        (place,) = places_of(self._rows, np.array([row]))
        return self._nothing if place < 0 else self._values[int(place)]

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        places = places_of(self._rows, rows.reshape(-1))
        # NumPy would make None of NaT.
        found = as_objects([self._nothing])[np.zeros_like(places)]
        found[places >= 0] = self._values.take(places[places >= 0])
        return found.reshape(rows.shape)

    @override
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        places = places_of(self._rows, rows)
        is_there = places >= 0
        numbers = self._values.numbers(places[is_there])
        if numbers is None or is_there.all():
            return numbers
        if np.any(np.abs(numbers) > _EXACT):
            return None
        found = np.full(len(places), np.nan)
        found[is_there] = numbers
        return found

    @override
    def held(self) -> NDArray[Any] | None:
        return self._values.held()

    @override
    def literal(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return repr(self._column)


def _of_values(values: Column, rows: AnyRows, n_places: int) -> PartialColumn:
    column = PartialColumn(values, rows)
    column.n_places = n_places
    vars(column)["_values"] = values
    return column


def limited(space: ParameterSpace, rows: AnyRows) -> ParameterSpace:
    """Return a space of which only the computed values of some rows are computed.

    The others are nan. The values themselves are not computed here.
    """
    uses = dict[int, _Use]()

    def note(key: str, column: Column) -> Column:
        if isinstance(column, ComputedColumn | PartialColumn):
            uses.setdefault(id(column), _Use(column)).keys.add(key)
        return column

    def limit(_: str, column: Column) -> Column:
        use = uses.get(id(column))
        return column if use is None else use.column_of_used()

    with_columns(space, note)
    is_all = len(rows) == len(space) and are_all_different(rows)
    if not uses or is_all or len(rows) > _MOST_LOOKED_AT:
        return space
    for key in sorted({key for use in uses.values() for key in use.keys}):
        _look_at(space, rows, key, uses)
    return with_columns(space, limit)


def _look_at(
    space: ParameterSpace, rows: AnyRows, key: str, uses: Mapping[int, _Use]
) -> None:
    """Note which rows of its columns the values of a key are from."""

    def note(column: Column, rows: Indices) -> NDArray[Any]:
        if id(column) in uses:
            uses[id(column)].add(rows)
        return np.zeros(len(rows), dtype=np.bool_)

    own = [use for use in uses.values() if key in use.keys]
    for start in range(0, len(rows), _AT_ONCE):
        if all(use.is_whole for use in own):
            break
        places = np.arange(start, min(start + _AT_ONCE, len(rows)))
        space.gather(key, picked(rows, places), note)


class _Use:
    """Which rows of a column are used."""

    def __init__(self, column: Column) -> None:
        self.keys = set[str]()
        self._column = column
        self._lists: list[Indices] = []
        n_marked = column.n_places if column.n_places <= _MOST_MARKED else 0
        self._is_used = np.zeros(n_marked, dtype=np.bool_)

    def add(self, rows: Indices) -> None:
        if len(self._is_used):
            self._is_used[rows] = True
        else:
            self._lists.append(np.unique(rows))

    @property
    def is_whole(self) -> bool:
        """Whether all rows are known to be used."""
        return bool(len(self._is_used) and self._is_used.all())

    def column_of_used(self) -> Column:
        if len(self._is_used):
            rows = rows_where(self._is_used)
        else:
            rows = np.unique(np.concatenate([np.empty(0, np.int64), *self._lists]))
        if len(rows) == self._column.n_places:
            return self._column
        return PartialColumn(self._column, rows)


def with_columns(
    space: ParameterSpace, change: Callable[[str, Column], Column]
) -> ParameterSpace:
    """Return a space with other columns; the same space if all are the same ones.

    Those of a class of the user's own stay as they are.
    """
    if is_a(space, Table):
        columns = _changed(space._columns, change)
        return space if columns is None else Table(columns, len(space))
    if is_a(space, Selection):
        whole = with_columns(space._space, change)
        return space if whole is space._space else Selection(whole, space._rows)
    if is_a(space, Derived):
        whole = with_columns(space._space, change)
        columns = _changed(space._columns, change)
        if whole is space._space and columns is None:
            return space
        return Derived(whole, space._columns if columns is None else columns)
    if is_a(space, Product) or is_a(space, Sum) or is_a(space, Zip):
        operands = [with_columns(each, change) for each in space.operands]
        pairs = zip(operands, space.operands, strict=True)
        if all(one is other for one, other in pairs):
            return space
        kind = next(each for each in (Product, Sum, Zip) if isinstance(space, each))
        return kind(*operands)
    return space


def _changed(
    columns: dict[str, Column], change: Callable[[str, Column], Column]
) -> dict[str, Column] | None:
    found = {key: change(key, column) for key, column in columns.items()}
    return None if all(found[key] is columns[key] for key in columns) else found
