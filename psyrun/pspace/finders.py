"""What finds the points of one space in another, one class for each way of doing so.

`psyrun.pspace.finding` decides which of them suits two spaces.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Column, Indices
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.rows import (
    AnyRows,
    Rows,
    inverse,
    listed_rows,
    picked,
    places_in,
    places_of,
)
from psyrun.pspace.space import ParameterSpace, Selection
from psyrun.utils.typing import override

Keys = tuple[str, ...]


class Finder(ABC):
    """Where the points of a space, `n_points` of them, are in another space."""

    def __init__(self, n_points: int) -> None:
        self.n_points = n_points

    @abstractmethod
    def at(self, rows: Indices) -> Indices:
        """Return for some points the index of the first equal one, or -1.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Indices of points, none of them negative.

        Returns
        -------
        ndarray of int64, shape (n,)
            Indices of points of the other space.
        """

    def all(self) -> Indices:
        """Return that for all points, shape (n_points,)."""
        return self.at(np.arange(self.n_points))

    def count(self) -> int:
        """Return how many points are found."""
        return int(np.count_nonzero(self.all() >= 0))

    def may_find(self) -> bool:
        """Return whether there may be such a point, as far as that is known."""
        return True

    def many(self, rows: Indices) -> Indices:
        """Return the same as `at`, by way of all points if these are most of them."""
        return self.all()[rows] if 2 * len(rows) > self.n_points else self.at(rows)


class Same(Finder):
    """All points are found at one place, or none is."""

    def __init__(self, n_points: int, row: int) -> None:
        super().__init__(n_points)
        self._row = row

    @override
    def at(self, rows: Indices) -> Indices:
        return np.full(len(rows), self._row, dtype=np.int64)

    @override
    def count(self) -> int:
        return self.n_points if self._row >= 0 else 0

    @override
    def may_find(self) -> bool:
        return self._row >= 0


class RowByRow(Finder):
    """All rows are compared."""

    def __init__(self, new: ParameterSpace, old: ParameterSpace, keys: Keys) -> None:
        super().__init__(len(new))
        self._new, self._old, self._keys = new, old, keys

    @cached_property
    def _all(self) -> Indices:
        return self._found(self._new)

    def _found(self, new: ParameterSpace) -> Indices:
        wanted, there = equal_rows([new, self._old], self._keys)
        size = int(max(wanted.max(initial=-1), there.max(initial=-1))) + 1
        first = np.full(size, -1, dtype=np.int64)
        # Of those that are assigned to one place, the last one stays.
        first[there[::-1]] = np.arange(len(there))[::-1]
        return first[wanted]

    @override
    def all(self) -> Indices:
        return self._all

    @override
    def may_find(self) -> bool:
        return self.count() > 0

    @override
    def at(self, rows: Indices) -> Indices:
        if "_all" in vars(self) or len(rows) >= self.n_points:
            return self._all[rows]
        return self._found(Selection(self._new, rows))


class _NoIntegersError(Exception):
    """Values are no integers that can be computed with."""


class AmongSteps(RowByRow):
    """Values of one key that are a range on the other side, found by arithmetic."""

    def __init__(
        self, new: ParameterSpace, old: ParameterSpace, key: str, steps: range
    ) -> None:
        super().__init__(new, old, (key,))
        self._steps = steps

    @override
    def _found(self, new: ParameterSpace) -> Indices:
        rows, (key,) = np.arange(len(new)), self._keys
        if key not in new._keys:
            return np.full(len(new), -1, dtype=np.int64)
        try:
            values = new.gather(key, rows, _integers)
        except _NoIntegersError:
            return super()._found(new)
        return places_in(self._steps, values)


def _integers(column: Column, rows: Indices) -> Indices:
    numbers = column.numbers(rows)
    if numbers is None or numbers.dtype != np.int64:
        raise _NoIntegersError
    return numbers


class OfTerms(Finder):
    """The points of a sum, found term by term."""

    def __init__(self, terms: Sequence[Finder]) -> None:
        self._starts = [0, *accumulate(term.n_points for term in terms)]
        super().__init__(self._starts[-1])
        self._terms = terms

    @override
    def all(self) -> Indices:
        return np.concatenate([term.all() for term in self._terms])

    @override
    def count(self) -> int:
        return sum(term.count() for term in self._terms)

    @override
    def may_find(self) -> bool:
        return any(term.may_find() for term in self._terms)

    @override
    def at(self, rows: Indices) -> Indices:
        found = np.empty(len(rows), dtype=np.int64)
        for term, (begin, end) in zip(self._terms, pairwise(self._starts), strict=True):
            is_own = (rows >= begin) & (rows < end)
            found[is_own] = term.many(rows[is_own] - begin)
        return found


class AmongTerms(Finder):
    """The other space is a sum.

    Parameters
    ----------
    n_points : int
        How many points are to be found.
    sizes : sequence of int
        How many points each term has.
    make : callable
        Returns what finds the points in the term of a number.
    """

    def __init__(
        self, n_points: int, sizes: Sequence[int], make: Callable[[int], Finder]
    ) -> None:
        super().__init__(n_points)
        self._sizes, self._make = sizes, make
        self._known: list[Finder] = []

    @override
    def at(self, rows: Indices) -> Indices:
        return self._completed(lambda term: term.many(rows), rows)

    @override
    def all(self) -> Indices:
        return self._completed(lambda term: term.all(), None)

    def _completed(
        self, find: Callable[[Finder], Indices], rows: Indices | None
    ) -> Indices:
        n_rows = self.n_points if rows is None else len(rows)
        found, lacking = np.full(n_rows, -1, dtype=np.int64), None
        start = 0
        for size, term in zip(self._sizes, self._terms(), strict=False):
            if term.may_find():
                if lacking is None:
                    more = find(term)
                    found = np.where(more < 0, -1, more + start)
                else:
                    more = term.many(lacking if rows is None else rows[lacking])
                    found[lacking] = np.where(more < 0, -1, more + start)
                lacking = np.flatnonzero(found < 0)
                if not len(lacking):
                    break
            start += size
        return found

    def _terms(self) -> Iterator[Finder]:
        """Yield what finds points in each term; it is made when it is needed."""
        for i in range(len(self._sizes)):
            if i == len(self._known):
                self._known.append(self._make(i))
            yield self._known[i]


class OfSelection(Finder):
    """Some points of a space."""

    def __init__(self, whole: Finder, rows: AnyRows) -> None:
        super().__init__(len(rows))
        self._whole, self._rows = whole, rows

    @override
    def all(self) -> Indices:
        return self._whole.many(listed_rows(self._rows))

    @override
    def may_find(self) -> bool:
        return self._whole.may_find()

    @override
    def at(self, rows: Indices) -> Indices:
        return self._whole.many(picked(self._rows, rows))


class AmongSelected(Finder):
    """The other space has some points of a space only.

    Parameters
    ----------
    whole : Finder
        Finds points in that space.
    rows : range, Rows or ndarray of int64
        Which of its points the other space has.
    size : int
        How many points that space has.
    first_equals : Finder or None
        Finds the first of its points that equals one of them; None if all differ.
    """

    def __init__(
        self, whole: Finder, rows: AnyRows, size: int, first_equals: Finder | None
    ) -> None:
        super().__init__(whole.n_points)
        self._whole, self._rows = whole, rows
        self._size, self._first_equals = size, first_equals

    @override
    def all(self) -> Indices:
        return self._selected(self._whole.all())

    @override
    def may_find(self) -> bool:
        return self._whole.may_find()

    @override
    def at(self, rows: Indices) -> Indices:
        return self._selected(self._whole.many(rows))

    @cached_property
    def _selected(self) -> Callable[[Indices], Indices]:
        rows, first = self._rows, self._first_equals
        if first is not None:
            return inverse(first.many(listed_rows(rows)), self._size)
        if isinstance(rows, range | Rows):
            return lambda wanted: places_of(rows, wanted)
        return inverse(rows, self._size)


class Part(NamedTuple):
    """Where the values that one factor has are found in a product.

    `own` are the factors of the space itself that have its keys, and `stride` is how
    many rows there are at each row of the factor.
    """

    own: tuple[int, ...]
    stride: int
    finder: Finder


class AmongCombinations(Finder):
    """The other space is a product, each factor of which is searched on its own.

    Parameters
    ----------
    sizes : sequence of int
        How many points the factors of the space itself have.
    parts : sequence of Part
        Where values are found, for each factor of the other space.
    """

    def __init__(self, sizes: Sequence[int], parts: Sequence[Part]) -> None:
        super().__init__(math.prod(sizes))
        self._sizes, self._strides, self._parts = sizes, strides_of(sizes), parts

    @override
    def all(self) -> Indices:
        found = np.zeros(self._sizes, dtype=np.int64)
        is_lacking: list[NDArray[np.bool_]] = []
        for part in self._parts:
            shape = [n if i in part.own else 1 for i, n in enumerate(self._sizes)]
            rows = part.finder.all().reshape(shape)
            found += rows * part.stride
            if rows.min(initial=0) < 0:
                is_lacking.append(rows < 0)
        for lacks in is_lacking:
            found[np.broadcast_to(lacks, found.shape)] = -1
        return found.reshape(-1)

    @override
    def at(self, rows: Indices) -> Indices:
        found, is_there = np.zeros_like(rows), np.ones(len(rows), dtype=bool)
        for part in self._parts:
            places = part.finder.many(self._places(part.own, rows))
            is_there &= places >= 0
            found += places * part.stride
        return np.where(is_there, found, -1)

    def _places(self, own: Sequence[int], rows: Indices) -> Indices:
        """Return at which combination of some factors rows are."""
        if len(own) == len(self._sizes):
            return rows
        places = np.zeros_like(rows)
        for i in own:
            size = self._sizes[i]
            places = places * size + rows // self._strides[i] % size
        return places

    @override
    def count(self) -> int:
        owners = [i for part in self._parts for i in part.own]
        if len(set(owners)) < len(owners):
            return super().count()
        others = (n for i, n in enumerate(self._sizes) if i not in owners)
        return math.prod(others) * math.prod(p.finder.count() for p in self._parts)

    @override
    def may_find(self) -> bool:
        return all(part.finder.may_find() for part in self._parts)


def strides_of(sizes: Sequence[int]) -> list[int]:
    """Return how many rows there are at each point of factors of some sizes."""
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


class Reversed(Finder):
    """A product whose points are found from the other side, which has no structure.

    Parameters
    ----------
    n_points : int
        How many points the product has.
    there : ndarray of int64
        For each point of the other side the first equal one of the product, or -1.
    first_equals : Finder or None
        Finds the first point of the product that equals one; None if all differ.
    """

    def __init__(
        self, n_points: int, there: Indices, first_equals: Finder | None
    ) -> None:
        super().__init__(n_points)
        self._there, self._first_equals = there, first_equals

    @cached_property
    def _first(self) -> Callable[[Indices], Indices]:
        return inverse(self._there, self.n_points)

    @override
    def at(self, rows: Indices) -> Indices:
        first = self._first_equals
        return self._first(rows if first is None else first.many(rows))

    @override
    def count(self) -> int:
        if self._first_equals is not None:
            return super().count()
        return count_distinct(self._there[self._there >= 0])

    @override
    def may_find(self) -> bool:
        return bool(np.any(self._there >= 0))


def count_distinct(numbers: Indices) -> int:
    """Return how many numbers there are that differ from each other."""
    return len(np.unique(numbers))
