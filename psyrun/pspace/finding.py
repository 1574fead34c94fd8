"""Points of one space, found in another by how the two are made.

What is found for a point is the first equal point of the other space. A product is
searched factor by factor: each value of a factor is looked up once, and arithmetic
gives the rows. A sum is searched term by term, and a slice or difference in the space
that it is a part of. Only what has no structure is compared row by row.

Keys that a space lacks are nan there. Values are equal as in
`psyrun.pspace.equality`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Column, Indices, RangeColumn
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.rows import (
    Rows,
    are_all_different,
    listed_rows,
    picked,
    places_in,
    places_of,
)
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
)
from psyrun.utils.typing import override

Keys = tuple[str, ...]

_FEW = 256  # points of a term that are no matter
_MOST_TERMS = 64  # beyond, pairs of terms take longer than comparing rows
_SPARSE = 4  # places per row, from which on it takes less memory to search


class Finder(ABC):
    """Where the points of a space, `n_points` of them, are in another space."""

    def __init__(self, n_points: int) -> None:
        self.n_points = n_points

    @abstractmethod
    def at(self, rows: Indices) -> Indices:
        """Return for some points the index of the first equal one, or -1."""

    def all(self) -> Indices:
        """Return that for all points."""
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


def finder(new: ParameterSpace, old: ParameterSpace, keys: Sequence[str]) -> Finder:
    """Return what finds the points of one space in another by some keys.

    Values that cannot be compared raise `PsyrunError`, when they are compared.
    """
    if not (len(new) and len(old) and keys):
        return _Same(len(new), 0 if len(old) else -1)
    return _finder(new, old, tuple(keys))


def _finder(new: ParameterSpace, old: ParameterSpace, keys: Keys) -> Finder:
    if not (len(new) and len(old)):
        return _Same(len(new), -1)
    if (terms := _terms(new)) is not None:
        return _OfTerms(terms, old, keys)
    if is_a(new, Selection) and is_structured(new):
        return _OfSelection(new, old, keys)
    if (terms := _terms(old)) is not None:
        return _AmongTerms(new, terms, keys)
    if is_a(old, Selection) and is_structured(old):
        return _AmongSelected(new, old, keys)
    if is_a(old, Product):
        return _AmongCombinations(new, old, keys)
    if is_a(new, Product):
        return _Reversed(new, old, keys)
    if len(keys) == 1 and (steps := _steps(old, keys[0])) is not None:
        return _AmongSteps(new, old, keys[0], steps)
    return _RowByRow(new, old, keys)


def is_structured(space: ParameterSpace) -> bool:
    """Whether anything can be found faster than by comparing rows."""
    if is_a(space, Selection):
        return is_structured(space.selected()[0])
    return is_a(space, Product) or _terms(space) is not None


def are_different(space: ParameterSpace, keys: Sequence[str]) -> bool:
    """Whether no two points of a space are equal in some keys."""
    own = tuple(key for key in keys if key in space._keys)
    if len(space) <= 1 or not own:
        return len(space) <= 1
    if is_a(space, Product):
        return all(are_different(factor, own) for factor in space.operands)
    if is_a(space, Selection) and is_structured(space):
        return _are_selected_different(space, own)
    if (terms := _terms(space)) is not None:
        return _are_terms_different(terms, own)
    if any(_steps(space, key) is not None for key in own):
        return True
    return _n_distinct(equal_rows([space], own)[0]) == len(space)


def _are_selected_different(space: ParameterSpace, keys: Keys) -> bool:
    whole, rows = space.selected()
    if are_all_different(rows) and are_different(whole, keys):
        return True
    rows = listed_rows(rows)
    first = first_equals(whole, keys)
    classes = rows if first is None else first.many(rows)
    return _n_distinct(classes) == len(rows)


def _are_terms_different(terms: Sequence[ParameterSpace], keys: Keys) -> bool:
    if not all(are_different(term, keys) for term in terms):
        return False
    by_size = sorted(terms, key=len)
    return not any(
        _finder(one, other, keys).count()
        for i, one in enumerate(by_size)
        for other in by_size[i + 1 :]
    )


def _n_distinct(numbers: Indices) -> int:
    return len(np.unique(numbers))


def count_different(space: ParameterSpace, keys: Keys) -> int:
    """Return how many points differ from each other in some keys.

    A product is not listed for that.
    """
    own = tuple(key for key in keys if key in space._keys)
    if not own:
        return min(len(space), 1)
    if is_a(space, Product):
        return math.prod(count_different(factor, own) for factor in space.operands)
    first = first_equals(space, own)
    return len(space) if first is None else _n_distinct(first.all())


def first_equals(space: ParameterSpace, keys: Keys) -> Finder | None:
    """Return what finds the first equal point of the same space.

    None if no two are equal.
    """
    return None if are_different(space, keys) else _finder(space, space, keys)


def _terms(space: ParameterSpace) -> list[ParameterSpace] | None:
    """Return the terms of a sum, of which small ones that are neighbours are one.

    None if the space is no sum, or it is not worth the effort.
    """
    if not is_a(space, Sum):
        return None
    found: list[ParameterSpace] = []
    for is_small, terms in groupby(space.operands, _is_small):
        neighbours = list(terms)
        found += [Sum(*neighbours)] if is_small else neighbours
    return found if 1 < len(found) <= _MOST_TERMS else None


def _is_small(term: ParameterSpace) -> bool:
    return len(term) <= _FEW or not is_structured(term)


def _factors(space: ParameterSpace) -> tuple[ParameterSpace, ...]:
    return space.operands if is_a(space, Product) else (space,)


def _product(factors: Sequence[ParameterSpace]) -> ParameterSpace:
    if not factors:
        return Table({}, 1)
    return factors[0] if len(factors) == 1 else Product(*factors)


def _steps(space: ParameterSpace, key: str) -> range | None:
    """Return the values of a key if they are a range."""
    column = space._columns.get(key) if is_a(space, Table) else None
    return column.steps if isinstance(column, RangeColumn) else None


class _Same(Finder):
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


class _RowByRow(Finder):
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


class _AmongSteps(_RowByRow):
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


class _OfTerms(Finder):
    """The points of a sum."""

    def __init__(
        self, terms: Sequence[ParameterSpace], old: ParameterSpace, keys: Keys
    ) -> None:
        self._starts = [0, *accumulate(map(len, terms))]
        super().__init__(self._starts[-1])
        self._terms = [_finder(term, old, keys) for term in terms]

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


class _AmongTerms(Finder):
    """The other space is a sum."""

    def __init__(
        self, new: ParameterSpace, terms: Sequence[ParameterSpace], keys: Keys
    ) -> None:
        super().__init__(len(new))
        self._new, self._terms, self._keys = new, terms, keys
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
        for term, finder_ in zip(self._terms, self._finders(), strict=False):
            if finder_.may_find():
                if lacking is None:
                    more = find(finder_)
                    found = np.where(more < 0, -1, more + start)
                else:
                    more = finder_.many(lacking if rows is None else rows[lacking])
                    found[lacking] = np.where(more < 0, -1, more + start)
                lacking = np.flatnonzero(found < 0)
                if not len(lacking):
                    break
            start += len(term)
        return found

    def _finders(self) -> Iterator[Finder]:
        """Yield what finds points in each term; it is made when it is needed."""
        for i, term in enumerate(self._terms):
            if i == len(self._known):
                self._known.append(_finder(self._new, term, self._keys))
            yield self._known[i]


class _OfSelection(Finder):
    """Some points of a space."""

    def __init__(self, new: ParameterSpace, old: ParameterSpace, keys: Keys) -> None:
        super().__init__(len(new))
        whole, self._rows = new.selected()
        self._whole = _finder(whole, old, keys)

    @override
    def all(self) -> Indices:
        return self._whole.many(listed_rows(self._rows))

    @override
    def may_find(self) -> bool:
        return self._whole.may_find()

    @override
    def at(self, rows: Indices) -> Indices:
        return self._whole.many(picked(self._rows, rows))


class _AmongSelected(Finder):
    """The other space has some points of a space only."""

    def __init__(self, new: ParameterSpace, old: ParameterSpace, keys: Keys) -> None:
        super().__init__(len(new))
        whole, rows = old.selected()
        self._size = len(whole)
        self._whole = _finder(new, whole, keys)
        self._rows, self._first_equals = rows, first_equals(whole, keys)

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


def inverse(numbers: Indices, size: int) -> Callable[[Indices], Indices]:
    """Return what finds the first place of a number, and else -1.

    All numbers are below `size`. It finds -1 for negative ones.
    """
    if size <= _SPARSE * len(numbers):
        first = np.full(size + 1, -1, dtype=np.int64)
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        first[-1] = -1
        return lambda wanted: first[wanted]  # the last place is that of -1
    order = np.argsort(numbers, kind="stable")
    order = order[np.searchsorted(numbers[order], 0) :]
    if not len(order):
        return lambda wanted: np.full(len(wanted), -1, dtype=np.int64)
    numbers = numbers[order]

    def search(wanted: Indices) -> Indices:
        places = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        return np.where(numbers[places] == wanted, order[places], -1)

    return search


class _Part(NamedTuple):
    """Where the values that one factor has are found in a product.

    `own` are the factors of the space itself that have its keys, and `stride` is how
    many rows there are at each row of the factor.
    """

    own: tuple[int, ...]
    stride: int
    finder: Finder


class _AmongCombinations(Finder):
    """The other space is a product, each factor of which is searched on its own."""

    def __init__(self, new: ParameterSpace, old: ParameterSpace, keys: Keys) -> None:
        super().__init__(len(new))
        self._new = _factors(new)
        self._sizes = [len(factor) for factor in self._new]
        self._strides = _strides(self._sizes)
        self._parts = list(self._parts_of(_factors(old), keys))

    def _parts_of(
        self, factors: Sequence[ParameterSpace], keys: Keys
    ) -> Iterator[_Part]:
        strides = _strides([len(factor) for factor in factors])
        for factor, stride in zip(factors, strides, strict=True):
            if wanted := tuple(key for key in keys if key in factor._keys):
                yield self._part(factor, wanted, stride)
        known = {key for factor in factors for key in factor._keys}
        if lacking := tuple(key for key in keys if key not in known):
            yield self._part(Table({}, 1), lacking, 1)

    def _part(self, factor: ParameterSpace, keys: Keys, stride: int) -> _Part:
        own = tuple(i for i, f in enumerate(self._new) if set(keys) & {*f._keys})
        mine = _product([self._new[i] for i in own])
        return _Part(own, stride, _finder(mine, factor, keys))

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


def _strides(sizes: Sequence[int]) -> list[int]:
    return [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


class _Reversed(Finder):
    """A product whose points are found from the other side, which has no structure."""

    def __init__(self, new: ParameterSpace, old: ParameterSpace, keys: Keys) -> None:
        super().__init__(len(new))
        self._first_equals = first_equals(new, keys)
        self._there = _finder(old, new, keys).all()

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
        return _n_distinct(self._there[self._there >= 0])

    @override
    def may_find(self) -> bool:
        return bool(np.any(self._there >= 0))
