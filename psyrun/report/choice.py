"""Which plot shows a sweep: a line, a heat map, bars, a scatter or a histogram."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeAlias

from psyrun.errors import PsyrunError
from psyrun.report.reduction import MEAN, Band, Reduction
from psyrun.report.sweep import Sweep, nearest_first

Shape: TypeAlias = Literal["line", "heat", "bars", "scatter", "histogram"]

REPEATS = {
    "fold",
    "realisation",
    "realization",
    "rep",
    "repeat",
    "repeats",
    "repetition",
    "replicate",
    "replication",
    "rng_seed",
    "run",
    "sample",
    "seed",
    "trial",
}
"""Names under which repeats of the same evaluation are told apart."""
_MOST_BY = 7  # levels that are told apart without being asked to
_MOST_BESIDE_BARS = 4


@dataclass(frozen=True)
class Wanted:
    """What is asked for of a plot; see `psyrun.plot`."""

    result: str | None = None
    over: Sequence[str] = ()
    by: str | None = None
    reduce: Reduction = MEAN
    band: Band | None = None
    cost: str | None = None


@dataclass(frozen=True)
class Choice:
    """Which plot it is to be.

    Attributes
    ----------
    shape : str
        The kind of plot.
    x, y : str or None
        The parameters along the axes; `y` is for heat maps only.
    by : str or None
        The parameter that colours tell apart.
    """

    shape: Shape
    x: str | None = None
    y: str | None = None
    by: str | None = None

    @property
    def axes(self) -> list[str]:
        """The parameters that it shows."""
        return [name for name in (self.x, self.y, self.by) if name is not None]


def choose(sweep: Sweep, wanted: Wanted, own: str | None = None) -> Choice:
    """Return which plot shows what is asked for.

    Parameters
    ----------
    sweep : Sweep
        The rows.
    wanted : Wanted
        What is asked for; the rest is chosen from the number and kind of the axes.
    own : str, optional
        The axis of a result that is an array, which is the default of x.

    Raises
    ------
    PsyrunError
        If there is no such axis, or they do not go together.
    """
    known = [*sweep.parameters, *([] if own is None else [own])]
    wanted = replace(wanted, over=_separated(known, wanted.over))
    over = list(wanted.over)
    _check_axes(sweep, wanted, known)
    if len(over) == 2:
        return Choice("heat", over[0], over[1])
    candidates = _Candidates(sweep, own)
    by = wanted.by
    x = over[0] if over else candidates.x(without=by)
    if x is None and by is not None:
        x, by = by, None
    if x is None:
        return Choice("histogram")
    is_text = x != own and sweep.levels(x).kind == "text"
    if wanted.by is None:
        most = _MOST_BESIDE_BARS if is_text else _MOST_BY
        by = candidates.by(without=x, most=most)
    if is_text:
        return Choice("bars", x, by=by)
    is_scattered = x != own and own is None and _is_scattered(sweep, x)
    return Choice("scatter" if is_scattered else "line", x, by=by)


def _separated(known: Collection[str], over: Sequence[str]) -> list[str]:
    """Return names of axes; what is no name itself is several, separated by commas."""
    found: list[str] = []
    for name in over:
        parts = name.split(",")
        pairs = [(",".join(parts[:n]), ",".join(parts[n:])) for n in range(len(parts))]
        # A name may have a comma itself.
        fitting = (
            pair for pair in pairs if {each.strip() for each in pair} <= {*known}
        )
        names = [name] if name in known else next(fitting, parts)
        found += [each if each in known else each.strip() for each in names]
    return found


def _is_scattered(sweep: Sweep, x: str) -> bool:
    """Whether x was drawn at random, so that each of its values is there once."""
    levels = sweep.levels(x)
    if levels.kind == "text":
        return False
    alone = len(levels) == len(levels.of_place) > 1
    return alone and not levels.is_ascending and sweep.n_dimensions <= 1


class _Candidates:
    """The dimensions of a space, each by the parameter that is best shown."""

    def __init__(self, sweep: Sweep, own: str | None) -> None:
        self._sweep, self._own = sweep, own
        self._names: list[str] = []
        if sweep.is_grid:
            best = map(self._best, range(sweep.n_dimensions))
            self._names = [name for name in best if name is not None]
        elif sweep.has_parameters:
            # Of points that are no grid, only what is continuous can be shown.
            drawn = (name for name in sweep.parameters if _is_scattered(sweep, name))
            self._names = list(islice(drawn, 1))

    def _best(self, number: int) -> str | None:
        """Return the first parameter of a dimension, a number if one is."""
        names = [
            name
            for name, each in self._sweep.parameters.items()
            if each.number == number
            and not each.is_repeat
            and name.lower() not in REPEATS
        ]
        numbers = (n for n in names if self._sweep.levels(n).kind != "text")
        return next(numbers, names[0] if names else None)

    def _others(self, without: str | None) -> list[str]:
        """Return those of other dimensions than a parameter has."""
        parameters = self._sweep.parameters
        taken = parameters[without].number if without in parameters else None
        return [name for name in self._names if parameters[name].number != taken]

    def _is_text(self, name: str) -> bool:
        return self._sweep.levels(name).kind == "text"

    def _size(self, name: str) -> int:
        return len(self._sweep.levels(name))

    def x(self, without: str | None) -> str | None:
        """Return the number axis with most levels, else the text axis with most."""
        if self._own is not None:
            return self._own
        names = self._others(without)
        numbers = [name for name in names if not self._is_text(name)]
        return max(numbers or names, key=self._size, default=None)

    def by(self, without: str, most: int) -> str | None:
        """Return a short axis, of text if there is one."""
        names = [name for name in self._others(without) if self._size(name) <= most]
        texts = [name for name in names if self._is_text(name)]
        return next(iter(texts or names), None)


def _check_axes(sweep: Sweep, wanted: Wanted, known: Collection[str]) -> None:
    over = list(wanted.over)
    if len(over) > 2:
        raise PsyrunError(
            f"plot: --over names {len(over)} axes. Name one, or two for a heat map."
        )
    if len(over) == 2 and wanted.by is not None:
        raise PsyrunError(
            "plot: a heat map over two axes has no colours left for --by. Leave one "
            "of them out."
        )
    if wanted.band is not None and len(over) == 2:
        raise PsyrunError("plot: a heat map has no place for --band. Leave it out.")
    names = [*over, *([] if wanted.by is None else [wanted.by])]
    for name in names:
        if name not in known:
            raise PsyrunError(_no_axis(sweep, name, known))
    if len(set(names)) < len(names):
        raise PsyrunError(
            f"plot: {names[-1]!r} is named twice. Each axis can be shown once."
        )


def _no_axis(sweep: Sweep, name: str, known: Collection[str]) -> str:
    there = f" Axes: {nearest_first(name, known)}." if known else " It has none."
    if name in sweep.constants:
        return f"plot: {name!r} is the same everywhere, and no axis.{there}"
    if name in sweep.results:
        return f"plot: {name!r} is a result, and no axis.{there}"
    return f"plot: there is no axis {name!r}.{there}"
