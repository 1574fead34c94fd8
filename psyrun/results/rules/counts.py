"""How many assignments there are at each place along the axes of a grid.

Where every place of a grid has its assignment, the numbers follow from its shape, for
10¹² places as for 10. Elsewhere the rows are counted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.axes import Grid
from psyrun.pspace.columns import Indices
from psyrun.utils.typing import override

Box = Mapping[int, NDArray[np.bool_]]
"""For some axes which of their places are in it, shape (n_places,)."""

Levels = NDArray[np.unsignedinteger[Any]]
"""Numbers of levels, in as few bytes as they need."""


class Population(ABC):
    """Assignments of a grid."""

    @abstractmethod
    def within(self, box: Box) -> Population:
        """Return those in a box."""

    @abstractmethod
    def total(self) -> int:
        """Return their number."""

    @abstractmethod
    def at_levels(self, axis: int, of_place: Levels, n_levels: int) -> Indices:
        """Return how many are at each level along an axis, shape (n_levels,).

        `of_place` has the level of each place along the axis, shape (n_places,).
        """


class FullGrid(Population):
    """One assignment at each place of a grid, or of a box of it."""

    def __init__(
        self, shape: Sequence[int], box: Box | None = None, whole: _Axes | None = None
    ) -> None:
        self._shape, self._box = shape, box or {}
        self._whole = _Axes() if whole is None else whole
        self._sizes = [
            int(np.count_nonzero(self._box[axis])) if axis in self._box else size
            for axis, size in enumerate(shape)
        ]
        self._places: dict[int, Indices] = {}

    @override
    def within(self, box: Box) -> FullGrid:
        joined = dict(self._box)
        for axis, is_in in box.items():
            joined[axis] = joined[axis] & is_in if axis in joined else is_in
        return FullGrid(self._shape, joined, self._whole)

    @override
    def total(self) -> int:
        return math.prod(self._sizes)

    @override
    def at_levels(self, axis: int, of_place: Levels, n_levels: int) -> Indices:
        others = math.prod(self._sizes[:axis] + self._sizes[axis + 1 :])
        return self._along(axis, of_place, n_levels) * others

    def _along(self, axis: int, of_place: Levels, n_levels: int) -> Indices:
        """Return how many places along an axis are at each level."""
        if axis not in self._box:
            return self._whole.at_levels(of_place, n_levels)
        is_most = 2 * self._sizes[axis] > self._shape[axis]
        if axis not in self._places:
            # Of places outside there may be fewer to count.
            is_in = self._box[axis]
            self._places[axis] = np.flatnonzero(~is_in if is_most else is_in)
        levels = of_place.take(self._places[axis])
        counts = np.bincount(levels, minlength=n_levels)
        if is_most:
            return self._whole.at_levels(of_place, n_levels) - counts
        return counts


class _Axes:
    """How many places of whole axes are at each level, counted once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Levels, Indices]] = {}

    def at_levels(self, of_place: Levels, n_levels: int) -> Indices:
        if id(of_place) not in self._known:
            counts = np.bincount(of_place, minlength=n_levels)
            # What is held keeps its identity for itself.
            self._known[id(of_place)] = of_place, counts
        return self._known[id(of_place)][1]


class Rows(Population):
    """Assignments that are listed by their places.

    Parameters
    ----------
    places : mapping of int to ndarray of int64, shape (n,)
        For each axis that matters, where each assignment is along it.
    """

    def __init__(self, places: Mapping[int, Indices], n_rows: int) -> None:
        self._places, self._n_rows = places, n_rows

    @classmethod
    def of(cls, grid: Grid, rows: Indices | None) -> Rows:
        """Return some rows of the space of a grid; None stands for all of them."""
        rows = np.arange(len(grid.space)) if rows is None else rows
        along: dict[int, Indices] = {}
        places = grid.places(rows)
        for axis in reversed(range(len(grid.shape))):
            places, along[axis] = np.divmod(places, grid.shape[axis])
        return cls(along, len(rows))

    @override
    def within(self, box: Box) -> Rows:
        if not box:
            return self
        is_in = np.ones(self._n_rows, np.bool_)
        for axis, wanted in box.items():
            is_in &= wanted.take(self._places[axis])
        rows = np.flatnonzero(is_in)
        places = {axis: found.take(rows) for axis, found in self._places.items()}
        return Rows(places, len(rows))

    @override
    def total(self) -> int:
        return self._n_rows

    @override
    def at_levels(self, axis: int, of_place: Levels, n_levels: int) -> Indices:
        places = self._places[axis]
        if len(places) <= len(of_place):
            return np.bincount(of_place.take(places), minlength=n_levels)
        per_place = np.bincount(places, minlength=len(of_place))
        found = np.bincount(of_place, per_place, n_levels)
        return found.astype(np.int64)


def population_of(grid: Grid, rows: Indices | None) -> Population:
    """Return some assignments of a grid; None stands for all of them."""
    if rows is None and len(grid.space) == grid.size:
        return FullGrid(grid.shape)
    return Rows.of(grid, rows)
