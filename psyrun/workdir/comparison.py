"""Whether rows are those of their assignments, by the values of their parameters.

Only numbers and text are compared, as stores may change other values; nan equals nan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace import ParameterSpace
from psyrun.pspace.columns import Column
from psyrun.store.arrays import Indices, take
from psyrun.store.base import Store
from psyrun.store.rows import count_rows
from psyrun.utils.files import Filename

_NUMBERS = "biufc"
_MOST_BYTES = {"f": 8, "c": 16}  # of numbers that all stores give back as they were
_AT_ONCE = 100_000  # rows, for memory


@dataclass(frozen=True)
class AssignedRows:
    """Rows of some assignments in a store file.

    `rows` tells which row of the file belongs to each of `indices`; by default they
    are in order, and the file has no others.
    """

    store: Store
    path: Filename
    indices: Indices
    rows: Indices | None = None

    def problem(self, space: ParameterSpace, keys: Sequence[str]) -> str:
        """Return what is wrong with some parameters; empty if nothing is."""
        if not _is_comparable(self.store) or not len(self.indices):
            return ""
        columns = self.store.load_scalars(self.path, keys)
        n_rows = count_rows(columns)
        least = len(self.indices) if self.rows is None else int(self.rows.max()) + 1
        if n_rows < least:
            # There are no such columns; of missing rows others tell.
            return ""
        if self.rows is not None:
            columns = take(columns, self.rows)
        elif n_rows > least:
            return f"holds {n_rows} rows instead of {least}"
        for key in differing(space, self.indices, columns, keys):
            return f"has rows of other assignments, by their {key}"
        return ""


def _is_comparable(store: Store) -> bool:
    """Whether a store is known to give numbers and text back as they were."""
    return type(store).__module__.startswith("psyrun.store.")


def equal_parameters(
    space: ParameterSpace, indices: Indices, columns: Mapping[str, Any]
) -> set[str]:
    """Return the parameters that surely have the values of the assignments in rows.

    `execute` may return others of that name, or they are left out.
    """
    keys = [key for key in space.keys() if key in columns]  # noqa: SIM118
    return {key for key in keys if _are_equal(space, key, indices, columns[key])}


def differing(
    space: ParameterSpace,
    indices: Indices,
    columns: Mapping[str, Any],
    keys: Collection[str],
) -> Iterator[str]:
    """Yield which parameters surely have other values in rows than in the space."""
    for key in keys:
        if key in columns and key in space.keys():  # noqa: SIM118
            values = columns[key]
            for begin in range(0, len(indices), _AT_ONCE):
                part = slice(begin, begin + _AT_ONCE)
                if _are_equal(space, key, indices[part], values[part]) is False:
                    yield key
                    break


def _are_equal(
    space: ParameterSpace, key: str, indices: Indices, values: Any
) -> bool | None:
    """Whether values are those of a parameter; None if that cannot be said."""
    found = _comparable(values)
    expected = None if found is None else _expected(space, key, indices)
    if found is None or expected is None or len(found) != len(expected):
        return None
    if (expected.dtype.kind == "U") != (found.dtype.kind == "U"):
        # It may stand for a number, which not all rows have.
        return None
    is_other = expected != found
    if is_other.any() and expected.dtype.kind != "U":
        is_other &= (expected == expected) | (found == found)
    return not is_other.any()


def _expected(space: ParameterSpace, key: str, indices: Indices) -> NDArray[Any] | None:
    try:
        return space.gather(key, indices, _numbers)
    except _NotNumbersError:
        return _comparable(space.gather(key, indices, _taken))


class _NotNumbersError(Exception):
    """A column has other values than numbers."""


def _numbers(column: Column, rows: Indices) -> NDArray[Any]:
    numbers = column.numbers(rows)
    if numbers is None:
        raise _NotNumbersError
    return numbers


def _taken(column: Column, rows: Indices) -> NDArray[np.object_]:
    return column.take(rows)


def _comparable(values: Any) -> NDArray[Any] | None:
    """Return numbers or text as an array; None if there are others."""
    first = next(iter(values), None)
    if first is None or (hasattr(first, "__len__") and not isinstance(first, str)):
        return None
    try:
        array = np.asarray(values)
        if array.dtype == object:
            array = np.asarray(array.tolist())
    except (ValueError, TypeError, OverflowError):
        return None
    kind = array.dtype.kind
    if array.ndim != 1:
        return None
    if kind == "U":
        # Beside text, numbers would be made text.
        is_text = all(isinstance(value, str) for value in values)
        return np.char.rstrip(array, "\0") if is_text else None
    is_exact = array.dtype.itemsize <= _MOST_BYTES.get(kind, 8)
    return array if kind in _NUMBERS and is_exact else None
