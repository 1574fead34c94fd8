"""Axes of plots: parameters with their levels, and which level each row has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import visible
from psyrun.pspace.columns import Indices
from psyrun.pspace.moments import moment_of, seconds_of, time_of_day
from psyrun.pspace.showing import short
from psyrun.report.numbers import is_geometric, number_text, texts_of, time_texts
from psyrun.utils.dates import dates_of_seconds, seconds_of_dates, seconds_of_lengths

Kind: TypeAlias = Literal["number", "date", "time", "text"]
_EXACT = Decimal | Fraction
_MOST_EXACT = 2.0**53  # from which on floats leave out whole numbers


@dataclass(frozen=True)
class Levels:
    """The different values of a parameter.

    Attributes
    ----------
    values : ndarray, shape (n_levels,)
        Numbers as float64 and dates ascend, nan at the end. Times of day are dates on
        the day of the epoch. Anything else is text, in the order of the space.
    of_place : ndarray of int64, shape (n_places,)
        The number of the level at each place of the dimension of the space.
    kind : {"number", "date", "time", "text"}
        What the values are.
    is_ascending : bool
        Whether they come in this order in the space, as those of grids do.
    unit : str
        ``s`` if they are lengths of time, else empty.
    """

    values: NDArray[Any]
    of_place: Indices
    kind: Kind
    is_ascending: bool = True
    unit: str = ""

    @classmethod
    def of(cls, values: NDArray[Any]) -> Levels:
        """Return the levels among the values along a dimension."""
        times = _as_times(values)
        numbers = _as_numbers(values) if times is None else times
        if numbers is None:
            return _levels_of_text(values)
        found, of_place = np.unique(numbers, return_inverse=True)
        is_ascending = bool(np.all(np.diff(of_place) >= 0))
        kind: Kind = "number"
        if numbers.dtype.kind == "M":
            kind = "date" if times is None else "time"
        unit = "s" if is_length_of_time(values) else ""
        return cls(found, of_place.astype(np.int64), kind, is_ascending, unit)

    def __len__(self) -> int:
        return len(self.values)


def _as_numbers(values: NDArray[Any]) -> NDArray[Any] | None:
    """Return numbers as floats and dates as they are; None for anything else.

    Lengths of time are in seconds. It is None, too, for numbers that are different, but
    the same as floats.
    """
    kind = values.dtype.kind
    if kind in "iu":
        return _told_apart(values)
    if kind == "f":
        return values.astype(np.float64)
    if is_length_of_time(values):
        return seconds_of_array(values)
    if kind == "M":
        return values
    if kind == "O" and all(map(_is_number, values)):
        try:
            return _told_apart(values)
        except (OverflowError, ValueError):  # too large, or a NaN that signals
            return None
    return _as_dates(values) if kind == "O" else None


def _is_number(value: object) -> bool:
    is_real = isinstance(value, int | float | _EXACT | np.number)
    is_other = isinstance(value, bool | np.timedelta64 | np.complexfloating)
    return is_real and not is_other


def is_length_of_time(values: Any) -> bool:
    """Whether a list or an array has lengths of time, of NumPy or of Python."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind != "O":
            return bool(values.dtype.kind == "m")
        values = values.ravel()
    elif not isinstance(values, list):
        return False
    lengths = timedelta | np.timedelta64
    return len(values) > 0 and all(isinstance(each, lengths) for each in values)


def seconds_of_array(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return lengths of time in seconds, nan for NaT."""
    if values.dtype.kind == "m":
        return seconds_of_lengths(values)
    found = np.array([seconds_of(each) for each in values.ravel()], np.float64)
    return found.reshape(values.shape)


def _as_times(values: NDArray[Any]) -> NDArray[np.datetime64] | None:
    """Return times of day as dates on the day of the epoch; None for anything else."""
    if values.dtype.kind != "O" or not len(values):
        return None
    if not all(isinstance(each, time) for each in values):
        return None
    there = [s for s in map(time_of_day, values) if s is not None]
    return dates_of_seconds(np.array(there)) if len(there) == len(values) else None


def _as_dates(values: NDArray[Any]) -> NDArray[np.datetime64] | None:
    """Return dates of whatever types as those of NumPy; None for anything else.

    Those with a zone of time are in UTC, and None, too, if only some have one.
    """
    if not all(isinstance(each, date | np.datetime64) for each in values):
        return None
    moments: list[Any] = list(map(moment_of, values))
    zones = {each.tzinfo if isinstance(each, datetime) else None for each in moments}
    if len(zones) > 1 or not zones <= {None, UTC}:
        return None
    if zones == {UTC}:
        moments = [np.datetime64(each.replace(tzinfo=None), "us") for each in moments]
    if not all(map(_is_in_microseconds, moments)):
        return None
    return np.array([np.datetime64(each, "us") for each in moments])


def _is_in_microseconds(moment: Any) -> bool:
    # `moment_of` leaves others in their unit: what is finer, and what is too far away.
    return bool(np.isnat(moment)) or moment.dtype == np.dtype("datetime64[us]")


def _told_apart(values: NDArray[Any]) -> NDArray[np.float64] | None:
    numbers = values.astype(np.float64)
    looked_at = np.abs(numbers) >= _MOST_EXACT
    if values.dtype.kind == "O" and any(isinstance(v, _EXACT) for v in values):
        looked_at = ~np.isnan(numbers)
    different = len(set(values[looked_at].tolist()))
    return numbers if len(np.unique(numbers[looked_at])) == different else None


def _levels_of_text(values: NDArray[Any]) -> Levels:
    texts = values.tolist() if values.dtype.kind == "U" else list(map(short, values))
    numbers: dict[str, int] = {}
    of_place = [numbers.setdefault(text, len(numbers)) for text in texts]
    return Levels(
        np.array(list(numbers), dtype=object), np.array(of_place, np.int64), "text"
    )


def plain(text: object) -> str:
    """Return a name or a text of the user's on one line, without control characters."""
    return " ".join(visible(str(text)).split())


@dataclass(frozen=True)
class Axis:
    """A parameter along which a plot shows something.

    Attributes
    ----------
    name : str
        The parameter.
    label : str
        Its name, or what the task file says of it, with the unit.
    kind : {"number", "date", "time", "text"}
        What its levels are.
    values : ndarray, shape (n_levels,)
        The levels.
    codes : ndarray of int64, shape (n,)
        The number of the level of each row; -1 for rows that are left out.
    is_ascending : bool
        Whether levels come in this order in the space.
    n_levels : int
        Number of levels before some were put together or left out.
    groups : sequence of str
        What stands for levels that were put together.
    """

    name: str
    label: str
    kind: Kind
    values: NDArray[Any]
    codes: Indices
    is_ascending: bool = True
    n_levels: int = 0
    groups: Sequence[str] = field(default=())

    @classmethod
    def of(cls, name: str, label: str, levels: Levels, places: Indices) -> Axis:
        """Return the axis of rows that are at some places of a dimension."""
        codes = levels.of_place[places]
        values, ascending = levels.values, levels.is_ascending
        return cls(name, label, levels.kind, values, codes, ascending, len(levels))

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def texts(self) -> list[str]:
        """A short text of each level."""
        if self.groups:
            return list(self.groups)
        if self.kind == "text":
            return [plain(value) for value in self.values]
        return self._moment_texts(self.values)

    def _moment_texts(self, values: NDArray[Any]) -> list[str]:
        return time_texts(values) if self.kind == "time" else texts_of(values)

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """Where the levels are: numbers as they are, dates in seconds, texts counted.

        Times of day are in seconds, too, since midnight.

        It is nan for NaT.
        """
        if self.kind == "text":
            return np.arange(len(self.values), dtype=np.float64)
        if self.is_moment:
            return seconds_of_dates(self.values)
        return np.asarray(self.values, np.float64)

    @property
    def is_moment(self) -> bool:
        """Whether its levels are dates, or times of day."""
        return self.kind in ("date", "time")

    @cached_property
    def is_log(self) -> bool:
        """Whether its levels are spaced by ratios."""
        return self.kind == "number" and is_geometric(self._finite)

    @property
    def _finite(self) -> NDArray[np.float64]:
        positions = self.positions
        return positions[np.isfinite(positions)]

    def finite(self) -> Axis:
        """Return it without levels that have no place on a scale: nan and inf."""
        keep = np.isfinite(self.positions)
        return self if keep.all() else self._with_levels(np.flatnonzero(keep))

    def limited(self, most: int) -> Axis:
        """Return it with at most `most` levels, the first and the last among them."""
        if len(self) <= most:
            return self
        return self._with_levels(
            np.unique(np.rint(np.linspace(0, len(self) - 1, most)).astype(np.int64))
        )

    def first(self, most: int) -> Axis:
        """Return it with its first `most` levels."""
        return self if len(self) <= most else self._with_levels(np.arange(most))

    def _with_levels(self, kept: Indices) -> Axis:
        number = np.full(len(self) + 1, -1, np.int64)  # the last is that of -1
        number[kept] = np.arange(len(kept))
        return replace(self, values=self.values[kept], codes=number[self.codes])

    def coarsened(self, most: int) -> Axis:
        """Return it with at most `most` levels, neighbours put together.

        Numbers and dates come into intervals of one length, or of one ratio; intervals
        in which no level is are there, too.
        """
        if len(self) <= most:
            return self
        if self.kind == "text":
            bins = np.arange(len(self)) * most // len(self)
            centres = self.values[np.searchsorted(bins, np.arange(most))]
        else:
            bins, centres = self._intervals(most)
        codes = np.append(bins, -1)[self.codes]
        groups = self._group_texts(bins, centres)
        return replace(self, values=centres, codes=codes, groups=groups)

    def _group_texts(self, bins: Indices, centres: NDArray[Any]) -> list[str]:
        """Return the first and the last level of each group, or its centre."""
        numbers = np.arange(len(centres))
        begins = np.searchsorted(bins, numbers, "left")
        ends = np.searchsorted(bins, numbers, "right") - 1
        is_empty = ends < begins
        firsts, lasts = (
            self._rough_texts(
                np.where(is_empty, centres, self.values[each % len(self)])
            )
            for each in (begins, ends)
        )
        return [
            first if empty or first == last else f"{first}…{last}"
            for first, last, empty in zip(firsts, lasts, is_empty, strict=True)
        ]

    def _rough_texts(self, values: NDArray[Any]) -> list[str]:
        if self.kind == "number":
            return [number_text(value) for value in values.tolist()]
        if self.is_moment:
            return self._moment_texts(values)
        return list(map(plain, values))

    def _intervals(self, most: int) -> tuple[Indices, NDArray[Any]]:
        scaled = np.log(self.positions) if self.is_log else self.positions
        # Halves, as the range of huge numbers may have no floating-point number.
        low, high = scaled[0] / 2, scaled[-1] / 2
        shares = (scaled / 2 - low) / (high - low)
        bins = np.minimum((shares * most).astype(np.int64), most - 1)
        at = (np.arange(most) + 0.5) / most
        centres = scaled[0] * (1 - at) + scaled[-1] * at
        if self.is_log:
            centres = np.exp(centres)
        if self.is_moment:
            return bins, dates_of_seconds(centres)
        return bins, centres
