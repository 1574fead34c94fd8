"""The axes of plots in the terminal: positions, ticks and their texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from psyrun.report.axis import Axis
from psyrun.report.numbers import (
    number_text,
    tick_texts,
    ticks_around,
    ticks_between,
)
from psyrun.report.terminal.style import Style

_FEW = 12  # levels that may each have a tick
_END_DIGITS = 5
_GAP = 2  # columns between texts
_MOST_DATES = 5
_LONGEST_TICK = 20


@dataclass(frozen=True)
class Tick:
    """A text at a place of an axis; `at` is from 0 to 1."""

    at: float
    text: str


class ValueScale:
    """The vertical axis: round numbers that enclose some values."""

    def __init__(self, low: float, high: float, n_lines: int) -> None:
        ticks = ticks_around(low, high, max(1, n_lines // 4))
        self.low, self.high = ticks[0], ticks[-1]
        self._ticks, self._texts = ticks, tick_texts(ticks)

    def shares(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far up values are, from 0 to 1."""
        # Halves, as the range of huge numbers may have no floating-point number.
        span = self.high / 2 - self.low / 2
        return np.asarray((values / 2 - self.low / 2) / span, np.float64)

    def texts(self, n_lines: int) -> dict[int, str]:
        """Return the text of each line that has a tick, counted from the top."""
        shares = self.shares(np.array(self._ticks))
        lines = [round((1 - share) * (n_lines - 1)) for share in shares.tolist()]
        return dict(zip(lines, self._texts, strict=True))


class LevelScale:
    """The horizontal axis: the levels of a parameter, the ends at the ends."""

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self._low, self._high = self._scaled(axis.positions[[0, -1]]).tolist()

    def _scaled(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(positions) if self._axis.is_log else positions

    def shares(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far to the right positions are, from 0 to 1."""
        span = self._high / 2 - self._low / 2
        if not span > 0:
            return np.full(len(positions), 0.5)
        return np.asarray((self._scaled(positions) / 2 - self._low / 2) / span)

    def ticks(self, n_columns: int) -> list[Tick]:
        """Return ticks, those that matter most first."""
        axis = self._axis
        if len(axis) <= _FEW or axis.kind != "number":
            return self._at_levels()
        # Those of numbers at random have many digits.
        first = [
            Tick(at, number_text(end, _END_DIGITS))
            for at, end in zip((0.0, 1.0), axis.positions[[0, -1]], strict=True)
        ]
        ticks = self._round_numbers(n_columns)
        inner_shares = self.shares(np.array(ticks, np.float64)).tolist()
        names = (
            [number_text(tick) for tick in ticks] if axis.is_log else tick_texts(ticks)
        )
        return first + [Tick(*pair) for pair in zip(inner_shares, names, strict=True)]

    def _at_levels(self) -> list[Tick]:
        texts, n = self._axis.texts, len(self._axis)
        shares = self.shares(self._axis.positions).tolist()
        ends = [0, n - 1] if n > 1 else [0]
        step = 1 if n <= _FEW else -(-n // _MOST_DATES)
        places = [*ends, *range(step, n - 1, step)]
        return [Tick(shares[place], texts[place]) for place in places]

    def _round_numbers(self, n_columns: int) -> list[float]:
        low, high = self._axis.positions[[0, -1]].tolist()
        if not self._axis.is_log:
            return ticks_between(low, high, max(2, n_columns // 12))
        powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
        return [10.0**power for power in powers]


def tick_line(
    ticks: Sequence[Tick], left: int, n_columns: int, style: Style
) -> tuple[list[int], str]:
    """Return the columns of the ticks that have room, and the line of their texts.

    Parameters
    ----------
    ticks : sequence of Tick
        The ticks, those that matter most first.
    left : int
        Columns before the plot, into which texts may reach.
    n_columns : int
        Columns of the plot.
    style : Style
        The terminal.
    """
    taken: list[tuple[int, int, str]] = []
    columns = []
    for tick in ticks:
        column = round(tick.at * (n_columns - 1))
        text = style.fitted(tick.text, min(_LONGEST_TICK, n_columns // 2 - 1))
        size = cell_len(text)
        begin = min(max(0, left + column - size // 2), left + n_columns - size)
        is_free = all(
            begin >= end + _GAP or begin + size + _GAP <= start
            for start, end, _ in taken
        )
        if is_free:
            taken.append((begin, begin + size, text))
            columns.append(column)
    line, used = "", 0
    for begin, end, text in sorted(taken):
        line += " " * (begin - used) + text
        used = end
    return columns, line
