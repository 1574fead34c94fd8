"""Values of types without literals in Python, as they are written on the command line.

Dates and times are written as in ``2024-03-01T12:00`` and ``12:00``, lengths of time as
in ``1h30m``, `Decimal` and `Fraction` as what these read, such as ``0.10`` and ``1/3``.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from psyrun.utils.durations import read_duration

_DATES = (np.datetime64, datetime.date)
_DURATIONS = (np.timedelta64, datetime.timedelta)
_EXACT = (Decimal, Fraction)
_TIME = re.compile(r"\d\d:\d\d(:\d\d)?(?!\d|:)")


def has_own_form(kind: type) -> bool:
    """Whether values of a type are read by `read_as`."""
    return issubclass(kind, (*_DATES, *_DURATIONS, datetime.time, *_EXACT))


def read_as(kind: type, text: str) -> Any:
    """Return the value of some type that a text stands for; `ValueError` if none."""
    try:
        if issubclass(kind, np.datetime64):
            return np.datetime64(text)
        if issubclass(kind, _DURATIONS):
            return _duration(kind, text)
        if issubclass(kind, datetime.time) and not _TIME.match(text):
            # Python takes digits alone for hours, and looks at no fourth number.
            raise ValueError(text)
        if issubclass(kind, datetime.date | datetime.time):
            return kind.fromisoformat(text)
        return _fraction(text) if issubclass(kind, Fraction) else Decimal(text)
    except ArithmeticError as error:
        raise ValueError(text) from error


def _duration(kind: type, text: str) -> datetime.timedelta | np.timedelta64:
    seconds = read_duration(text.removeprefix("-"))
    if text.startswith("-"):
        seconds = -seconds
    is_of_numpy = issubclass(kind, np.timedelta64)
    nano = seconds * 10**9
    if is_of_numpy and nano % 1000 and not nano % 1:
        return np.timedelta64(int(nano), "ns")
    micro = seconds * 10**6
    if micro % 1:
        raise ValueError(text)
    if is_of_numpy:
        return np.timedelta64(int(micro), "us")
    return datetime.timedelta(microseconds=int(micro))


def _fraction(text: str) -> Fraction | float:
    if "/" not in text:
        number = float(text)
        if not number or not math.isfinite(number):
            # To write out the zeros of 1e999999999 would take for ever.
            return number
    return Fraction(text)


def is_time_of_day(text: str) -> bool:
    """Whether a text is a time of day, such as 12:00."""
    try:
        read_as(datetime.time, text)
    except ValueError:
        return False
    return True


def with_own_types(wanted: Iterable[Any], kinds: set[type]) -> list[Any]:
    """Return values, of which some became values of a type that others have.

    Parameters
    ----------
    wanted : iterable
        Texts stand for dates, times and lengths of time where others are such. Where
        all others are of `Decimal`, or of `Fraction`, texts and numbers stand for
        these.
    kinds : set of type
        The types of the others.
    """
    own = [kind for kind in kinds if has_own_form(kind)]
    if len(own) != 1 or (issubclass(own[0], _EXACT) and len(kinds) > 1):
        return list(wanted)
    takes = (str, int, float) if issubclass(own[0], _EXACT) else (str,)
    return [_converted(value, own[0], takes) for value in wanted]


def _converted(value: Any, kind: type, takes: tuple[type, ...]) -> Any:
    try:
        return read_as(kind, str(value)) if type(value) in takes else value
    except ValueError:
        return value
