"""Heat maps in the terminal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from psyrun.report.axis import Axis
from psyrun.report.numbers import number_text
from psyrun.report.picture import Picture
from psyrun.report.terminal.scale import Tick, tick_line
from psyrun.report.terminal.style import Colour, Style, contrasting, shade_colour

_SHADES, _ASCII_SHADES = "░▒▓█", ".:-=+*#%@"
_WIDEST_CELL = 11
_MOST_TALL = 16  # lines of cells that are as high as a line
_WIDEST_LABEL = 14
_DIGITS = 3
_N_SCALE = 24  # columns of the scale of colours


def heat(picture: Picture, style: Style) -> list[str]:
    """Return a cell for each pair of levels, coloured or shaded by its value."""
    assert picture.x is not None
    assert picture.y is not None
    grid = _Grid(picture, picture.x, picture.y, style)
    return [*grid.lines(), *grid.scale()]


@dataclass
class _Grid:
    """A heat map; the lines of numbers go up, those of texts down."""

    picture: Picture
    x: Axis
    y: Axis
    style: Style

    def __post_init__(self) -> None:
        values = self.picture.cells.values.T
        self._numbers = list(range(len(self.y)))
        if self.y.kind != "text":
            self._numbers.reverse()
        self._values: NDArray[np.float64] = values[self._numbers]
        there = values[np.isfinite(values)]
        self._low, self._high = float(there.min()), float(there.max())
        texts = self.style.told_apart(self.y.texts, _WIDEST_LABEL)
        self._texts = [texts[number] for number in self._numbers]
        self._left = max(map(cell_len, texts)) + 2
        room = (self.style.width - self._left) // len(self.x)
        self._cell = max(1, min(_WIDEST_CELL, room))
        self._has_numbers = self._fit(there)
        self._is_halved = self.style.has_half_blocks and len(self.y) > _MOST_TALL

    def _fit(self, values: NDArray[np.float64]) -> bool:
        """Whether cells have room for their numbers."""
        if self._cell < len("░0 "):
            return False
        size = max(len(number_text(value, _DIGITS)) for value in values.tolist())
        # A blank is between them, and without colours a shade.
        return size + (1 if self.style.has_colours else 2) <= self._cell

    def lines(self) -> list[str]:
        """Return the cells with the axes."""
        style, n_columns = self.style, self._cell * len(self.x)
        step = 2 if self._is_halved else 1
        side, corner, flat, down = "│└─┬" if style.is_unicode else "|`-+"
        lines = [style.fitted(self.y.label, style.width)]
        for number in range(0, len(self.y), step):
            text = style.right(self._texts[number], self._left - 2)
            lines.append(f"{text} {side}{self._line(number)}")
        ticks = self._ticks()
        columns, below = tick_line(ticks, self._left, n_columns, style)
        axis = "".join(down if i in columns else flat for i in range(n_columns))
        name = style.fitted(self.x.label, style.width - self._left)
        indent = max(0, self._left + (n_columns - cell_len(name)) // 2)
        return [
            *lines, " " * (self._left - 1) + corner + axis, below, " " * indent + name
        ]  # fmt: skip

    def _ticks(self) -> list[Tick]:
        n_columns = self._cell * len(self.x)
        centres = [
            (place * self._cell + (self._cell - 1) / 2) / max(1, n_columns - 1)
            for place in range(len(self.x))
        ]
        ticks = [Tick(*pair) for pair in zip(centres, self.x.texts, strict=True)]
        # The ends matter most.
        return [ticks[0], *ticks[:0:-1][:1], *ticks[1:-1]]

    def _line(self, number: int) -> str:
        if self._is_halved:
            below = number + 1
            return "".join(
                self._halves(
                    self._values[number, place],
                    self._values[below, place] if below < len(self.y) else np.nan,
                )
                for place in range(len(self.x))
            )
        return "".join(self._whole(float(value)) for value in self._values[number])

    def _share(self, value: float) -> float:
        span = self._high / 2 - self._low / 2
        return (value / 2 - self._low / 2) / span if span > 0 else 0.5

    def _colour(self, value: float) -> Colour | None:
        return None if np.isnan(value) else shade_colour(self._share(value))

    def _halves(self, upper: float, lower: float) -> str:
        top, bottom = self._colour(upper), self._colour(lower)
        if top is None:
            text = " " if bottom is None else "▄"
            return self.style.painted(text * self._cell, bottom)
        return self.style.painted("▀" * self._cell, top, bottom)

    def _whole(self, value: float) -> str:
        if np.isnan(value):
            return " " * self._cell
        number = number_text(value, _DIGITS) if self._has_numbers else ""
        colour = self._colour(value)
        if self.style.has_colours and colour is not None:
            text = number.center(self._cell)
            return self.style.painted(text, contrasting(colour), colour)
        shade = self._shade(value)
        if not number:
            return shade * self._cell
        return f"{shade}{number}".ljust(self._cell)

    @property
    def _shades(self) -> str:
        return _SHADES if self.style.is_unicode else _ASCII_SHADES

    def _shade(self, value: float) -> str:
        n = len(self._shades)
        return self._shades[min(n - 1, int(self._share(value) * n))]

    def scale(self) -> list[str]:
        """Return what the colours or shades stand for."""
        style = self.style
        low, high = number_text(self._low), number_text(self._high)
        if style.has_colours:
            colours = [shade_colour(i / (_N_SCALE - 1)) for i in range(_N_SCALE)]
            bar = "".join(style.painted(" ", None, colour) for colour in colours)
            label = style.fitted(
                self.picture.label, style.width - _N_SCALE - len(low + high) - 4
            )
            return [f"{label}: {low} {bar} {high}"]
        return style.items([(f"{self.picture.label}:", None), *self._shade_ranges()])

    def _shade_ranges(self) -> list[tuple[str, Colour | None]]:
        shades = self._shades
        if not self._high > self._low:
            return [(f"{self._shade(self._low)} {number_text(self._low)}", None)]
        if self._has_numbers:
            low, high = number_text(self._low), number_text(self._high)
            return [(f"{shades[0]} {low} to {shades[-1]} {high}", None)]
        n = len(shades)
        # Huge numbers may have no difference.
        ends = [self._low * (1 - i / n) + self._high * (i / n) for i in range(n + 1)]
        texts = [number_text(end) for end in ends]
        return [
            (self.style.text(f"{shade} {texts[i]} to {texts[i + 1]}"), None)
            for i, shade in enumerate(shades)
        ]
