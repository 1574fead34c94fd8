"""Plots in the terminal."""

from __future__ import annotations

from psyrun.report.picture import Limits, Picture
from psyrun.report.terminal.bars import bars, histogram
from psyrun.report.terminal.heat import heat
from psyrun.report.terminal.style import Style
from psyrun.report.terminal.xy import xy

_DRAWN = {"bars": bars, "heat": heat, "histogram": histogram, "line": xy, "scatter": xy}
_BESIDE_HEAT = 18  # columns for labels
_MOST_LINES = 24


def limits_of(style: Style) -> Limits:
    """Return how much a terminal can show."""
    lines = _MOST_LINES * (2 if style.has_half_blocks else 1)
    columns = max(8, style.width - _BESIDE_HEAT)
    return Limits(series=7, columns=columns, lines=lines, bars=40)


def render(picture: Picture, style: Style) -> str:
    """Return a plot as lines of text, none of them wider than the terminal."""
    lines = [*style.wrapped(picture.title), *_DRAWN[picture.shape](picture, style)]
    for note in picture.notes:
        lines += style.wrapped(note)
    return "".join(f"{line.rstrip()}\n" for line in lines)
