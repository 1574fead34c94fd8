"""Bars and histograms in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len

from psyrun.report.numbers import number_text, texts_of
from psyrun.report.picture import Picture
from psyrun.report.terminal.style import SERIES, Style

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_WIDEST_LABEL = 28
_SHORTEST_BAR = 8


@dataclass(frozen=True)
class _Bar:
    """A bar with its texts; `value` is nan where there is none."""

    labels: Sequence[str]
    value: float
    text: str
    series: int = 0


def bars(picture: Picture, style: Style) -> list[str]:
    """Return a bar for each level, and for each series of it."""
    assert picture.x is not None
    names = [picture.x.label, *([] if picture.by is None else [picture.by.label])]
    most = _widest_label(names, style)
    levels_of_by = [] if picture.by is None else picture.by.texts
    of_series = style.told_apart(levels_of_by, most)
    found = []
    for place, level in enumerate(style.told_apart(picture.x.texts, most)):
        for series in range(picture.n_series):
            by = of_series[series : series + 1]
            labels = [level if series == 0 else "", *by]
            value = float(picture.cells.values[place, series])
            text = _value_text(picture, place, series)
            found.append(_Bar(labels, value, text, series))
    return _drawn(found, names, picture.label, style)


def histogram(picture: Picture, style: Style) -> list[str]:
    """Return a bar with the number of values in each interval."""
    assert picture.edges is not None
    texts = texts_of(picture.edges)
    width = max(map(len, texts))
    counts = picture.cells.counts.tolist()
    found = [
        _Bar([f"{low:>{width}} to {high:>{width}}"], count, str(count))
        for low, high, count in zip(texts, texts[1:], counts, strict=False)
    ]
    return _drawn(found, [picture.label], "count", style)


def _value_text(picture: Picture, place: int, series: int) -> str:
    cells = picture.cells
    value = float(cells.values[place, series])
    if np.isnan(value):
        return ""
    text = number_text(value)
    if cells.low is None or cells.high is None:
        return text
    low, high = float(cells.low[place, series]), float(cells.high[place, series])
    return (
        text if np.isnan(low) else f"{text} ({number_text(low)} to {number_text(high)})"
    )


def _drawn(
    found: Sequence[_Bar], names: Sequence[str], label: str, style: Style
) -> list[str]:
    widths = _label_widths(found, names, style)
    room = max((cell_len(style.text(bar.text)) for bar in found), default=0) + 1
    left = sum(widths) + 2 * (len(widths) - 1) + 2
    n_columns = max(_SHORTEST_BAR, style.width - left - room)
    values = [bar.value for bar in found if not np.isnan(bar.value)]
    low, high = min(0.0, *values), max(0.0, *values)
    head = "  ".join(map(style.left, names, widths)) + "  "
    lines = [style.fitted(head + label, style.width)]
    side = "│" if style.is_unicode else "|"
    for bar in found:
        texts = "  ".join(map(style.left, bar.labels, widths))
        drawn, size = _bar(bar.value, low, high, n_columns, style)
        colour = SERIES[bar.series]
        text = f"{' ' if size else ''}{style.text(bar.text)}"
        lines.append(f"{texts} {side}{style.painted(drawn, colour)}{text}")
    return lines


def _widest_label(names: Sequence[str], style: Style) -> int:
    return min(_WIDEST_LABEL, style.width // (3 * len(names)))


def _label_widths(
    found: Sequence[_Bar], names: Sequence[str], style: Style
) -> list[int]:
    most = _widest_label(names, style)
    return [
        min(most, max(cell_len(style.text(text)) for text in [name, *column]))
        for name, *column in zip(names, *(bar.labels for bar in found), strict=True)
    ]


def _bar(
    value: float, low: float, high: float, n_columns: int, style: Style
) -> tuple[str, int]:
    """Return a bar from zero to a value, and its number of columns."""
    if np.isnan(value) or not high > low:
        return "", 0
    # Halves, as the range of huge numbers may have no floating-point number.
    span = high / 2 - low / 2
    zero = round(-low / 2 / span * n_columns)
    at = (value / 2 - low / 2) / span * n_columns
    full = "█" if style.is_unicode else "#"
    if value < 0:
        begin = min(round(at), zero)
        text = " " * begin + full * (zero - begin)
        return text, len(text)
    whole, eighths = divmod(round(max(0.0, at - zero) * 8), 8)
    text = " " * zero + full * whole
    if eighths and style.is_unicode:
        text += _EIGHTHS[eighths]
    return text, len(text)
