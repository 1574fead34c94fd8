"""Numbers and dates as plots show them, and where ticks stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DIGITS = (3, 4, 5, 6, 8, 10, 12, 17)  # significant ones, few first
_EXACT_DIGITS = 6  # that numbers may have if they need no more
_SMALLEST = 1e-300  # step; below, numbers lose their digits
_NARROWEST = 1e-9  # range, relative to its numbers
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_UNITS = ("Y", "M", "D", "h", "m", "s", "ms", "us", "ns")  # of dates, coarse first
_NAT = "NaT"
_FEWEST_DRAWN = 10  # numbers that tell how they are spread
_UNEVEN = 0.3  # part of the range; even numbers drawn at random are rarely so far off


def number_text(value: float, digits: int = 4) -> str:
    """Return a number with a few significant digits, such as ``0.25`` or ``1e-05``."""
    text = f"{value:.{digits}g}"
    if "e" in text and 1 <= abs(value) < 1e6:
        text = f"{value:.0f}"
    return "0" if text == "-0" else text


def texts_of(values: NDArray[Any]) -> list[str]:
    """Return texts of some numbers or dates, with as many digits as tell them apart.

    Equal values have equal texts.
    """
    if values.dtype.kind == "M":
        return _date_texts(values)
    n_different = len(np.unique(values))
    exact = [number_text(value, _EXACT_DIGITS) for value in values.tolist()]
    if all(float(text) == value for text, value in zip(exact, values, strict=True)):
        return exact
    for digits in _DIGITS:
        texts = [number_text(value, digits) for value in values.tolist()]
        if len(set(texts)) == n_different:
            break
    return texts


def _date_texts(values: NDArray[Any]) -> list[str]:
    n_different = len(np.unique(values))
    for unit in _UNITS[2:]:
        texts: list[str] = np.datetime_as_string(values, unit=unit).tolist()  # type: ignore[call-overload]
        if len(set(texts)) == n_different:
            break
    return [text if text == _NAT else text.replace("T", " ") for text in texts]


def time_texts(values: NDArray[Any]) -> list[str]:
    """Return texts of times of day, given as dates on the day of the epoch.

    They have as many digits as tell them apart, minutes at least.
    """
    n_different = len(np.unique(values))
    for unit in _UNITS[_UNITS.index("m") :]:
        dates = np.datetime_as_string(values, unit=unit).tolist()  # type: ignore[call-overload]
        if len(set(dates)) == n_different:
            break
    return [text.rpartition("T")[2] for text in dates]


def nice_step(span: float, most: int) -> float:
    """Return a step of 1, 2, 2.5 or 5 times a power of ten.

    A range of the length `span` has at most `most` of them.
    """
    rough = span / max(1, most)
    if rough < _SMALLEST:
        return span
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))


def ticks_between(low: float, high: float, most: int) -> list[float]:
    """Return up to `most` + 1 round numbers from `low` to `high`, ascending."""
    if not high > low:
        return [low]
    if not math.isfinite(high - low):
        return [0.0]
    step = nice_step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def ticks_around(low: float, high: float, most: int) -> list[float]:
    """Return round numbers of which the first and the last enclose a range.

    Rounding may leave a billionth of it outside.
    """
    if not high > low:
        pad = abs(low) / 2 or 1.0
        low, high = low - pad, high + pad
    span = high - low
    if not math.isfinite(span):
        return [low, 0.0, high]
    narrowest = _NARROWEST * max(abs(low), abs(high))
    if span < narrowest:
        # Between its ends floats could not tell ticks apart.
        low, high = low - narrowest / 2, low + narrowest / 2
        span = high - low
    step = nice_step(span, most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Return texts of ticks, all with as few decimals as show their steps."""
    if len(ticks) < 2:
        return [number_text(tick, 6) for tick in ticks]
    step, largest = ticks[1] - ticks[0], max(abs(ticks[0]), abs(ticks[-1]))
    is_plain = 1e-3 <= largest < 1e6
    for digits in range(18):
        if is_plain:
            texts = [f"{tick:.{digits}f}" for tick in ticks]
        else:
            texts = [number_text(tick, max(1, digits)) for tick in ticks]
        off = (abs(float(text) - tick) for text, tick in zip(texts, ticks, strict=True))
        if max(off) <= step / 100:
            break
    return texts


def is_geometric(values: NDArray[np.float64]) -> bool:
    """Whether ascending numbers are spaced by ratios rather than by differences.

    So are ``1, 10, 100``, ``1, 2, 5, 10`` and what `numpy.logspace` returns; and of at
    least ten numbers those whose logarithms are spread far more evenly than they are,
    such as those that are drawn for `psyrun.pspace.log`.
    """
    if len(values) < 3 or values[0] <= 0 or values[-1] < 4 * values[0]:
        return False
    logs = np.log(values)
    steps, ratios = np.diff(values), np.diff(logs)
    is_regular = bool(
        ratios.max() <= 2.6 * ratios.min()
        and steps.max() / steps.min() > 1.5 * ratios.max() / ratios.min()
    )
    if is_regular or len(values) < _FEWEST_DRAWN or values[-1] / 10 < values[0]:
        return is_regular
    uneven = _unevenness(values)
    return uneven > _UNEVEN and _unevenness(logs) < uneven / 2


def _unevenness(ascending: NDArray[np.float64]) -> float:
    """Return how far numbers are from evenly spaced ones, as a part of their range."""
    places = (ascending - ascending[0]) / (ascending[-1] - ascending[0])
    return float(np.abs(places - np.linspace(0, 1, len(places))).max())
