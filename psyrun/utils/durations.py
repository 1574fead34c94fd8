"""Lengths of time as people write them, such as ``1h30m``."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_NUMBER = r"(\d+(?:\.\d+)?)\s*"
_UNITS = (
    ("d(?:ays?)?", 86400),
    ("h(?:rs?|ours?)?", 3600),
    ("m(?:ins?|inutes?)?", 60),
    ("s(?:ecs?|econds?)?", 1),
)
_DURATION = re.compile(
    r"\s*".join(f"(?:{_NUMBER}{unit})?" for unit, _ in _UNITS), re.IGNORECASE
)
_LETTERS = (("d", 86400), ("h", 3600), ("m", 60))
COARSE = {"W": 7 * 86400, "D": 86400, "h": 3600, "m": 60}
"""Units of NumPy in seconds."""
FINE = ("s", "ms", "us", "ns", "ps", "fs", "as")
"""Further ones, each a thousandth of the one before."""
_MOST_DECIMALS = 18  # of seconds: NumPy counts attoseconds


def read_duration(text: str) -> Fraction:
    """Return the seconds of a length of time such as ``1h30m``, ``2 days`` or ``0.5s``.

    Raises `ValueError` if it is none.
    """
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(text)
    parts = zip(match.groups(default="0"), _UNITS, strict=True)
    return sum((Fraction(n) * length for n, (_, length) in parts), Fraction(0))


def written_duration(seconds: Fraction) -> str:
    """Return a length of time as `read_duration` takes it, with all its digits.

    A minus sign stands before negative ones.
    """
    rest, parts = abs(seconds), []
    for letter, length in _LETTERS:
        number, rest = divmod(rest, length)
        if number:
            parts.append(f"{number}{letter}")
    whole, part = divmod(rest, 1)
    if whole or part or not parts:
        decimals = f"{int(part * 10**_MOST_DECIMALS):0{_MOST_DECIMALS}d}".rstrip("0")
        parts.append(f"{whole}{'.' if decimals else ''}{decimals}s")
    return f"{'-' if seconds < 0 else ''}{''.join(parts)}"


def seconds_of_numpy(value: Any) -> Fraction | None:
    """Return the seconds of a `numpy.timedelta64`, exactly.

    None for NaT, and for years and months, which are not all equally long.
    """
    import numpy as np

    unit, count = np.datetime_data(value.dtype)
    if np.isnat(value):
        return None
    number = int(value.astype(np.int64)) * count
    if unit in COARSE:
        return Fraction(number * COARSE[unit])
    return Fraction(number, 1000 ** FINE.index(unit)) if unit in FINE else None
