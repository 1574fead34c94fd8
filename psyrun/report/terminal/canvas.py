"""Dots in the terminal: eight of them in each character, or one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.report.terminal.style import SERIES, Colour, Style

# The bit of each dot of a character of braille, by line and column.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800


class Canvas:
    """Dots of several series, and characters in front of them.

    Parameters
    ----------
    n_columns, n_lines : int
        Its size in characters.
    n_series : int
        How many series there are.
    style : Style
        The terminal.
    """

    def __init__(
        self, n_columns: int, n_lines: int, n_series: int, style: Style
    ) -> None:
        self._style = style
        self.per_line, self.per_column = (4, 2) if style.is_unicode else (1, 1)
        self.n_columns, self.n_lines = n_columns, n_lines
        self.shape = (n_lines * self.per_line, n_columns * self.per_column)
        self._dots = np.zeros((n_series, *self.shape), bool)
        self._bands = np.zeros_like(self._dots)
        self._marks: dict[tuple[int, int], list[int]] = {}

    def at(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[Indices, Indices]:
        """Return the dots at some places, which are from 0 to 1 from left and below."""
        height, width = self.shape
        columns = np.rint(x * (width - 1)).astype(np.int64)
        lines = np.rint((1 - y) * (height - 1)).astype(np.int64)
        return np.clip(columns, 0, width - 1), np.clip(lines, 0, height - 1)

    def points(
        self, series: int, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> None:
        """Draw a dot at each place."""
        columns, lines = self.at(x, y)
        self._dots[series, lines, columns] = True

    def line(self, series: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Draw a line through places of ascending x; it is interrupted by nan."""
        there = np.isfinite(y)
        columns, lines = self.at(x, np.where(there, y, 0.0))
        self._dots[series, lines[there], columns[there]] = True
        joined = there[:-1] & there[1:]
        steps = (columns[:-1], lines[:-1], columns[1:], lines[1:])
        segments = np.stack(steps, axis=1)[joined]
        is_upright = segments[:, 0] == segments[:, 2]
        self._uprights(series, segments[is_upright])
        self._slopes(series, segments[~is_upright])

    def _uprights(self, series: int, segments: Indices) -> None:
        """Draw lines within a column, of which there may be many."""
        height, width = self.shape
        tops, bottoms = (how(segments[:, 1::2], axis=1) for how in (np.min, np.max))
        change = np.zeros((height + 1, width), np.int64)
        np.add.at(change, (tops, segments[:, 0]), 1)
        np.add.at(change, (bottoms + 1, segments[:, 0]), -1)
        self._dots[series] |= np.cumsum(change, axis=0)[:-1] > 0

    def _slopes(self, series: int, segments: Indices) -> None:
        for x0, y0, x1, y1 in segments.tolist():
            n = max(x1 - x0, abs(y1 - y0), 1)
            along = np.arange(n + 1) / n
            across = np.rint(x0 + (x1 - x0) * along).astype(np.int64)
            down = np.rint(y0 + (y1 - y0) * along).astype(np.int64)
            self._dots[series, down, across] = True

    def band(
        self,
        series: int,
        x: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
    ) -> None:
        """Draw every fourth dot between two lines over ascending x."""
        there = np.isfinite(low) & np.isfinite(high)
        if not there.any():
            return
        height, width = self.shape
        columns = np.arange(width)
        at = x[there] * (width - 1)
        inside = columns[(columns >= at[0] - 0.5) & (columns <= at[-1] + 0.5)]
        bottoms = np.interp(inside, at, low[there])
        tops = np.interp(inside, at, high[there])
        lines = np.arange(height)[:, None]
        up = 1 - lines / (height - 1)
        is_inside = (up >= bottoms) & (up <= tops) & ((lines + 2 * inside) % 4 == 0)
        self._bands[series][:, inside] |= is_inside

    def mark(self, series: int, x: float, y: float) -> None:
        """Put the sign of a series in front of the dots."""
        columns, lines = self.at(np.array([x]), np.array([y]))
        cell = (int(lines[0]) // self.per_line, int(columns[0]) // self.per_column)
        owners = self._marks.setdefault(cell, [])
        if series not in owners:
            owners.append(series)

    def lines(self) -> list[str]:
        """Return the lines of characters."""
        lines, bands = _Layer.of(self._dots, self), _Layer.of(self._bands, self)
        marks = self._chosen_marks()
        found = []
        for line in range(self.n_lines):
            cells = (
                self._cell((line, column), (lines, bands), marks)
                for column in range(self.n_columns)
            )
            groups = groupby(cells, key=lambda cell: cell[1])
            found.append(
                "".join(
                    self._style.painted("".join(text for text, _ in group), colour)
                    for colour, group in groups
                )
            )
        return found

    def _cell(
        self,
        place: tuple[int, int],
        layers: tuple[_Layer, ...],
        marks: dict[tuple[int, int], int],
    ) -> tuple[str, Colour | None]:
        """Return a character and its colour; what is in front hides the rest."""
        series = marks.get(place)
        if series is not None:
            return self._style.markers[series], SERIES[series]
        for layer in layers:
            if code := int(layer.codes[place]):
                text = chr(_BRAILLE + code) if self._style.is_unicode else layer.plain
                return text, SERIES[layer.owner(place)]
        return " ", None

    def _chosen_marks(self) -> dict[tuple[int, int], int]:
        """Return the series of each sign; where several meet, the one with fewest."""
        n_shown = [0] * len(self._dots)
        found = {}
        for cell, owners in sorted(self._marks.items(), key=lambda each: len(each[1])):
            found[cell] = min(owners, key=lambda series: n_shown[series])
            n_shown[found[cell]] += 1
        return found


@dataclass(frozen=True)
class _Layer:
    """Dots that are behind others, or in front of them.

    `codes` has the dots of each character as a number, and `has_dot` which series
    have dots in it.
    """

    codes: Indices
    has_dot: NDArray[np.bool_]
    plain: str

    @classmethod
    def of(cls, dots: NDArray[np.bool_], canvas: Canvas) -> _Layer:
        shape = (canvas.n_lines, canvas.per_line, canvas.n_columns, canvas.per_column)
        parts = dots.reshape(len(dots), *shape)
        bits = _BITS[: canvas.per_line, : canvas.per_column]
        together = np.asarray(parts.any(axis=0))
        codes = (together * bits[None, :, None, :]).sum(axis=(1, 3))
        plain = ":" if dots is canvas._bands else "."
        return cls(codes, np.asarray(parts.any(axis=(2, 4))), plain)

    def owner(self, place: tuple[int, int]) -> int:
        """Return the series of a character; where several meet, they take turns."""
        owners = np.flatnonzero(self.has_dot[:, *place])
        return int(owners[sum(place) % len(owners)])
