"""Lines and scatters in the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from psyrun.report.picture import Picture
from psyrun.report.terminal.canvas import Canvas
from psyrun.report.terminal.scale import LevelScale, ValueScale, tick_line
from psyrun.report.terminal.style import SERIES, Style

_N_LINES = 16
_MOST_MARKED = 200  # points of a scatter
_N_MARKS = 8  # of a line with many points
_LONGEST_LEVEL = 30


def xy(picture: Picture, style: Style) -> list[str]:
    """Return a line for each series over a scale, or points."""
    assert picture.x is not None
    values = ValueScale(*_range(picture), _N_LINES)
    texts = values.texts(_N_LINES)
    left = max(map(cell_len, texts.values())) + 2
    n_columns = style.width - left
    canvas = Canvas(n_columns, _N_LINES, picture.n_series, style)
    scale = LevelScale(picture.x)
    if picture.shape == "scatter":
        _draw_points(canvas, picture, scale, values, style)
    else:
        _draw_lines(canvas, picture, scale, values, style)
    ticks = scale.ticks(n_columns)
    columns, below = tick_line(ticks, left, n_columns, style)
    side, tick, corner, flat, down = "│┤└─┬" if style.is_unicode else "|+`-+"
    lines = [style.fitted(picture.label, style.width)]
    for number, drawn in enumerate(canvas.lines()):
        text = style.right(texts.get(number, ""), left - 2)
        lines.append(f"{text} {tick if number in texts else side}{drawn}")
    axis = "".join(down if each in columns else flat for each in range(n_columns))
    name = style.fitted(picture.x.label, style.width)
    indent = max(0, left + (n_columns - cell_len(name)) // 2)
    lines += [" " * (left - 1) + corner + axis, below, " " * indent + name]
    return [*lines, *legend(picture, style)]


def _range(picture: Picture) -> tuple[float, float]:
    if picture.is_share:
        return 0.0, 1.0
    cells = picture.cells
    arrays = [a for a in (cells.values, cells.low, cells.high) if a is not None]
    there = np.concatenate([array[np.isfinite(array)] for array in arrays])
    return float(there.min()), float(there.max())


def _draw_lines(
    canvas: Canvas,
    picture: Picture,
    scale: LevelScale,
    values: ValueScale,
    style: Style,
) -> None:
    assert picture.x is not None
    x, cells = scale.shares(picture.x.positions), picture.cells
    for series in range(picture.n_series):
        if cells.low is not None and cells.high is not None:
            low, high = (
                values.shares(end[:, series]) for end in (cells.low, cells.high)
            )
            canvas.band(series, x, low, high)
        y = values.shares(cells.values[:, series])
        canvas.line(series, x, y)
        for place in _marked(picture, y, series, canvas.n_columns, style):
            canvas.mark(series, float(x[place]), float(y[place]))


def _marked(
    picture: Picture, y: NDArray[np.float64], series: int, width: int, style: Style
) -> Iterator[int]:
    """Yield the places of a line that have the sign of the series."""
    there = np.flatnonzero(np.isfinite(y))
    if len(there) <= width // 2:
        yield from there.tolist()
    elif picture.n_series > 1 and not style.has_colours:
        # Not all at the same places.
        begin = series / picture.n_series
        at = (np.arange(_N_MARKS) + begin) / _N_MARKS * len(there)
        yield from there[at.astype(np.int64)].tolist()


def _draw_points(
    canvas: Canvas,
    picture: Picture,
    scale: LevelScale,
    values: ValueScale,
    style: Style,
) -> None:
    assert picture.points is not None
    positions, numbers, series = picture.points
    x, y = scale.shares(positions), values.shares(numbers)
    is_marked = len(x) <= _MOST_MARKED
    is_marked |= picture.n_series > 1 and not style.has_colours
    for each in range(picture.n_series):
        own = series == each
        canvas.points(each, x[own], y[own])
        if is_marked:
            places = np.unique(
                np.stack(canvas.at(x[own], y[own])), axis=1, return_index=True
            )[1]
            for place in places.tolist():
                canvas.mark(each, float(x[own][place]), float(y[own][place]))


def legend(picture: Picture, style: Style) -> list[str]:
    """Return the signs and colours of the series, in lines."""
    by = picture.by
    if by is None:
        return []
    room = min(_LONGEST_LEVEL, style.width - 4)
    items: list[tuple[str, tuple[int, int, int] | None]] = [
        (style.fitted(f"{by.label}:", style.width // 2), None)
    ]
    for number, text in enumerate(style.told_apart(by.texts, room)):
        items.append((f"{style.markers[number]} {text}", SERIES[number]))
    return style.items(items)
