"""The parameters of a space as what costs may depend on: numbers, and levels.

Numbers, dates and times included, are axes along which costs change steadily. Anything
else, such as text and truth values, is a level: one of some values without an order.
Parameters that have one value everywhere are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.axes import Dimension, Grid, grid_of, values_of
from psyrun.pspace.columns import Indices
from psyrun.pspace.moments import seconds_of, time_of_day
from psyrun.pspace.space import ParameterSpace
from psyrun.utils.dates import seconds_of_dates, seconds_of_lengths

Floats = NDArray[np.float64]

_MOST_HELD = 2**16  # places of a dimension whose values are held
_N_LOOKED_AT = 2**12  # of the places of a longer one
_MOST_PAIRS = 10_000  # combinations of levels that may have an effect of their own
_WIDE = 1.5  # ratio of the ends of an axis from which on its logarithm matters
_WIDEST = 20.0  # half the length of an axis in logarithms


@dataclass(frozen=True)
class Points:
    """Some points of a space.

    Attributes
    ----------
    numbers : ndarray of float64, shape (n, number axes)
        The values along axes of numbers; nan where there is none.
    codes : ndarray of int64, shape (n, level axes)
        Which level each point has.
    """

    numbers: Floats
    codes: Indices

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Any) -> Points:
        """Return some of the points."""
        return Points(self.numbers[rows], self.codes[rows])

    def within(self, others: Points) -> Points:
        """Return the points nearest to these between the ends that others have."""
        low = np.nanmin(others.numbers, axis=0, initial=np.inf)
        high = np.nanmax(others.numbers, axis=0, initial=-np.inf)
        # An axis of which the others have no number has no ends.
        is_known = low <= high
        low, high = np.where(is_known, low, -np.inf), np.where(is_known, high, np.inf)
        return Points(np.clip(self.numbers, low, high), self.codes)


@dataclass(frozen=True)
class NumberAxis:
    """A parameter that has numbers as values.

    Attributes
    ----------
    low, high : float
        The ends of the axis.
    shift : float or None
        What is added to values before their logarithm is taken. None where the
        logarithm makes no sense, or no difference.
    """

    low: float
    high: float
    shift: float | None

    @classmethod
    def of(cls, values: Floats) -> NumberAxis:
        """Return the axis for values of it, of which some are finite."""
        finite = values[np.isfinite(values)]
        low, high = float(finite.min()), float(finite.max())
        shift = 0.0
        if low <= 0.0:
            positive = finite[finite > 0]
            shift = float(positive.min()) if len(positive) else 0.0
        logs = _logs(np.array([max(low, 0.0), high]), shift)
        is_wide = low >= 0.0 and logs[1] - logs[0] > np.log(_WIDE)
        return cls(low, high, shift if is_wide else None)

    def scaled(self, values: Floats, is_log: bool) -> Floats:
        """Return values so that the axis is from -1 to 1; 0 stands for nan."""
        ends = np.array([self.low, self.high])
        if is_log and self.shift is not None:
            values, ends = _logs(values, self.shift), _logs(ends, self.shift)
        # Neither the sum nor the difference of the ends may be too large a number.
        unit = np.abs(ends).max()
        values, ends = values / unit, ends / unit
        middle, half = ends.mean(), (ends[1] - ends[0]) / 2
        found = (values - middle) / half
        return np.where(np.isnan(found), 0.0, np.clip(found, -2, 2))

    def width(self, is_log: bool) -> float:
        """Return half the length of the axis in logarithms, or 2 if it has none.

        It is that of an axis across 17 powers of ten at most: costs hardly change more
        along those that are even longer.
        """
        if not is_log or self.shift is None:
            return 2.0
        low, high = _logs(np.array([self.low, self.high]), self.shift)
        return float(min(_WIDEST, (high - low) / 2))


def _logs(values: Floats, shift: float) -> Floats:
    """Return logarithms of values after a shift, whose sum may be too large."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.logaddexp(np.log(values), np.log(shift))


@dataclass(frozen=True)
class _Source:
    """Where the values of a parameter are found: places of a dimension."""

    key: str
    dimension: int
    space: ParameterSpace
    held: NDArray[Any] | None

    def values(self, places: Indices) -> NDArray[Any]:
        """Return values at places of the dimension."""
        if self.held is not None:
            return self.held[places]
        return values_of(self.space, self.key, places)


@dataclass(frozen=True)
class _Levels:
    """The values of a parameter that has levels; others share the last code."""

    source: _Source
    known: Mapping[Any, int]

    def codes(self, places: Indices) -> Indices:
        if self._held is not None:
            return self._held[places]
        return self._coded(self.source.values(places))

    @cached_property
    def _held(self) -> Indices | None:
        return None if self.source.held is None else self._coded(self.source.held)

    def _coded(self, values: NDArray[Any]) -> Indices:
        names, last = _names(values), len(self.known)
        return np.fromiter((self.known.get(n, last) for n in names), np.int64)

    @property
    def size(self) -> int:
        return len(self.known) + 1


@dataclass(frozen=True)
class _Numbers:
    """The values of a parameter that has numbers as values."""

    source: _Source
    axis: NumberAxis

    def values(self, places: Indices) -> Floats:
        return _as_floats(self.source.values(places))


class Columns:
    """The parameters of a space as axes of numbers and of levels.

    Parameters
    ----------
    space : ParameterSpace
        Any space; those of its points that are asked for are computed.

    Attributes
    ----------
    number_keys, level_keys : list of str
        The parameters that are axes of either kind. One of numbers of which some
        points have none is both.
    axes : list of NumberAxis
        Those of numbers.
    n_levels : list of int
        How many levels there are, and one more for all others.
    """

    def __init__(self, space: ParameterSpace) -> None:
        self.space = space
        self._grid: Grid = grid_of(space)
        self._numbers: list[_Numbers] = []
        self._levels: list[_Levels] = []
        for number, dimension in enumerate(self._grid.dimensions):
            looked_at = _some_places(dimension.size)
            for key in dimension.keys:
                self._add(number, dimension, key, looked_at)
        self.number_keys = [each.source.key for each in self._numbers]
        self.level_keys = [each.source.key for each in self._levels]
        self.axes = [each.axis for each in self._numbers]
        self.n_levels = [each.size for each in self._levels]

    def _add(self, n: int, dimension: Dimension, key: str, looked_at: Indices) -> None:
        values = values_of(dimension.space, key, looked_at)
        is_all = len(looked_at) == dimension.size
        source = _Source(key, n, dimension.space, values if is_all else None)
        numbers = _numbers_or_none(values)
        if numbers is None:
            known = {name: i for i, name in enumerate(dict.fromkeys(_names(values)))}
            # Values that are hardly ever the same twice say nothing of one another.
            if 1 < len(known) <= len(values) / 2 or (is_all and len(known) > 1):
                self._levels.append(_Levels(source, known))
            return
        finite = np.isfinite(numbers)
        if finite.any() and numbers[finite].min() < numbers[finite].max():
            self._numbers.append(_Numbers(source, NumberAxis.of(numbers)))
        if finite.any() and not finite.all():
            known = {True: 0, False: 1}
            missing = _Source(key, n, dimension.space, ~finite if is_all else None)
            self._levels.append(_Missing(missing, known))

    @property
    def level_pairs(self) -> list[tuple[int, int]]:
        """Pairs of level axes that have few combinations, of different dimensions."""
        sizes = self.n_levels
        return [
            (i, j)
            for i in range(len(sizes))
            for j in range(i)
            if sizes[i] * sizes[j] <= _MOST_PAIRS
            and self._levels[i].source.dimension != self._levels[j].source.dimension
        ]

    def points(self, rows: Indices) -> Points:
        """Return the points at some rows of the space.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Indices of points, none of them negative.
        """
        places = self._places(rows)
        numbers = np.empty((len(rows), len(self._numbers)))
        for i, each in enumerate(self._numbers):
            numbers[:, i] = each.values(places[each.source.dimension])
        codes = np.empty((len(rows), len(self._levels)), np.int64)
        for i, level in enumerate(self._levels):
            codes[:, i] = level.codes(places[level.source.dimension])
        return Points(numbers, codes)

    def _places(self, rows: Indices) -> list[Indices]:
        """Return where rows are along each dimension."""
        shape = self._grid.shape
        if len(shape) <= 1:
            return [self._grid.places(rows)] * len(shape)
        rest, found = self._grid.places(rows), []
        for size in shape[::-1]:
            above = rest // size
            found.append(rest - above * size)
            rest = above
        return found[::-1]


class _Missing(_Levels):
    """Whether points have a number."""

    def _coded(self, values: NDArray[Any]) -> Indices:
        if values.dtype == bool:
            return values.astype(np.int64)
        return (~np.isfinite(_as_floats(values))).astype(np.int64)


def _some_places(size: int) -> Indices:
    if size <= _MOST_HELD:
        return np.arange(size)
    spread = np.linspace(0, size - 1, _N_LOOKED_AT).astype(np.int64)
    # A regular step would miss what repeats with it.
    moved = np.random.default_rng(size).integers(0, size // _N_LOOKED_AT, len(spread))
    return np.unique(np.append(spread, np.minimum(spread + moved, size - 1)))


def _numbers_or_none(values: NDArray[Any]) -> Floats | None:
    if values.dtype.kind in "iufmM":
        return _as_floats(values)
    if values.dtype != object:
        return None
    # Those of a sum are mixed where points lack the parameter.
    kinds = {type(value) for value in values.tolist()} - {bool, np.bool_}
    has_bool = any(isinstance(value, bool | np.bool_) for value in values.tolist())
    if has_bool or not kinds or not all(issubclass(k, _REAL) for k in kinds):
        return None
    return _as_floats(values)


_EPOCH = dt.date(1970, 1, 1).toordinal()
_MOMENTS = (dt.date, dt.time, dt.timedelta, np.timedelta64)
_REAL = (int, float, np.integer, np.floating, Decimal, Fraction, *_MOMENTS)


def _as_floats(values: NDArray[Any]) -> Floats:
    if values.dtype.kind == "M":
        return seconds_of_dates(values)
    if values.dtype.kind == "m":
        return seconds_of_lengths(values)
    if values.dtype == object:
        return np.array([_as_float(value) for value in values.tolist()], np.float64)
    with np.errstate(over="ignore"):
        # What is too large becomes infinite.
        return values.astype(np.float64)


def _as_float(value: Any) -> float:
    if isinstance(value, dt.datetime):
        # Without a zone it would be read in that of the machine, and may be too early.
        return value.replace(tzinfo=value.tzinfo or dt.UTC).timestamp()
    if isinstance(value, dt.date):
        return 86400.0 * (value.toordinal() - _EPOCH)
    if isinstance(value, dt.time):
        seconds = time_of_day(value)
        return float("nan") if seconds is None else seconds
    if isinstance(value, dt.timedelta | np.timedelta64):
        return seconds_of(value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _names(values: NDArray[Any]) -> Iterable[Any]:
    """Return what tells levels apart: the values, or their text."""
    listed: list[Any] = values.tolist()
    kinds = set(map(type, listed))
    if kinds <= {str, bool}:
        return listed
    return [_name(value) for value in listed]


def _name(value: Any) -> Any:
    if isinstance(value, str | bool | bytes):
        return value
    return repr(value)  # nan is equal to nan then, and lists have a hash
