"""Times, memory and counts as people write them.

Each function takes what stands in `scheduler_args` and raises `ValueError`
with a text that says what is allowed.
"""

from __future__ import annotations

import operator
import re
from datetime import timedelta
from fractions import Fraction
from math import ceil
from numbers import Integral, Real
from typing import Any

from psyrun.utils.durations import read_duration

_NUMBER = r"(\d+(?:\.\d+)?)\s*"
_MEMORY = re.compile(rf"{_NUMBER}([KMGTP]?)(?:i?B)?", re.IGNORECASE)
_MEGABYTES = {
    "K": Fraction(1, 1024),
    "": Fraction(1),
    "M": Fraction(1),
    "G": Fraction(1024),
    "T": Fraction(1024**2),
    "P": Fraction(1024**3),
}
_MEBI = 2**20
_STEPS = ((3600, 300), (6 * 3600, 900), (86400, 3600))  # seconds up to, and in steps of
_LONG_STEP = 6 * 3600
_TIME_ALLOWED = (
    "it must be a time such as '15m', '1h30m' or '2d', or a number of minutes"
)
SECONDS_ALLOWED = "a time such as '90s', '10m' or '1h30m', or a number of seconds"
"""What `seconds` takes."""
_MEMORY_ALLOWED = "it must be memory such as '500M' or '1.5G', or a number of megabytes"


def minutes(value: Any) -> int:
    """Return a length of time in minutes, rounded up, at least 1.

    Takes a text such as ``'1h30m'``, a number of minutes, or a timedelta.
    """
    try:
        found = ceil(_seconds(value, 60) / 60)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(_TIME_ALLOWED) from None
    if found < 1:
        raise ValueError(f"{_TIME_ALLOWED}, above zero")
    return found


def seconds(value: Any) -> float:
    """Return a length of time in seconds, above 0.

    Takes a text such as ``'1h30m'``, a number of seconds, or a timedelta.
    """
    try:
        found = float(_seconds(value, 1))
    except (OverflowError, TypeError, ValueError):
        raise ValueError(SECONDS_ALLOWED) from None
    if found <= 0:
        raise ValueError(f"{SECONDS_ALLOWED}, above zero")
    return found


def _seconds(value: Any, unit: int) -> Fraction:
    """Return a length of time in seconds; numbers are in units of so many seconds."""
    if isinstance(value, timedelta):
        return Fraction(value // timedelta(microseconds=1), 1_000_000)
    if not isinstance(value, str):
        return unit * _fraction(value)
    text = value.strip()
    if text.isdecimal():
        return Fraction(unit * int(text))
    return read_duration(text)


def megabytes(value: Any) -> int:
    """Return an amount of memory in megabytes (of 2**20 bytes), rounded up.

    Takes a text such as ``'1.5G'``, or a number of megabytes.
    """
    text = str(value).strip()
    match = _MEMORY.fullmatch(text)
    if match is None or isinstance(value, bool):
        raise ValueError(_MEMORY_ALLOWED)
    return ceil(Fraction(match[1]) * _MEGABYTES[match[2].upper()])


def memory(value: Any) -> str:
    """Return memory as queues want it, such as ``'1G'`` or ``'1536M'``."""
    amount = megabytes(value)
    if amount < 1:
        raise ValueError(f"{_MEMORY_ALLOWED}, above zero")
    for unit in "TG":
        size = int(_MEGABYTES[unit])
        if amount % size == 0:
            return f"{amount // size}{unit}"
    return f"{amount}M"


def time_text(seconds: float) -> str:
    """Return a time limit for a task file, rounded up, such as ``'1h30m'``.

    Steps are of 5 minutes up to an hour, 15 minutes up to 6 hours, hours up to a day,
    and 6 hours beyond.
    """
    step = next((step for most, step in _STEPS if seconds <= most), _LONG_STEP)
    minutes = max(1, ceil(seconds / step)) * step // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "m"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def memory_text(size: float) -> str:
    """Return an amount of memory for a task file, rounded up, such as ``'1.5G'``.

    `size` is in bytes. Amounts are at most a quarter larger, or multiples of 64 MiB.
    """
    mebibytes = max(1, ceil(size / _MEBI))
    step = max(64, 2 ** (mebibytes.bit_length() - 3))
    amount = ceil(mebibytes / step) * step
    return (
        f"{amount / 1024:g}G" if amount >= 1024 and amount % 256 == 0 else f"{amount}M"
    )


def seconds_of(text: str) -> float:
    """Return the seconds of a time limit that `time_text` wrote."""
    return 60.0 * minutes(text)


def bytes_of(amount: Any) -> float:
    """Return the bytes of an amount as `megabytes` takes it."""
    return float(megabytes(amount) * _MEBI)


def count(value: Any) -> int:
    """Return a whole number above zero, which may be given as text."""
    try:
        found = int(value) if isinstance(value, str) else _integer(value)
    except (TypeError, ValueError):
        found = 0
    if found < 1:
        raise ValueError("it must be a whole number above zero")
    return found


def _fraction(value: Any) -> Fraction:
    if isinstance(value, Real) and not isinstance(value, Integral):
        # NumPy's numbers of other precisions are no floats.
        return Fraction(float(value))
    return Fraction(_integer(value))


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)
