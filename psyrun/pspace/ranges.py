"""What a parameter of a design may be: a range of numbers, or some values.

Each turns numbers from 0 to 1 into its values, as the inverse of its cumulative
distribution does. What is not computed exactly is rounded to 12 significant digits, so
that the values are the same on each machine.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index as as_index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, as_column
from psyrun.utils.typing import override

Unit = NDArray[np.float64]

_LEAST, _MOST = 2.0**-54, 1 - 2.0**-53  # what has a finite quantile


class Range(ABC):
    """A range of values that numbers from 0 to 1 stand for."""

    @abstractmethod
    def values(self, unit: Unit) -> Sequence[Any]:
        """Return the values for some numbers from 0 to 1, without 1."""

    @abstractmethod
    def levels(self, n: int) -> Sequence[Any]:
        """Return values for an axis of a grid, `n` of them if there are as many."""


@dataclass(frozen=True)
class Interval(Range):
    """Real numbers between two ends, which rounding does not leave."""

    low: float
    high: float

    @override
    def values(self, unit: Unit) -> list[float]:
        return [min(max(each, self.low), self.high) for each in self._numbers(unit)]

    @abstractmethod
    def _numbers(self, unit: Unit) -> list[float]:
        """Return the numbers, of which some may be outside by rounding."""

    @override
    def levels(self, n: int) -> list[float]:
        found = self.values(_ends(n))
        return [self.low, *found[1:-1], self.high] if len(found) > 1 else found

    def __repr__(self) -> str:
        return f"{type(self).__name__.lower()}({self.low!r}, {self.high!r})"


class Uniform(Interval):
    """Real numbers, evenly distributed."""

    @override
    def _numbers(self, unit: Unit) -> list[float]:
        found: list[float] = (self.low + unit * (self.high - self.low)).tolist()
        return found


class Log(Interval):
    """Positive numbers, whose logarithms are evenly distributed."""

    @override
    def _numbers(self, unit: Unit) -> list[float]:
        low, high = math.log(self.low), math.log(self.high)
        exponents = (low + unit * (high - low)).tolist()
        return [_rounded(math.exp(each)) for each in exponents]


@dataclass(frozen=True)
class Integers(Range):
    """Whole numbers, each equally likely; both ends are among them."""

    low: int
    high: int

    @override
    def values(self, unit: Unit) -> list[int]:
        span = self.high - self.low
        # What was moved, as by Lloyd's algorithm, may be at the end.
        steps = np.minimum(np.floor(unit * (span + 1)).astype(np.int64), span)
        return [self.low + step for step in steps.tolist()]

    @override
    def levels(self, n: int) -> list[int]:
        if n > self.high - self.low:
            return list(range(self.low, self.high + 1))
        return [self.low + round(each * (self.high - self.low)) for each in _ends(n)]

    def __repr__(self) -> str:
        return f"integers({self.low}, {self.high})"


@dataclass(frozen=True)
class Normal(Range):
    """Real numbers of a normal distribution."""

    mean: float
    std: float

    @override
    def values(self, unit: Unit) -> list[float]:
        # It takes long to import.
        from statistics import NormalDist

        distribution = NormalDist(self.mean, self.std)
        inner = np.clip(unit, _LEAST, _MOST).tolist()
        return [_rounded(distribution.inv_cdf(each)) for each in inner]

    @override
    def levels(self, n: int) -> list[float]:
        return self.values((np.arange(n) + 0.5) / n)

    def __repr__(self) -> str:
        return f"normal({self.mean!r}, {self.std!r})"


class Choices(Range):
    """Some values, each equally likely."""

    def __init__(self, column: Column) -> None:
        self.column = column

    @override
    def values(self, unit: Unit) -> list[Any]:
        n = self.column.n_places
        rows = np.minimum(np.floor(unit * n).astype(np.int64), n - 1)
        return list(self.column.take(rows))

    @override
    def levels(self, n: int) -> list[Any]:
        return list(self.column.take(np.arange(self.column.n_places)))

    def __repr__(self) -> str:
        return repr(self.column)


def uniform(low: float, high: float) -> Range:
    """Return a range of real numbers, evenly distributed.

    A number u from 0 to 1 stands for ``low + u * (high - low)``.

    Parameters
    ----------
    low, high : float
        The ends, which a `Grid` has exactly. No value is outside; others reach `high`
        by rounding only.

    Raises
    ------
    PsyrunError
        If `low` is not below `high`, or one of them is no finite number.
    """
    low, high = _checked("uniform", low, high)
    if not math.isfinite(high - low):
        raise PsyrunError(f"uniform({low!r}, {high!r}): is too wide; use other units.")
    return Uniform(low, high)


def log(low: float, high: float) -> Range:
    """Return a range of positive numbers, whose logarithms are evenly distributed.

    A number u from 0 to 1 stands for ``low * (high / low) ** u``, rounded to 12
    significant digits, but not beyond the ends.

    Parameters
    ----------
    low, high : float
        The ends, above 0, which a `Grid` has exactly.

    Raises
    ------
    PsyrunError
        If `low` is not above 0 or not below `high`, or one is no finite number.
    """
    low, high = _checked("log", low, high)
    if low <= 0:
        raise PsyrunError(
            f"log({low!r}, {high!r}): begins at {low!r}, which has no logarithm; give "
            "a number above 0, for example 1e-6, or use uniform."
        )
    return Log(low, high)


def integers(low: int, high: int) -> Range:
    """Return a range of whole numbers, each equally likely.

    A number u from 0 to 1 stands for ``low + floor(u * (high - low + 1))``.

    Parameters
    ----------
    low, high : int
        The first and the last one.

    Raises
    ------
    PsyrunError
        If `low` is above `high`, they are no whole numbers, or too far apart.
    """
    try:
        low, high = as_index(low), as_index(high)
    except TypeError:
        raise PsyrunError(
            f"integers({low!r}, {high!r}): the ends are no whole numbers; use uniform "
            "for others."
        ) from None
    if low > high:
        raise PsyrunError(
            f"integers({low}, {high}): is empty; give the smaller number first."
        )
    if high - low >= 2**53:
        raise PsyrunError(
            f"integers({low}, {high}): has more than 2**53 numbers; give a "
            "smaller range, and compute others with derive."
        )
    return Integers(low, high)


def normal(mean: float, std: float) -> Range:
    """Return a range of real numbers of a normal distribution.

    A number u from 0 to 1 stands for the quantile of u, rounded to 12 significant
    digits. It is at most 8.3 standard deviations from the mean.

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation.

    Raises
    ------
    PsyrunError
        If `std` is not above 0, or one of them is no finite number.
    """
    mean, std = _numbers("normal", mean, std)
    if std <= 0:
        raise PsyrunError(
            f"normal({mean!r}, {std!r}): the standard deviation is not above 0; give "
            "one that is."
        )
    return Normal(mean, std)


def as_range(title: str, key: str, value: Any) -> Range | Column:
    """Return what the user gave for a parameter of a design.

    A column stands for a single value. Raises `PsyrunError` if there are no values.
    """
    if isinstance(value, Range):
        return value
    column, size = as_column(key, value)
    if size == 0:
        raise PsyrunError(
            f"{title}: {key!r} has no values; give some, or a range such as "
            "uniform(0, 1)."
        )
    return column if size is None else Choices(column)


def _checked(name: str, low: float, high: float) -> tuple[float, float]:
    low, high = _numbers(name, low, high)
    if not low < high:
        kind = "is empty" if low == high else "is reversed"
        raise PsyrunError(
            f"{name}({low!r}, {high!r}): {kind}; give the smaller number first."
        )
    return low, high


def _numbers(name: str, *numbers: float) -> tuple[float, float]:
    try:
        first, second = (float(number) for number in numbers)
    except (TypeError, ValueError):
        first = second = math.nan
    if not (math.isfinite(first) and math.isfinite(second)):
        shown = ", ".join(map(repr, numbers))
        raise PsyrunError(f"{name}({shown}): give two finite numbers.")
    return first, second


def _ends(n: int) -> Unit:
    """Return numbers from 0 to 1, evenly spaced; the middle if it is one."""
    return np.linspace(0, 1, n) if n > 1 else np.array([0.5])


def _rounded(number: float) -> float:
    return float(f"{number:.12g}")
