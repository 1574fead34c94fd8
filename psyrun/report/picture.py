"""A plot as numbers and texts, which a terminal or a file then shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Indices
from psyrun.report.axis import Axis, plain
from psyrun.report.choice import Choice, Shape, Wanted, choose
from psyrun.report.quantity import FAILED, Quantity, is_scalar
from psyrun.report.reduction import MEAN, Cells, reduced
from psyrun.report.sweep import Sweep
from psyrun.utils.text import counted, listed, shortened

_LONGEST_NAME = 30
_MOST_BINS = 20


@dataclass(frozen=True)
class Limits:
    """How much a medium can show.

    Attributes
    ----------
    series : int
        Levels that colours tell apart.
    columns, lines : int
        Levels along the axes of a heat map.
    bars : int
        Bars below one another.
    """

    series: int
    columns: int
    lines: int
    bars: int


@dataclass(frozen=True)
class Picture:
    """A plot.

    Attributes
    ----------
    shape : str
        ``line``, ``heat``, ``bars``, ``scatter`` or ``histogram``.
    title : str
        What it shows.
    notes : sequence of str
        What is to be known beside: what is missing, left out or reduced.
    label : str
        Name and unit of the values.
    cells : Cells
        The values: of lines and bars with the shape (x, series), of heat maps (x, y),
        of histograms the counts with the shape (bins,).
    x, y, by : Axis or None
        The axes.
    points : tuple of ndarray or None
        Of a scatter: x, value and series of each point.
    edges : ndarray or None
        Of a histogram: the ends of the bins.
    is_share : bool
        Whether values are from 0 to 1 by their nature.
    """

    shape: Shape
    title: str
    notes: Sequence[str]
    label: str
    cells: Cells
    x: Axis | None = None
    y: Axis | None = None
    by: Axis | None = None
    points: tuple[NDArray[np.float64], NDArray[np.float64], Indices] | None = None
    edges: NDArray[np.float64] | None = None
    is_share: bool = False

    @property
    def n_series(self) -> int:
        """How many series there are; one if nothing tells rows apart."""
        return 1 if self.by is None else len(self.by)


def picture_of(sweep: Sweep, wanted: Wanted, limits: Limits) -> Picture:
    """Return what a plot shows.

    Raises
    ------
    PsyrunError
        If the result or an axis is not there, or cannot be plotted.
    """
    quantity = sweep.quantity(wanted.result)
    if wanted.cost == FAILED and wanted.reduce != MEAN:
        raise PsyrunError(
            "plot: the share of failed assignments is a mean. Leave --reduce out."
        )
    own = None if is_scalar(quantity.values) else sweep.own_axis(quantity)
    choice = choose(sweep, wanted, None if own is None else own.name)
    return _Drawing(sweep, wanted, limits, quantity, own, choice).picture()


@dataclass
class _Drawing:
    """A plot that is being made."""

    sweep: Sweep
    wanted: Wanted
    limits: Limits
    quantity: Quantity
    own: Axis | None
    choice: Choice

    def picture(self) -> Picture:
        self.notes: list[str] = []
        self.values = self.quantity.values.ravel()
        shape = self.choice.shape
        if shape == "histogram":
            found = self._histogram()
        elif shape == "scatter":
            found = self._scatter()
        else:
            found = self._reduced(shape)
        notes = [*found.notes, *self._about_rows(found), *self._about_choice()]
        return replace(found, notes=notes)

    # Axes ----------------------------------------------------------------------

    def _axis(self, name: str) -> Axis:
        """Return an axis with a level for each of the values."""
        if self.own is not None and name == self.own.name:
            codes = np.tile(self.own.codes, len(self.quantity.values))
            return replace(self.own, codes=codes)
        axis = self.sweep.axis(name)
        if self.own is None:
            return axis
        return replace(axis, codes=np.repeat(axis.codes, len(self.own)))

    def _along(self, name: str) -> Axis:
        """Return an axis that is drawn as a scale, on which nan has no place."""
        axis = self._axis(name)
        found = axis if axis.kind == "text" else axis.finite()
        if lost := len(axis) - len(found):
            self._say(
                f"{counted(lost, 'level')} of {axis.name} without a place (nan, inf)"
            )
        if not len(found):
            raise PsyrunError(
                f"plot: no value of {name!r} is a finite number. Choose another axis "
                "with --over."
            )
        return found

    def _series(self) -> Axis | None:
        if self.choice.by is None:
            return None
        axis = self._axis(self.choice.by)
        most = self.limits.series
        if len(axis) > most:
            self._say(f"{most} of {len(axis)} levels of {axis.name} are shown")
        return axis.limited(most)

    def _say(self, note: str) -> None:
        self.notes.append(plain(note))

    # Shapes --------------------------------------------------------------------

    def _reduced(self, shape: Shape) -> Picture:
        assert self.choice.x is not None
        x, y, by = self._along(self.choice.x), None, None
        if shape == "heat":
            assert self.choice.y is not None
            y = self._along(self.choice.y)
            is_sparse = self._are_of_one_dimension(x, y)
            x = self._coarse(x, self.limits.columns, is_sparse)
            y = self._coarse(y, self.limits.lines, is_sparse)
        else:
            by = self._series()
        if shape == "bars":
            x = self._fewer_bars(x, by)
        other = y or by
        cells = self._cells(x, other)
        title = self._title([x.name, *([] if y is None else [y.name])], by, cells)
        picture = self._with(shape, title, cells)
        picture = replace(picture, x=x, y=y, by=by)
        return replace(picture, notes=[*self.notes, *self._about_blanks(picture)])

    def _with(self, shape: Shape, title: str, cells: Cells) -> Picture:
        label = self.quantity.label
        is_share = self.quantity.name == FAILED
        return Picture(shape, title, self.notes, label, cells, is_share=is_share)

    def _are_of_one_dimension(self, x: Axis, y: Axis) -> bool:
        """Whether most pairs of levels have no row, as with points at random."""
        parameters = self.sweep.parameters
        numbers = [parameters[a.name].number for a in (x, y) if a.name in parameters]
        return not self.sweep.has_parameters or (
            len(numbers) == 2 and numbers[0] == numbers[1]
        )

    def _coarse(self, axis: Axis, most: int, is_sparse: bool) -> Axis:
        if is_sparse and axis.kind != "text":
            # Each level may be there once only.
            most = min(most, max(2, round(len(axis.codes) ** 0.5)))
        if len(axis) > most:
            self._say(f"{len(axis)} levels of {axis.name} in {most} intervals")
        return axis.coarsened(most)

    def _fewer_bars(self, x: Axis, by: Axis | None) -> Axis:
        most = max(1, self.limits.bars // (1 if by is None else len(by)))
        if len(x) > most:
            self._say(f"the first {most} of {len(x)} levels of {x.name} are shown")
        return x.first(most)

    def _cells(self, x: Axis, other: Axis | None) -> Cells:
        shape = (len(x), 1 if other is None else len(other))
        cells = x.codes * shape[1]
        is_shown = x.codes >= 0
        if other is not None:
            cells = cells + other.codes
            is_shown = is_shown & (other.codes >= 0)
        kept = self._finite(is_shown)
        wanted = self.wanted
        return reduced(
            self.values[kept], cells[kept], shape, wanted.reduce, wanted.band
        )

    def _finite(self, is_shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which values are shown and finite, and say how many are not."""
        is_finite = np.isfinite(self.values)
        kept: NDArray[np.bool_] = is_finite & is_shown
        lost = int(np.count_nonzero(is_shown & ~is_finite))
        if not kept.any():
            raise PsyrunError(
                f"plot: no value of {self.quantity.name!r} is a finite number here, so "
                "that there is nothing to show. Choose another result, or other axes."
            )
        if lost and self.own is None:
            are = "is" if lost == 1 else "are"
            n_shown = int(np.count_nonzero(is_shown))
            self._say(
                f"{lost} of {counted(n_shown, 'value')} {are} nan or inf, and left out"
            )
        return kept

    def _scatter(self) -> Picture:
        assert self.choice.x is not None
        x, by = self._along(self.choice.x), self._series()
        series = np.zeros_like(x.codes) if by is None else by.codes
        kept = self._finite((x.codes >= 0) & (series >= 0))
        values = self.values[kept]
        points = (x.positions[x.codes[kept]], values, series[kept])
        more = "" if by is None else f", by {_named(by.name)}"
        title = f"{_named(self.quantity.name)} over {_named(x.name)}{more}"
        title += ": a point for each row"
        cells = Cells(values, np.ones(len(values), np.int64))
        return replace(self._with("scatter", title, cells), x=x, by=by, points=points)

    def _histogram(self) -> Picture:
        values = self.values[self._finite(np.ones(len(self.values), bool))]
        edges = _edges(values)
        counts, edges = np.histogram(values, edges)
        name = _named(self.quantity.name)
        title = f"{name}: {counted(len(values), 'value')}"
        cells = Cells(counts.astype(np.float64), counts)
        picture = self._with("histogram", title, cells)
        return replace(picture, edges=edges)

    # Texts ---------------------------------------------------------------------

    def _title(self, over: Sequence[str], by: Axis | None, cells: Cells) -> str:
        text = f"{_named(self.quantity.name)} over {' and '.join(map(_named, over))}"
        if by is not None:
            text += f", by {_named(by.name)}"
        counts = cells.counts[cells.counts > 0]
        least, most = int(counts.min()), int(counts.max())
        if most > 1:
            number = f"{least}" if least == most else f"{least} to {most}"
            text += f": {self.wanted.reduce.name} of {number}{self._over_which()}"
        if self.wanted.band is not None:
            text += f", band {self.wanted.band.text}"
        return text

    def _over_which(self) -> str:
        """Return over which dimensions values are reduced."""
        sweep = self.sweep
        shown = {
            sweep.parameters[name].number
            for name in self.choice.axes
            if name in sweep.parameters
        }
        rest = [n for n in range(sweep.n_dimensions) if n not in shown]
        names = [_named(sweep.dimension_name(number)) for number in rest]
        if self.own is not None and self.own.name not in self.choice.axes:
            names.append(_named(self.own.name))
        return f" over {listed(names)}" if names else ""

    def _about_blanks(self, picture: Picture) -> list[str]:
        blank = int(np.count_nonzero(picture.cells.counts == 0))
        sweep = self.sweep
        is_each = picture.cells.counts.size == sweep.n_assignments
        is_rate = self.quantity.name == FAILED
        is_said = blank == sweep.n_open + (0 if is_rate else sweep.n_failed)
        if not blank or (is_each and is_said):
            return []
        are = "is" if blank == 1 else "are"
        return [f"{blank} of {picture.cells.counts.size} cells {are} blank"]

    def _about_rows(self, picture: Picture) -> list[str]:
        sweep = self.sweep
        n, total = sweep.n_open, sweep.n_assignments
        is_each = picture.cells.counts.size == total and picture.shape != "histogram"
        noun = "cells" if is_each else "assignments"
        said = []
        if n:
            are = "is" if n == 1 else "are"
            said.append(f"{n} of {total} {noun} {are} not computed yet")
        if sweep.n_failed and self.quantity.name != FAILED:
            said.append(f"{sweep.n_failed} of {total} {noun} failed")
        return said

    def _about_choice(self) -> list[str]:
        """Say which result was chosen, if there are others."""
        chosen = self.quantity.name
        if self.wanted.result is not None or self.wanted.cost is not None:
            return []
        others = [_named(key) for key in self.sweep.results if key != chosen]
        if not others:
            return []
        return [
            f"{_named(chosen)} is the first result that is a number; "
            f"others: {listed(others)}"
        ]


def _named(name: str) -> str:
    return shortened(plain(name), _LONGEST_NAME)


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of bins by the rule of Freedman and Diaconis (1981).

    There are at most 20; truth values and the like have a bin each.
    """
    low, high = float(values.min()), float(values.max())
    if not high > low:
        pad = abs(low) * 1e-3 or 0.5
        return np.array([low - pad, high + pad])
    quartiles = np.quantile(values, [0.25, 0.75])
    width = 2 * float(quartiles[1] - quartiles[0]) / len(values) ** (1 / 3)
    least = min(_MOST_BINS, int(np.ceil(np.log2(len(values)))) + 1)
    n_bins = np.ceil((high - low) / width) if width > 0 else least
    n_bins = int(min(_MOST_BINS, max(least, n_bins)))
    return np.linspace(low, high, n_bins + 1)
