"""How values are kept in netCDF and Zarr, so that xarray reads what was written.

It follows the CF conventions, as xarray does: truth values are small integers, dates
and times are counts of a unit, and what is missing is a value of its own.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.results.frames import UnsuitableError, kinds_of
from psyrun.utils.text import text_of

_EXACT = 2**53
_NO_TIME = np.iinfo(np.int64).min
_UNITS = {
    "D": "days",
    "h": "hours",
    "m": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}


@dataclass(frozen=True)
class Encoding:
    """The type of values in a file.

    Attributes
    ----------
    dtype : dtype
        Their type; object for texts.
    fill : object or None
        What stands for a missing value; None if nothing does.
    attrs : dict of str to object
        What tells how they are to be read.
    """

    dtype: np.dtype[Any]
    fill: Any = None
    attrs: Mapping[str, Any] = field(default_factory=dict)
    is_text: bool = False

    @classmethod
    def of(
        cls, key: str, column: NDArray[Any], *, has_gaps: bool, has_all_numbers: bool
    ) -> Encoding:
        """Return how a column is kept.

        Parameters
        ----------
        key : str
            Its name.
        column : ndarray
            Some of its values.
        has_gaps : bool
            Whether others are missing.
        has_all_numbers : bool
            Whether the format has complex numbers, half precision and truth values.

        Raises
        ------
        UnsuitableError
            If the format cannot hold them.
        """
        dtype = column.dtype
        kind, is_long = dtype.kind, dtype.itemsize > 8 and dtype.kind == "f"
        if kind == "f" and not is_long:
            is_half = dtype.itemsize == 2 and not has_all_numbers
            kept: np.dtype[Any] = np.dtype(np.float32) if is_half else dtype
            return cls(kept.newbyteorder("="), np.nan)
        if kind == "c" and has_all_numbers and dtype.itemsize <= 16:
            return cls(dtype.newbyteorder("="))
        if kind in "iu":
            return cls(np.dtype(np.float64), np.nan) if has_gaps else cls(dtype)
        if kind == "b":
            return _of_truth(has_gaps, has_all_numbers)
        if kind in "mM" and np.datetime_data(dtype)[0] in _UNITS:
            return _of_time(dtype)
        if _are_texts(column):
            return cls(np.dtype(object), is_text=True)
        raise UnsuitableError(key, kinds_of(column))

    @property
    def n_bytes(self) -> int:
        """Size of a value, about."""
        return self.dtype.itemsize

    def nothing(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array of missing values; of texts they are empty."""
        if self.is_text:
            return np.full(shape, "", object)
        fill = np.nan if self.fill is None and self.dtype.kind == "c" else self.fill
        return np.full(shape, 0 if fill is None else fill, self.dtype)

    def encoded(self, key: str, values: NDArray[Any]) -> NDArray[Any]:
        """Return values as they stand in the file.

        Raises `UnsuitableError` if they are of another kind than those before, or an
        integer would change.
        """
        if self.is_text:
            if not _are_texts(values):
                raise UnsuitableError(key, kinds_of(values))
            return values.astype(object)
        if values.dtype.kind in "mM":
            same = values.astype(f"{values.dtype.kind}8[{self._unit}]")
            return same.view(np.int64)
        if not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise UnsuitableError(key, f"{kinds_of(values)} and {self.dtype}")
        becomes_float = values.dtype.kind in "iu" and self.dtype.kind == "f"
        if becomes_float and not np.all((values >= -_EXACT) & (values <= _EXACT)):
            raise UnsuitableError(key, f"{values.dtype} beyond 2**53, with gaps")
        return values.astype(self.dtype, copy=False)

    @property
    def _unit(self) -> str:
        words = str(self.attrs["units"]).partition(" ")[0]
        return next(unit for unit, word in _UNITS.items() if word == words)


def _of_truth(has_gaps: bool, has_all_numbers: bool) -> Encoding:
    if has_gaps:
        return TRUTH_WITH_GAPS
    if has_all_numbers:
        return Encoding(np.dtype(np.bool_))
    return Encoding(np.dtype(np.int8), None, {"dtype": "bool"})


TRUTH_WITH_GAPS = Encoding(np.dtype(np.int8), np.int8(-1))


def truth_with_gaps(values: NDArray[Any]) -> NDArray[np.int8] | None:
    """Return truth values and nan as 1, 0 and -1; None if they are anything else."""
    if values.dtype != object or values.ndim != 1:
        return None
    is_there = np.array([isinstance(each, bool | np.bool_) for each in values], bool)
    others = values[~is_there]
    if is_there.all() or not is_there.any() or not all(map(_is_nan, others)):
        return None
    found = np.full(len(values), -1, np.int8)
    found[is_there] = values[is_there].astype(np.int8)
    return found


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value


def _of_time(dtype: np.dtype[Any]) -> Encoding:
    unit = np.datetime_data(dtype)[0]
    if dtype.kind == "M":
        attrs = {"units": f"{_UNITS[unit]} since 1970-01-01"}
        attrs["calendar"] = "proleptic_gregorian"
    else:
        finer = unit if unit in ("s", "ms", "us", "ns") else "s"
        attrs = {"units": _UNITS[finer], "dtype": f"timedelta64[{finer}]"}
    return Encoding(np.dtype(np.int64), np.int64(_NO_TIME), attrs)


def as_counted(values: NDArray[Any]) -> NDArray[Any]:
    """Return Python's dates, or datetimes without a time zone, as those of NumPy.

    Anything else is returned as it is, and so are values of several types.
    """
    if values.dtype != object or values.size == 0:
        return values
    kinds = {(type(v), getattr(v, "tzinfo", None) is None) for v in values.flat}
    if kinds == {(datetime.date, True)}:
        return values.astype("M8[D]")
    return values.astype("M8[us]") if kinds == {(datetime.datetime, True)} else values


def _are_texts(column: NDArray[Any]) -> bool:
    if column.dtype.kind == "U":
        return True
    return column.dtype == object and all(isinstance(v, str) for v in column.flat)


def attribute(value: Any) -> Any:
    """Return a value as an attribute has it; what cannot be one is a text."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in "iufU":
        return value.item()
    array = value if isinstance(value, np.ndarray) else None
    if isinstance(value, list | tuple) and value:
        array = np.array(value) if len(set(map(type, value))) == 1 else None
    if array is not None and array.ndim == 1 and array.dtype.kind in "iufU":
        return array.tolist()
    return text_of(value)
