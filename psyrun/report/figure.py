"""Plots in files and notebooks, by Matplotlib."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.report.axis import Axis, plain
from psyrun.report.picture import Limits, Picture
from psyrun.utils.dates import dates_of_seconds, seconds_of_dates
from psyrun.utils.extras import imported
from psyrun.utils.files import explained, replacing
from psyrun.utils.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMITS = Limits(series=12, columns=1000, lines=1000, bars=60)
"""How much a picture can show."""
EXTRA = "plots"
_FORMATS: dict[str, dict[str, Any]] = {
    # Without the time, the same numbers make the same file.
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "psyrun", "pdf.fonttype": 42}
# Okabe and Ito (2008), "Color universal design"; those that are read on white.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
_MARGIN = 0.06  # of a range of dates, around it
_MARKERS = "o^sDvP*Xp<>h"
_DASHES = ("-", "--", "-.", ":")
_MOST_MARKED = 40  # points of a line
_MOST_TICKS = 12
_MOST_VECTORS = 5000  # shapes, before they become one image within a file
_N_GROUPED, _MOST_GROUPS = 4, 4000  # points of a line, and groups of them
_PLACES = (700, 450)  # of points that can be told apart, along x and y
_LONGEST = 30  # characters of a level
_WIDEST_TITLE = 76
_WIDEST_TICKS = 60  # characters beside each other, also where there is a colour bar
_SIZE = (7.0, 4.5)  # inches
_DPI = 150


def check_format(path: Path) -> None:
    """Raise `PsyrunError` if a picture cannot be written under such a name."""
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise PsyrunError(
            f"{path}: there is no picture of the extension {path.suffix!r}."
            f"{did_you_mean(suffix, _FORMATS)} The extensions are "
            f"{', '.join(_FORMATS)}."
        )
    if path.is_dir():
        raise PsyrunError(f"{path}: is a folder. Choose another name.")
    imported("matplotlib.figure", EXTRA, f"{path}: a picture")


def save(picture: Picture, path: Path) -> None:
    """Write a plot to a file, which appears whole or not at all.

    Raises
    ------
    PsyrunError
        If the extension is unknown, Matplotlib is not installed, or the file cannot be
        written.
    """
    check_format(path)
    import matplotlib
    from matplotlib.figure import Figure

    suffix = path.suffix.lower()
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
        axes = figure.subplots()
        draw(picture, axes)
        if picture.notes:
            notes = [part for note in picture.notes for part in _wrapped(note)]
            figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize="x-small")
        with _without_glyph_warnings(), replacing(path) as beside, explained(path):
            figure.savefig(beside, format=suffix[1:], metadata=_FORMATS[suffix])


@contextmanager
def _without_glyph_warnings() -> Iterator[None]:
    """Leave out what Matplotlib says of characters that its font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def new_axes() -> Axes:
    """Return axes of a new figure of pyplot, which notebooks show.

    Raises `PsyrunError` if Matplotlib is not installed.
    """
    pyplot = imported("matplotlib.pyplot", EXTRA, "psyrun.plot")
    axes: Axes = pyplot.subplots(layout="constrained")[1]
    return axes


def draw(picture: Picture, axes: Axes, *, with_notes: bool = False) -> None:
    """Draw a plot into axes of Matplotlib, with its notes in the title if asked."""
    _DRAWN[picture.shape](picture, axes)
    lines = _wrapped(picture.title)
    for note in picture.notes if with_notes else ():
        lines += _wrapped(note)
    axes.set_title("\n".join(lines), fontsize="medium")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(_literal(text), _WIDEST_TITLE)


def _literal(text: str) -> str:
    """Return a text of which Matplotlib takes nothing for a formula."""
    return plain(text).replace("$", r"\$")


def _level(text: str) -> str:
    return _literal(shortened(text, _LONGEST))


# Scales ------------------------------------------------------------------------


def _scale(axis: Axis) -> NDArray[Any]:
    if axis.is_moment:
        return _dates(axis, axis.positions)
    return axis.positions


def _dates(axis: Axis, seconds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return the dates of some seconds since the epoch."""
    if not len(seconds):
        return dates_of_seconds(seconds)
    low, high = seconds.min(), seconds.max()
    around = _MARGIN * (high - low)
    first, last = seconds_of_dates(np.array(["0001", "9999"], "datetime64[Y]"))
    if low - around < first or high + around > last:
        raise PsyrunError(
            f"{axis.name}: a file cannot have dates outside of the years 1 to 9999 on "
            "an axis, and needs some space around the dates. Without -o, 'psy plot' "
            "shows them in the terminal."
        )
    return dates_of_seconds(seconds)


def _label(axes: Axes, side: str, axis: Axis, *, has_cells: bool = False) -> None:
    """Name a side of the plot, and put the ticks where the levels are."""
    getattr(axes, f"set_{side}label")(_literal(axis.label))
    if axis.is_log:
        getattr(axes, f"set_{side}scale")("log")
    if axis.is_moment:
        _tick_moments(axes, side, axis)
    is_few = len(axis) <= _MOST_TICKS
    if (
        axis.kind == "text"
        or (axis.is_log and is_few)
        or (has_cells and is_few and _are_apart(axis))
    ):
        _tick_levels(axes, side, axis)


def _are_apart(axis: Axis) -> bool:
    """Whether levels are single numbers with room for a tick at each."""
    gaps = np.diff(axis.positions / 2)
    is_wide = bool((gaps * _MOST_TICKS >= gaps.sum()).all())
    return axis.kind == "number" and not axis.groups and is_wide


def _tick_moments(axes: Axes, side: str, axis: Axis) -> None:
    """Say at each tick what is new; whole dates would run into each other."""
    from matplotlib import dates

    untyped: Any = dates
    own, locator = getattr(axes, f"{side}axis"), untyped.AutoDateLocator()
    formatter = untyped.ConciseDateFormatter(locator)
    if axis.kind == "time":
        # They are no times of any day.
        has_seconds = any(text.count(":") > 1 for text in axis.texts)
        form = "%H:%M:%S" if has_seconds else "%H:%M"
        formatter = untyped.DateFormatter(form, tz="UTC")
    own.set_major_locator(locator)
    own.set_major_formatter(formatter)


def _tick_levels(axes: Axes, side: str, axis: Axis) -> None:
    places = np.arange(len(axis))
    if len(axis) > _MOST_TICKS * 5:
        places = np.unique(np.linspace(0, len(axis) - 1, _MOST_TICKS).astype(int))
    texts = [_level(axis.texts[place]) for place in places]
    positions = axis.positions[places]
    getattr(axes, f"set_{side}ticks")(positions, texts)
    getattr(axes, f"set_{side}ticks")([], minor=True)
    if side == "x" and sum(len(text) + 2 for text in texts) > _WIDEST_TICKS:
        axes.tick_params("x", labelrotation=90 if len(texts) > _MOST_TICKS else 45)


def _edges(axis: Axis) -> NDArray[np.float64]:
    """Return the ends of the cells around the levels."""
    found = np.log(axis.positions) if axis.is_log else axis.positions
    if len(found) == 1:
        edges = np.array([found[0] - 0.5, found[0] + 0.5])
    else:
        middles = found[:-1] / 2 + found[1:] / 2
        first, last = 2 * found[0] - middles[0], 2 * found[-1] - middles[-1]
        edges = np.concatenate([[first], middles, [last]])
    return np.asarray(np.exp(edges) if axis.is_log else edges, np.float64)


def _colours(n_series: int) -> Sequence[Any]:
    if n_series <= len(_COLOURS):
        return _COLOURS
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0, 0.95, n_series)))


def _legend(picture: Picture, axes: Axes, handles: Sequence[Any]) -> None:
    by = picture.by
    if by is None:
        return
    # A text that begins with an underscore would be left out.
    texts = [f" {text}" if text.startswith("_") else text for text in by.texts]
    title = _literal(shortened(by.label, _LONGEST))
    axes.legend(handles, [_level(text) for text in texts], title=title)


# Shapes ------------------------------------------------------------------------


def _line(picture: Picture, axes: Axes) -> None:
    assert picture.x is not None
    x, cells, handles = _scale(picture.x), picture.cells, []
    is_marked = len(x) <= _MOST_MARKED
    for series, colour in zip(
        range(picture.n_series), _colours(picture.n_series), strict=False
    ):
        if cells.low is not None and cells.high is not None:
            ends = (cells.low[:, series], cells.high[:, series])
            axes.fill_between(x, *ends, color=colour, alpha=0.2, linewidth=0)
        values = cells.values[:, series]
        kept = _outline(values)
        handles += axes.plot(
            x[kept],
            values[kept],
            color=colour,
            linestyle=_DASHES[series // len(_COLOURS) % len(_DASHES)]
            if is_marked
            else _DASHES[series % len(_DASHES)],
            marker=_MARKERS[series % len(_MARKERS)] if is_marked else "",
            markersize=4,
        )
    _around(picture, axes, handles)


def _outline(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which points of a line are seen: of many neighbours the outermost ones."""
    n_groups = -(-len(values) // _N_GROUPED)
    if n_groups < _MOST_GROUPS:
        return np.arange(len(values))
    size = -(-len(values) // _MOST_GROUPS)
    begins = np.arange(0, len(values), size)
    padded = np.full(len(begins) * size, np.nan)
    padded[: len(values)] = values
    groups = padded.reshape(-1, size)
    least = np.where(np.isnan(groups), np.inf, groups).argmin(axis=1)
    most = np.where(np.isnan(groups), -np.inf, groups).argmax(axis=1)
    return np.unique(np.concatenate([begins, begins + least, begins + most]))


def _apart(x: NDArray[Any], y: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of many points are seen: one of those that are at one place."""
    if len(x) <= _MOST_VECTORS:
        return np.arange(len(x))
    columns, lines = (
        ((each / 2 - each.min() / 2) / (each.max() / 2 - each.min() / 2 or 1.0) * n)
        .astype(np.int64)
        for each, n in ((x, _PLACES[0]), (y, _PLACES[1]))
    )  # fmt: skip
    return np.unique(columns * (_PLACES[1] + 1) + lines, return_index=True)[1]


def _around(picture: Picture, axes: Axes, handles: Sequence[Any]) -> None:
    assert picture.x is not None
    _label(axes, "x", picture.x)
    axes.set_ylabel(_literal(picture.label))
    if picture.is_share:
        axes.set_ylim(-0.02, 1.02)
    _legend(picture, axes, handles)


def _scatter(picture: Picture, axes: Axes) -> None:
    assert picture.x is not None
    assert picture.points is not None
    positions, values, series = picture.points
    scaled = np.log(positions) if picture.x.is_log else positions
    # Seconds, as a place between others.
    x = _dates(picture.x, positions) if picture.x.is_moment else positions
    handles = []
    for number, colour in zip(
        range(picture.n_series), _colours(picture.n_series), strict=False
    ):
        own = np.flatnonzero(series == number)
        own = own[_apart(scaled[own], values[own])]
        handles += axes.plot(
            x[own],
            values[own],
            linestyle="",
            color=colour,
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=3,
            rasterized=len(x) > _MOST_VECTORS,
        )
    _around(picture, axes, handles)


def _heat(picture: Picture, axes: Axes) -> None:
    assert picture.x is not None
    assert picture.y is not None
    values = np.ma.masked_invalid(picture.cells.values.T)
    x, y = (_heat_edges(axis) for axis in (picture.x, picture.y))
    mesh = axes.pcolormesh(
        x,
        y,
        values,
        cmap="viridis",
        vmin=0 if picture.is_share else None,
        vmax=1 if picture.is_share else None,
        # Else viewers that smooth edges show the white between cells.
        edgecolors="face",
        linewidth=0.8,
        rasterized=values.size > _MOST_VECTORS,
    )
    for side, axis in (("x", picture.x), ("y", picture.y)):
        _label(axes, side, axis, has_cells=True)
    if picture.y.kind == "text":
        axes.invert_yaxis()
    axes.figure.colorbar(mesh, ax=axes, label=_literal(picture.label))


def _heat_edges(axis: Axis) -> NDArray[Any]:
    edges = _edges(axis)
    return _dates(axis, edges) if axis.is_moment else edges


def _bars(picture: Picture, axes: Axes) -> None:
    assert picture.x is not None
    cells, n_series = picture.cells, picture.n_series
    width, handles = 0.8 / n_series, []
    for series, colour in zip(range(n_series), _colours(n_series), strict=False):
        at = picture.x.positions + (series - (n_series - 1) / 2) * width
        values = cells.values[:, series]
        handles.append(axes.barh(at, values, width, color=colour))
        if cells.low is not None and cells.high is not None:
            low, high = cells.low[:, series], cells.high[:, series]
            # Of single numbers there is no deviation; quantiles may exclude a mean.
            errors = np.nan_to_num(np.maximum([values - low, high - values], 0))
            axes.errorbar(
                values, at, xerr=errors, fmt="none", ecolor="black", capsize=2
            )
    _label(axes, "y", picture.x)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(_literal(picture.label))
    _legend(picture, axes, handles)


def _histogram(picture: Picture, axes: Axes) -> None:
    assert picture.edges is not None
    axes.stairs(picture.cells.values, picture.edges, fill=True, color=_COLOURS[0])
    axes.set_xlabel(_literal(picture.label))
    axes.set_ylabel("count")


_DRAWN = {
    "bars": _bars,
    "heat": _heat,
    "histogram": _histogram,
    "line": _line,
    "scatter": _scatter,
}
