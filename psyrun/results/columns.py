"""Columns as stores return them, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError
from psyrun.pspace import Param
from psyrun.pspace.columns import as_objects
from psyrun.pspace.equality import equal_rows
from psyrun.store.arrays import column_array

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
