"""Columns as stores return them, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError
from psyrun.pspace import Param
from psyrun.pspace.columns import as_objects
from psyrun.pspace.equality import equal_rows
from psyrun.store.arrays import column_array, join_parts

_EXACT = 2**53


def as_array(key: str, column: Any) -> NDArray[Any]:
    """Return a column as an array with a row per element of axis 0.

    Values that are arrays are padded with nan to one shape. Values that go together
    in no array are objects.
    """
    if isinstance(column, np.ndarray):
        return column
    try:
        return column_array(key, column)
    except StoreError:
        return as_objects(column)


def one_per_row(key: str, column: Any) -> NDArray[Any]:
    """Return a column as an array with one axis; values that are arrays are objects."""
    array = as_array(key, column)
    if array.ndim == 1:
        return array
    # What a list holds is not padded.
    return as_objects(column)


def spread(values: NDArray[Any], places: NDArray[np.bool_]) -> NDArray[Any]:
    """Return an array with some values in their places, and nothing in the others.

    Nothing is NaT for dates and times, and nan for anything else, as xarray has it.
    Integers become floating point numbers if that is exact; what is no number is in
    an array of objects then.
    """
    dtype, fill = _with_nothing(values)
    found = np.full((len(places), *values.shape[1:]), fill, dtype)
    found[places] = values
    return found


def _with_nothing(values: NDArray[Any]) -> tuple[np.dtype[Any], Any]:
    """Return a type that can hold values and nothing, and what stands for nothing."""
    dtype = values.dtype
    if dtype.kind in "fc":
        return dtype, np.nan
    if dtype.kind in "mM":
        return dtype, np.array("NaT", dtype)
    if dtype.kind in "iu" and np.all((values >= -_EXACT) & (values <= _EXACT)):
        return np.dtype(np.float64), np.nan
    return np.dtype(object), np.nan


def joined(key: str, parts: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> Any:
    """Return a column of some parts, one after the other; what they lack is nan.

    It is a list if it is one in any of them.
    """
    columns = [part.get(key) for part in parts]
    there = [column for column in columns if column is not None]
    if len(columns) == 1 and there:
        return there[0]
    if all(isinstance(c, np.ndarray) and not c.dtype.hasobject for c in there):
        pairs = zip(columns, counts, strict=True)
        with suppress(StoreError):
            return join_parts(key, [n if c is None else c for c, n in pairs])
    found: list[Any] = []
    for column, n_rows in zip(columns, counts, strict=True):
        found += [np.nan] * n_rows if column is None else list(column)
    is_list = any(isinstance(column, list) for column in there)
    return found if is_list else as_objects(found)


@dataclass(frozen=True)
class ColumnTypes:
    """The types of columns that are read in pieces, some of which lack columns.

    Attributes
    ----------
    types : dict of str to dtype or None
        The type of numbers that all pieces can have; None where there is none.
    shapes : dict of str to tuple of int
        The shape of a row.
    """

    types: Mapping[str, np.dtype[Any] | None]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(
        cls, keys: Sequence[str], samples: Sequence[Mapping[str, Any]]
    ) -> ColumnTypes:
        """Return those of pieces of which some rows are given."""
        types, shapes = dict[str, np.dtype[Any] | None](), dict[str, tuple[int, ...]]()
        for key in keys:
            arrays = [as_array(key, each[key]) for each in samples if key in each]
            types[key] = _common_type(arrays, is_missing=len(arrays) < len(samples))
            shapes[key] = arrays[0].shape[1:] if arrays else ()
        return cls(types, shapes)

    def fitted(self, piece: Mapping[str, Any], n_rows: int) -> dict[str, Any]:
        """Return a piece with all columns, and numbers of these types."""
        return {key: self._fitted(key, piece, n_rows) for key in self.types}

    def _fitted(self, key: str, piece: Mapping[str, Any], n_rows: int) -> Any:
        dtype = self.types[key]
        if key not in piece:
            if dtype is None:
                return [None] * n_rows
            fill = np.array("NaT", dtype) if dtype.kind in "mM" else np.nan
            return np.full((n_rows, *self.shapes[key]), fill, dtype)
        array = as_array(key, piece[key])
        if dtype is None or array.dtype == dtype or not _can_become(array, dtype):
            return piece[key]
        return array.astype(dtype)


def _common_type(
    arrays: Sequence[NDArray[Any]], *, is_missing: bool
) -> np.dtype[Any] | None:
    kinds = {array.dtype.kind for array in arrays}
    if not kinds or not (kinds <= set("iufc") or kinds in ({"b"}, {"m"}, {"M"})):
        return None
    found: np.dtype[Any] = np.result_type(*(array.dtype for array in arrays))
    if is_missing and found.kind in "iu":
        return np.dtype(np.float64)
    return None if is_missing and found.kind == "b" else found


def _can_become(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    if array.dtype.kind in "iu" and dtype.kind in "fc":
        return bool(np.all((array >= -_EXACT) & (array <= _EXACT)))
    return np.can_cast(array.dtype, dtype, "same_kind")


def are_values_of(key: str, column: Any, values: NDArray[np.object_]) -> bool:
    """Whether a column has some values of a parameter; arrays may be padded."""
    here, there = as_array(key, column), as_array(key, list(values))
    if here.ndim > 1 or there.ndim > 1:
        may_be_nan = {here.dtype.kind, there.dtype.kind} <= set("fciub")
        return np.array_equal(here, there, equal_nan=may_be_nan)
    try:
        codes = equal_rows([Param(**{key: here}), Param(**{key: there})], [key])
    except PsyrunError:
        # Such a parameter is compared nowhere.
        return True
    return np.array_equal(codes[0], codes[1])
