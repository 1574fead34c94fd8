"""Which row of a space is at which place of a grid, by arithmetic on whole arrays.

Places are counted through the grid in C order: along the last axis first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, Protocol

import numpy as np

from psyrun.pspace.columns import Indices
from psyrun.pspace.rows import AnyRows, picked, places_of
from psyrun.utils.typing import override


class Places(Protocol):
    """Which row is at which place."""

    def of_rows(self, rows: Indices) -> Indices:
        """Return the places of rows."""

    def rows_at(self, places: Indices) -> Indices:
        """Return the rows at places, -1 where there is none."""


class InOrder(Places):
    """Each row has the place of its number."""

    @override
    def of_rows(self, rows: Indices) -> Indices:
        return rows

    @override
    def rows_at(self, places: Indices) -> Indices:
        return places


@dataclass(frozen=True)
class Picked(Places):
    """Some of the rows of others; an array of them is ascending."""

    chosen: AnyRows
    others: Places

    @override
    def of_rows(self, rows: Indices) -> Indices:
        return self.others.of_rows(picked(self.chosen, rows))

    @override
    def rows_at(self, places: Indices) -> Indices:
        return places_of(self.chosen, self.others.rows_at(places))


class Part(NamedTuple):
    """A factor, or a term."""

    places: Places
    n_rows: int
    shape: tuple[int, ...]

    @property
    def n_places(self) -> int:
        """Number of places of the grid."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Crossed(Places):
    """Places of a product, of whose factors some are not in order."""

    factors: tuple[Part, ...]

    @override
    def of_rows(self, rows: Indices) -> Indices:
        found, n_places = np.zeros_like(rows), 1
        for factor in reversed(self.factors):
            rows, own = np.divmod(rows, factor.n_rows)
            found += n_places * factor.places.of_rows(own)
            n_places *= factor.n_places
        return found

    @override
    def rows_at(self, places: Indices) -> Indices:
        found, n_rows = np.zeros_like(places), 1
        is_there = np.ones(len(places), dtype=bool)
        for factor in reversed(self.factors):
            places, own = np.divmod(places, factor.n_places)
            rows = factor.places.rows_at(own)
            is_there &= rows >= 0
            found += n_rows * rows
            n_rows *= factor.n_rows
        return np.where(is_there, found, -1)


@dataclass(frozen=True)
class Appended(Places):
    """Places of terms that follow one another along an axis."""

    terms: tuple[Part, ...]
    axis: int

    @cached_property
    def _first_rows(self) -> Indices:
        return np.array([0, *accumulate(term.n_rows for term in self.terms)])

    @cached_property
    def _first_places(self) -> Indices:
        """Where each term begins along the axis."""
        sizes = (term.shape[self.axis] for term in self.terms)
        return np.array([0, *accumulate(sizes)])

    @cached_property
    def _inner(self) -> int:
        """How many places there are at each place of the axis."""
        return math.prod(self.terms[0].shape[self.axis + 1 :])

    @override
    def of_rows(self, rows: Indices) -> Indices:
        def place(term: int, some: Indices) -> Indices:
            part = self.terms[term]
            own = part.places.of_rows(some - self._first_rows[term])
            outer, along, inner = self._split(own, part.shape[self.axis])
            along = along + self._first_places[term]
            outer = outer * int(self._first_places[-1]) + along
            found: Indices = outer * self._inner + inner
            return found

        return _by_group(_owners(self._first_rows, rows), rows, place)

    @override
    def rows_at(self, places: Indices) -> Indices:
        outer, along, inner = self._split(places, int(self._first_places[-1]))
        owners = _owners(self._first_places, along)

        def row(term: int, some: Indices) -> Indices:
            part = self.terms[term]
            own_along = along[some] - self._first_places[term]
            own = outer[some] * part.shape[self.axis] + own_along
            rows = part.places.rows_at(own * self._inner + inner[some])
            return np.where(rows < 0, -1, rows + self._first_rows[term])

        return _by_group(owners, np.arange(len(places)), row)

    def _split(self, places: Indices, size: int) -> tuple[Indices, Indices, Indices]:
        """Return what places are before, along and after the axis."""
        rest, inner = np.divmod(places, self._inner)
        outer, along = np.divmod(rest, size)
        return outer, along, inner


def _owners(firsts: Indices, numbers: Indices) -> Indices:
    found: Indices = np.searchsorted(firsts, numbers, side="right") - 1
    return found


def _by_group(
    groups: Indices, items: Indices, apply: Callable[[int, Indices], Indices]
) -> Indices:
    """Return what a function makes of the items of each group, in their order."""
    found: Indices = np.empty_like(items)
    for group in np.unique(groups).tolist():
        members = groups == group
        found[members] = apply(group, items[members])
    return found
