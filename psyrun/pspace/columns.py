"""How the values of one parameter are held by a :class:`psyrun.Param`.

A column answers three questions: the value at one row, the values at many rows,
and those values as plain numbers if they are nothing else. Rows are counted
from zero; a column never checks bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.reading import is_frame
from psyrun.utils.text import shortened, text_of
from psyrun.utils.typing import override

Indices = NDArray[np.int64]
_INTEGERS = {int, bool, np.int64, np.bool_}
_FLOATS = {float, np.float64}
_INT64_MAX = np.iinfo(np.int64).max
_MOST_SHOWN = 6
_LONGEST_SHOWN = 30  # characters


class Column(ABC):
    """The values of one parameter, in the order of the rows.

    Subclasses set `n_places`, the number of values that are held; 1 if a column
    serves any number of rows.
    """

    n_places: int

    @abstractmethod
    def __getitem__(self, row: int) -> Any:
        """Return the value at `row`."""

    @abstractmethod
    def take(self, rows: Indices) -> NDArray[np.object_]:
        """Return the values at `rows` as an object array of the same shape."""

    @abstractmethod
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        """Return the values at `rows` as int64 or float64 if that is exact, or None."""

    def held(self) -> NDArray[Any] | None:
        """Return values along axis 0 that show of which types all values are.

        Not a copy; None if they are not held in an array.
        """
        return None

    def known(self) -> Column:
        """Return a column of the values that there are, if those of some rows lack."""
        return self

    @abstractmethod
    def literal(self) -> str | None:
        """Return what to give a `Param` for this column, or None if that is long."""


class ValueColumn(Column):
    """Values that are held one by one, along the first axis of an array it owns."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.n_places = len(array)

    def __getitem__(self, row: int) -> Any:
        value = self._array[row]
        # A view would let the caller change the space in place.
        return value.copy() if self._array.ndim > 1 else value

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        """Return the values at `rows` as numpy indexing gives them."""
        picked = self._array[rows]
        if picked.ndim == 1 and picked.dtype == object:
            return picked
        return as_objects(picked)

    @override
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        return as_numbers(self._array[rows]) if self._array.ndim == 1 else None

    @override
    def held(self) -> NDArray[Any]:
        return self._array

    @override
    def literal(self) -> str | None:
        if self._array.ndim > 1 or self.n_places > _LONGEST_SHOWN:
            return None
        return f"[{', '.join(map(_literal, self._array.tolist()))}]"

    def __repr__(self) -> str:
        if self._array.ndim > 1:
            return f"<array of shape {self._array.shape}>"
        shown = list(map(_shown, self._array[:_MOST_SHOWN].tolist()))
        more = ["..."] if self.n_places > _MOST_SHOWN else []
        return f"[{', '.join([*shown, *more])}]"


class NumberColumn(ValueColumn):
    """Python integers or Python floats, held as an array of int64 or float64."""

    def __getitem__(self, row: int) -> Any:
        return self._array[row].item()

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        """Return the Python numbers at `rows`."""
        return self._array[rows].astype(object)


class RangeColumn(Column):
    """Evenly spaced integers that fit int64, computed rather than held."""

    def __init__(self, steps: range) -> None:
        self._steps = steps
        self.n_places = len(steps)

    @property
    def steps(self) -> range:
        """The integers."""
        return self._steps

    def __getitem__(self, row: int) -> int:
        return self._steps[row]

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        """Return the integers at `rows`."""
        return self.numbers(rows).astype(object)

    @override
    def numbers(self, rows: Indices) -> Indices:
        """Return the integers at `rows` as int64."""
        return self._steps.start + self._steps.step * rows

    @override
    def held(self) -> Indices:
        """Return those near the ends, which are the largest."""
        return np.array([*self._steps[:2], *self._steps[-2:]])

    @override
    def literal(self) -> str:
        return repr(self._steps)

    def __repr__(self) -> str:
        return repr(self._steps)


class ConstantColumn(Column):
    """One value, shared and not copied, for all rows."""

    n_places = 1

    def __init__(self, value: Any) -> None:
        self._value = value

    def __getitem__(self, row: int) -> Any:
        return self._value

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        """Return the value once for each of `rows`."""
        return as_objects([self._value])[np.zeros_like(rows)]

    @override
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        """Return the value once for each of `rows`, as int64 or float64."""
        number = as_numbers(as_objects([self._value]))
        return None if number is None else number[np.zeros_like(rows)]

    @override
    def literal(self) -> str:
        return _literal(self._value)

    def __repr__(self) -> str:
        return _shown(self._value)


def as_column(name: str, value: Any) -> tuple[Column, int | None]:
    """Choose the column for what the user gave for one parameter.

    Strings, bytes, mappings, classes and arrays without axes are scalars. Any other
    iterable is read once, in its order. Returns the number of values, too; None for
    a scalar, which suits any length. Raises `PsyrunError` for a set, which has no
    order, and for a data frame, which has names of columns as its items.
    """
    if isinstance(value, set | frozenset):
        raise PsyrunError(
            f"Param: {name!r} is a {type(value).__name__}, which has no order; "
            f"give a list, for example {name}=sorted(...)."
        )
    if is_frame(value):
        raise PsyrunError(
            f"Param: {name!r} is a {type(value).__name__}, which would give the names "
            "of its columns. Use Param.from_frame(df) for its rows, or "
            f"{name}=df['{name}'] for one column."
        )
    if _is_scalar(value):
        return ConstantColumn(
            value[()] if isinstance(value, np.ndarray) else value
        ), None
    if isinstance(value, range) and max(map(abs, (value.start, value.stop))) < 2**62:
        return RangeColumn(value), len(value)
    column = _held(value.copy() if isinstance(value, np.ndarray) else list(value))
    return column, column.n_places


def listed(values: Iterable[Any]) -> Column:
    """Return a column that holds values one by one."""
    return _held(list(values))


def as_objects(values: Iterable[Any]) -> NDArray[np.object_]:
    """Return a one-dimensional object array, however nested the values are."""
    # np.array(values, dtype=object) would turn equally long lists into an axis.
    return np.fromiter(values, dtype=object)


def as_numbers(array: NDArray[Any]) -> NDArray[Any] | None:
    """Return an array of shape (n,) as int64 or float64 if that is exact, or None.

    An array of objects may hold integers only or floats only.
    """
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if kind == "O":
        return _unboxed(array)
    if kind in "bi" or (kind == "u" and array.max(initial=0) <= _INT64_MAX):
        return array.astype(np.int64)
    return array.astype(np.float64) if kind == "f" and itemsize <= 8 else None


def _unboxed(array: NDArray[np.object_]) -> NDArray[Any] | None:
    types = set(map(type, array.tolist()))
    if types <= _FLOATS:
        return array.astype(np.float64)
    try:
        return array.astype(np.int64) if types <= _INTEGERS else None
    except OverflowError:
        return None


def _held(values: NDArray[Any] | list[Any]) -> ValueColumn:
    if isinstance(values, np.ndarray):
        return ValueColumn(values)
    objects = as_objects(values)
    # Only types of which Python numbers come back as they were.
    plain = set(map(type, values)) in ({int}, {float})
    numbers = _unboxed(objects) if plain else None
    return ValueColumn(objects) if numbers is None else NumberColumn(numbers)


def _shown(value: Any) -> str:
    return shortened(text_of(value), _LONGEST_SHOWN)


def _literal(value: Any) -> str:
    """Return a value in Python source; those of unknown types as they show it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{float(value)}')"
    return text_of(value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0
    if isinstance(value, str | bytes | bytearray | Mapping | type | np.generic):
        return True
    try:
        iter(value)
    except TypeError:
        return True
    return False
