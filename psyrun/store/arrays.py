"""Columns of a result as NumPy arrays with one row per element of axis 0.

Values of different shapes share a column by being padded, in every axis at
the end, with the missing value: nan for float and complex. Integers become
float64 where every one of them is represented exactly. Other types have no
missing value. As in broadcasting, a value with fewer axes is taken to have
leading axes of length one, so that a single nan among arrays is a row of nan;
one without elements has leading axes of length zero, so that it stays empty
beside others that are.
Values of different types promote as in `numpy.result_type`, but never such
that an integer changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import StoreError, UnsupportedTypeError
from psyrun.store.values import (
    check_is_array,
    leaves,
    odd_type,
    plain_value,
    unstorable,
)

Array: TypeAlias = NDArray[Any]
Indices: TypeAlias = NDArray[np.int64]

NUMERIC = "biufc"
"""The kinds of `numpy.dtype` that are numbers."""

_EXACT: dict[type, type[np.generic]] = {
    bool: np.bool_,
    int: np.int64,
    float: np.float64,
    complex: np.complex128,
}
_WORDS = {
    "S": "bytes",
    "U": "str",
    "M": "datetime64",
    "m": "timedelta64",
    "V": "structured array",
}

_INT64 = range(-(2**63), 2**63)

_NO_CHECK = frozenset(
    {bool, float, complex, np.bool_, np.float64, np.float32, np.int64, np.int32}
)


@dataclass(frozen=True)
class RowType:
    """Type and shape (``()`` for single values) of one row of a column."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Size of a row, in bytes."""
        return self.dtype.itemsize * math.prod(self.shape)

    @classmethod
    def of(cls, column: Array) -> RowType:
        """Return the row type of a column of shape (n_rows, ...).

        Texts may be objects, as in `psyrun.store.npz_text`.
        """
        first = column.flat[0] if column.dtype == object and column.size else None
        if isinstance(first, str | bytes):
            return cls(np.asarray(first).dtype, column.shape[1:])
        return cls(column.dtype, column.shape[1:])

    @classmethod
    def of_value(cls, key: str, value: Any) -> RowType:
        """Return the row type of a value that `row_array` takes."""
        array = np.asarray(plain_value(key, value))
        if array.dtype.hasobject:
            array = row_array(key, value)
        return cls(array.dtype.newbyteorder("="), array.shape)


def column_array(key: str, values: Any) -> Array:
    """Turn the values of a key, one per row, into one array, padded if need be.

    Raises `StoreError` if no array holds the values as they are.
    """
    if hasattr(values, "__array__"):
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
        if array.ndim > 1:
            # Of a single axis the rows are known, whatever else the object has.
            check_is_array(key, values)
        if not array.dtype.hasobject:
            return _whole_array(key, array)
    rows = list(values)
    if (column := _of_one_type(rows)) is not None:
        return column
    return join_parts(key, [row_array(key, row)[np.newaxis] for row in rows])


def _of_one_type(rows: list[Any]) -> Array | None:
    """Return the column of numbers of one type, which need no closer look."""
    types = set(map(type, rows))
    only = types.pop() if len(types) == 1 else None
    try:
        if only in _EXACT:
            return np.array(rows, dtype=_EXACT[only])
        if only and issubclass(only, np.number | np.bool_):
            return np.array(rows, dtype=only)
    except OverflowError:
        return None
    return None


def join_parts(key: str, parts: Sequence[Array | int]) -> Array:
    """Put parts of a column one after the other.

    A part is an array of shape (n_rows, ...), or the number of missing rows. Raises
    `StoreError` if the types do not go together, or rows are missing and the type
    has no missing value.
    """
    arrays = [part for part in parts if not isinstance(part, int)]
    missing = any(isinstance(part, int) and part for part in parts)
    if not arrays:
        return np.full(sum(p for p in parts if isinstance(p, int)), np.nan)
    types = dict.fromkeys(map(RowType.of, arrays))
    target = common_row_type(key, types, missing)
    return np.concatenate([to_row_type(key, part, target) for part in parts])


def common_row_type(
    key: str, types: Iterable[RowType], missing: bool = False
) -> RowType:
    """Return the smallest row type that holds rows of several types.

    It has a missing value if rows are `missing` or the shapes differ. Raises
    `StoreError` if there is no such type.
    """
    found = list(types)
    dtype = reduce(lambda a, b: _common_dtype(key, a, b), [t.dtype for t in found])
    shape = _largest_shape([t.shape for t in found])
    if missing or any(t.shape != shape for t in found):
        dtype = _with_missing_value(key, dtype)
    return RowType(dtype, shape)


def _common_dtype(key: str, a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    if a == b:
        return a
    kinds = {a.kind, b.kind}
    if kinds <= set(NUMERIC) or kinds == {"U"} or kinds == {"S"}:
        return np.result_type(a, b)
    raise unstorable(key, f"both {a} and {b}")


def _largest_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    n_axes = max(map(len, shapes))
    extended = [_extended(shape, n_axes) for shape in shapes]
    return tuple(map(max, zip(*extended, strict=True)))


def _extended(shape: tuple[int, ...], n_axes: int) -> tuple[int, ...]:
    return (0 if 0 in shape else 1,) * (n_axes - len(shape)) + shape


def _with_missing_value(key: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind in "fc":
        return dtype
    if dtype.kind in "iu":
        return np.dtype(np.float64)
    raise StoreError(
        f"key {key!r} holds {dtype} in different shapes or not in every row, and "
        f"{dtype} has no missing value to fill up with; return the same keys and "
        "shapes in every row, or use PickleStore (.pkl)."
    )


def n_axes(shape: tuple[int, ...], is_missing: bool) -> int | None:
    """Return how many axes a row has that are not there for padding.

    A single value goes with lists. One that `is_missing`, or a row without anything,
    goes with rows of any number of axes, which is None. But a table without rows is
    one of tables.
    """
    if len(shape) < 2 and (is_missing or shape == (0,)):
        return None
    return max(1, len(shape))


def to_row_type(key: str, part: Array | int, target: RowType) -> Array:
    """Bring part of a column to the row type that `common_row_type` has found.

    Returns shape (n_rows, *target.shape), padded with the missing value; `part`
    itself if it fits. Raises `StoreError` if an integer would change.
    """
    if isinstance(part, int):
        return np.full((part, *target.shape), _missing_value(target.dtype))
    if RowType.of(part) == target:
        return part
    check_exact(key, part, target.dtype)
    n_rows, *own = part.shape
    shape = _extended(tuple(own), len(target.shape))
    if shape == target.shape:
        return part.reshape(n_rows, *shape).astype(target.dtype)
    padded = to_row_type(key, n_rows, target)
    corner = (slice(None), *map(slice, shape))
    padded[corner] = part.reshape(n_rows, *shape)
    return padded


def _missing_value(dtype: np.dtype[Any]) -> Any:
    value = complex(np.nan, np.nan) if dtype.kind == "c" else np.nan
    return dtype.type(value)


def row_array(key: str, value: Any) -> NDArray[Any]:
    """Return a number, text, date, array or (nested) list as an array of the same.

    The array is in native byte order. Raises `StoreError` for what would not come
    back as it was: objects, lists of uneven lists, integers of more than 64 bits,
    lists that mix types, masked values, text that ends in a null character, arrays
    with labels or units.
    """
    value = plain_value(key, value)
    if isinstance(value, np.ndarray):
        return _whole_array(key, value)
    return _array_of(key, value)


def _whole_array(key: str, array: Array) -> Array:
    if np.ma.is_masked(array):
        raise unstorable(key, "masked values")
    check_is_array(key, array)
    if array.dtype.kind in "OT":
        return _unboxed(key, array)
    if array.dtype.hasobject:
        raise unstorable(key, "objects in a structured array")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def _unboxed(key: str, array: Array) -> Array:
    """Return what an array of objects holds as an array of one type."""
    found = _array_of(key, plain_value(key, array.ravel().tolist()))
    if found.shape != (array.size,):
        raise unstorable(key, f"an array of {odd_type(array.flat)} objects")
    return found.reshape(array.shape)


def _array_of(key: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise unstorable(key, f"a {type(value).__name__} of uneven lengths") from error
    _check_same(key, value, array.dtype)
    if array.dtype.hasobject:
        raise unstorable(key, f"a value of type {odd_type(leaves(value))}")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check_same(key: str, value: Any, dtype: np.dtype[Any]) -> None:
    found = list(leaves(value))
    if len(found) > 1 and set(map(type, found)) == {float}:
        return
    for leaf in found:
        if isinstance(leaf, str | bytes) and leaf[-1:] in ("\0", b"\0"):
            raise unstorable(key, "text or bytes with a null character at the end")
        if type(leaf) is int and leaf not in _INT64:
            raise unstorable(key, f"the integer {leaf}, of more than 64 bits")
        if isinstance(leaf, np.ndarray):
            leaf = _whole_array(key, leaf)
        check_exact(key, np.asarray(leaf), dtype)


def check_exact(key: str, array: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Raise a `StoreError` if integers would lose digits, or numbers become text."""
    kinds = {array.dtype.kind, dtype.kind}
    if len(kinds) > 1 and not kinds <= set(NUMERIC) and not dtype.hasobject:
        raise unstorable(key, f"both {array.dtype} and {dtype}")
    if (number := inexact_integer(array, dtype)) is not None:
        what = f"the integer {number}, which is not exact as {dtype}"
        raise unstorable(key, what)


def inexact_integer(array: Array, dtype: np.dtype[Any]) -> int | None:
    """Return the first integer of an array that is not exact as a type of floats."""
    if array.dtype.kind not in "iu" or dtype.kind not in "fc":
        return None
    limit = 2 ** (np.finfo(dtype).nmant + 1)
    large: list[int] = array[(array > limit) | (array < -limit)].tolist()
    return next((n for n in large if int(dtype.type(n).real) != n), None)


def has_large_integers(key: str, column: Any) -> bool:
    """Return whether a column has integers that are not exact as float64."""
    array = column if isinstance(column, np.ndarray) else column_array(key, column)
    return inexact_integer(array, np.dtype(np.float64)) is not None


def check_kind(key: str, array: NDArray[Any], kinds: str, store: str) -> None:
    """Raise a `StoreError` if the array's kind of `numpy.dtype` is not in `kinds`."""
    kind = array.dtype.kind
    if kind not in kinds:
        raise UnsupportedTypeError(
            f"key {key!r} holds a value of type {_WORDS.get(kind, array.dtype)}, but "
            f"{store} takes bool, int, float and complex only; use NpzStore (.npz) or "
            "PickleStore (.pkl)."
        )


def check_value(key: str, value: Any, kinds: str, store: str) -> None:
    """Raise a `StoreError` if a store that takes some kinds cannot hold a value."""
    if type(value) in _NO_CHECK or (type(value) is int and value in _INT64):
        return
    check_kind(key, row_array(key, value), kinds, store)


def take(columns: Mapping[str, Any], rows: Indices) -> dict[str, Any]:
    """Return some rows of columns, in the order of `rows`."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        span = slice(int(rows[0]), int(rows[0]) + len(rows))
        return {key: column[span] for key, column in columns.items()}
    return {key: _pick(column, rows) for key, column in columns.items()}


def _pick(column: Sequence[Any], rows: Indices) -> Any:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows.tolist()]
