"""Dates and lengths of time as numbers, however far away or long they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.utils.durations import COARSE, FINE

_DAY = 86400.0  # seconds
_PER_SECOND = {unit: 1000.0**n for n, unit in enumerate(FINE)}
_MONTHS = {"Y": 12, "M": 1}
_MONTH = 365.2425 * _DAY / 12
_FURTHEST = 10**12  # months, of which NumPy knows the days
_FINE = ("ns", "us", "ms", "s")
_WIDEST = 2.0**63


def seconds_of_dates(dates: NDArray[Any]) -> NDArray[np.float64]:
    """Return dates as seconds since the epoch (UTC).

    NumPy converts between units in 64 bits, in which nanoseconds end in the year 2262;
    what is beyond becomes another date, or raises `OverflowError`.

    Parameters
    ----------
    dates : ndarray of datetime64, shape (n,)
        The dates, in any unit.

    Returns
    -------
    ndarray of float64, shape (n,)
        The seconds; nan for NaT. They are as exact as such numbers are, but months and
        years of mean length from 83 000 million years on.
    """
    unit, count = np.datetime_data(dates.dtype)
    numbers = dates.astype(np.int64)
    if unit in _MONTHS:
        seconds = _seconds_of_months(numbers, _MONTHS[unit] * count)
    else:
        seconds = _seconds_of(numbers, unit, count)
    return np.where(np.isnat(dates), np.nan, seconds)


def seconds_of_lengths(lengths: NDArray[Any]) -> NDArray[np.float64]:
    """Return lengths of time in seconds, nan for NaT.

    Parameters
    ----------
    lengths : ndarray of timedelta64
        The lengths, in any unit; months and years are of mean length.
    """
    unit, count = np.datetime_data(lengths.dtype)
    numbers = lengths.astype(np.int64)
    if unit in _MONTHS:
        seconds = numbers.astype(np.float64) * (_MONTHS[unit] * count * _MONTH)
    else:
        seconds = _seconds_of(numbers, unit, count)
    return np.where(np.isnat(lengths), np.nan, seconds)


def _seconds_of(
    numbers: NDArray[np.int64], unit: str, count: int
) -> NDArray[np.float64]:
    scaled = numbers.astype(np.float64) * count
    # Divided, as a thousand is exact, but a thousandth is not.
    return np.asarray(scaled * COARSE.get(unit, 1) / _PER_SECOND.get(unit, 1))


def _seconds_of_months(
    numbers: NDArray[np.int64], months_of_each: int
) -> NDArray[np.float64]:
    rough = numbers.astype(np.float64) * months_of_each
    is_near = np.abs(rough) < _FURTHEST
    months = np.where(is_near, numbers, 0) * months_of_each
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return np.where(is_near, days * _DAY, rough * _MONTH)


def dates_of_seconds(seconds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return the dates at some seconds since the epoch, NaT for nan and inf.

    Their unit is the finest, from nanoseconds to seconds, that reaches all of them;
    what seconds do not reach is NaT.
    """
    is_finite = np.isfinite(seconds) & (np.abs(seconds) < _WIDEST)
    largest = np.abs(seconds[is_finite]).max(initial=0.0)
    unit = next(each for each in _FINE if largest * _PER_SECOND[each] < _WIDEST)
    found = np.full(len(seconds), "NaT", f"datetime64[{unit}]")
    # In two parts, as nanoseconds of today have more digits than a float.
    whole = np.floor(seconds[is_finite])
    parts = np.rint((seconds[is_finite] - whole) * _PER_SECOND[unit]).astype(np.int64)
    numbers = whole.astype(np.int64) * int(_PER_SECOND[unit]) + parts
    found[is_finite] = numbers.astype(found.dtype)
    return found
