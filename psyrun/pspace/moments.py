"""Dates and times of whatever type as one value for each moment.

They have the same hash wherever they are equal, unlike those of several libraries.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from psyrun.utils.dates import seconds_of_lengths
from psyrun.utils.durations import seconds_of_numpy


def moment_of(value: date | np.datetime64) -> date | np.datetime64:
    """Return a time as one of NumPy in microseconds, if it is no finer.

    Hashes of times depend on the version of NumPy, and on the unit. Times with a zone
    are those of UTC.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        return _in_utc(value)
    # `pandas` has finer ones than Python.
    exact: Any = getattr(value, "to_datetime64", lambda: np.datetime64(value))()
    try:
        micro: np.datetime64 = exact.astype("datetime64[us]")
        # What is finer, or too far away, is another one then.
        is_same = bool(micro.astype(exact.dtype) == exact)
    except OverflowError:  # newer versions of NumPy refuse what is too far away
        is_same = False
    return micro if is_same else exact


def _in_utc(value: datetime) -> datetime:
    try:
        there = value.astimezone(UTC)
    except OverflowError:
        return value
    days, times = there.timetuple()[:3], there.timetuple()[3:6]
    plain = datetime(*days, *times, there.microsecond, UTC)
    return plain if plain == value else there


def duration_of(value: timedelta | np.timedelta64) -> timedelta | np.timedelta64:
    """Return a length of time as one of Python, if it is no finer, and not too long.

    Years and months of NumPy have no fixed length, and stay.
    """
    if isinstance(value, np.timedelta64):
        return _in_python(value)
    plain = timedelta(value.days, value.seconds, value.microseconds)
    return plain if plain == value else value


def _in_python(value: np.timedelta64) -> timedelta | np.timedelta64:
    seconds = seconds_of_numpy(value)
    if seconds is None or (seconds * 10**6) % 1:
        return value
    try:
        return timedelta(microseconds=int(seconds * 10**6))
    except OverflowError:
        return value


def time_of_day(value: time) -> float | None:
    """Return a time of day in seconds since midnight, None if it has a zone."""
    if value.tzinfo is not None:
        return None
    whole = value.hour * 3600 + value.minute * 60 + value.second
    return whole + value.microsecond / 1e6


def seconds_of(value: timedelta | np.timedelta64) -> float:
    """Return a length of time in seconds, nan for NaT."""
    if isinstance(value, np.timedelta64):
        return float(seconds_of_lengths(np.array(value)))
    return value.total_seconds()
