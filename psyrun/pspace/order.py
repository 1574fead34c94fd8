"""Orders in which the points of a space are evaluated.

An order is a bijection between times and points, both counted from 0. Those of products
and of sums of few terms hold no list of points, so that orders of 10¹² points cost no
more than those of ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.pspace.permutation import Permutation
from psyrun.pspace.rows import AnyRows, listed_rows
from psyrun.pspace.space import ParameterSpace, Product, Selection, Sum

_GOLDEN = (math.sqrt(5) - 1) / 2
_N_STEPS = 24  # more are hardly any better
_PREFIXES = (2, 4, 8, 16, 32, 64, 128, 256)  # points that are looked at
_FEWEST = 8  # points among which one has a choice
_MOST_AXES = 8  # beyond that no few points are even
_SAFE = math.isqrt(2**63 - 1) // 2  # products of numbers below fit into 64 bits
_MOST_LISTED = 2**25  # points that are sorted
_FEW_PARTS = 4


class Order(Protocol):
    """When each point of a space is evaluated."""

    def points(self, times: Indices) -> Indices:
        """Return the points that are evaluated at some times."""

    def times(self, points: Indices) -> Indices:
        """Return when some points are evaluated."""


def order_of(space: ParameterSpace, name: str) -> Order | None:
    """Return the order of a name; None for that of the space.

    Parameters
    ----------
    space : ParameterSpace
        What is to be evaluated.
    name : {'space', 'even', 'random'}
        With ``'even'``, the points of any first part cover each axis and the whole
        space about as a low-discrepancy sequence does. With ``'random'``, they are a
        random sample, always the same one of spaces of one size.
    """
    if name == "space":
        return None
    if name == "random":
        size = len(space)
        return _Shuffled(Permutation(size, f"order of {size} points"))
    return _even(space)


def _even(space: ParameterSpace) -> Order:
    match space:
        case Sum():
            return Alternation([(len(term), _even(term)) for term in space.operands])
        case Product():
            return Lattice.of([len(factor) for factor in space.operands])
        case Selection() if len(space) <= _MOST_LISTED:
            base, rows = space.selected()
            return _Selected(_even(base), rows)
    return Lattice.of([len(space)])


@dataclass(frozen=True)
class Lattice:
    """The points ``(start + t * step) % size`` of a grid, for the times t.

    That is a Korobov lattice, which begins in the middle of the grid.

    Attributes
    ----------
    size : int
        Number of points, the last axis varying fastest.
    step : int
        Has no divisor in common with `size`.
    start : int
        The first point.
    """

    size: int
    step: int
    start: int = 0

    @classmethod
    def of(cls, shape: Sequence[int]) -> Lattice:
        """Return the lattice for a grid whose first points are the most even ones.

        Of some steps, the first one by the golden section, the one is taken for which
        the centered L2 discrepancy [1]_ of short prefixes is smallest.

        .. [1] F. J. Hickernell, "A generalized discrepancy and quadrature error bound",
           Mathematics of Computation 67 (1998), 299-322, equation 1.6.
        """
        size = max(1, math.prod(shape))
        axes = [n for n in shape if n > 1][:_MOST_AXES]
        steps = _candidates(size)
        strides = [math.prod(shape[place + 1 :]) for place in range(len(shape))]
        start = sum(p * (n // 2) for p, n in zip(strides, shape, strict=True))
        if len(axes) < 2 or size <= _FEWEST:
            return cls(size, steps[0], start)
        kept = [p for p, n in zip(strides, shape, strict=True) if n > 1][:_MOST_AXES]
        grid = list(zip(kept, axes, strict=True))
        lattices = (cls(size, step, start) for step in steps)
        return min(lattices, key=lambda lattice: lattice._unevenness(grid))

    def points(self, times: Indices) -> Indices:
        """Return the points that are evaluated at some times."""
        return _product(times, self.step, self.size, self.start)

    def times(self, points: Indices) -> Indices:
        """Return when some points are evaluated."""
        inverse = pow(self.step, -1, self.size)
        return _product(points - self.start, inverse, self.size)

    def _unevenness(self, grid: Sequence[tuple[int, int]]) -> float:
        """Return how uneven the first points are, on average over some prefixes.

        `grid` has the stride and the number of values of each axis.
        """
        longest = min(self.size // 2, _PREFIXES[-1])
        points = self.points(np.arange(longest))
        coordinates = np.stack([(points // p % n + 0.5) / n for p, n in grid], axis=1)
        parts = (self.size // 20, self.size // 10)
        lengths = sorted({n for n in (*_PREFIXES, *parts) if 1 < n <= longest})
        found = (discrepancy(coordinates[:n]) * n for n in lengths)
        return math.fsum(found) / len(lengths)


def _product(numbers: Indices, factor: int, size: int, start: int = 0) -> Indices:
    if size <= _SAFE:
        return (start + numbers * factor) % size
    # 64 bits are too few.
    exact = (start + numbers.astype(object) * factor) % size
    return exact.astype(np.int64)


def _candidates(size: int) -> list[int]:
    """Return different steps that reach all points, none of them twice."""
    found: dict[int, None] = {}
    for number in range(1, 4 * _N_STEPS):
        step = round(size * (number * _GOLDEN % 1.0))
        while math.gcd(step, size) != 1:
            step += 1
        found[step % size if size > 1 else 1] = None
        if len(found) == _N_STEPS:
            break
    return list(found)


def discrepancy(points: NDArray[np.float64]) -> float:
    """Return the squared centered L2 discrepancy of points, shape (n, axes)."""
    n, n_axes = points.shape
    away = np.abs(points - 0.5)
    single = np.prod(1 + 0.5 * away - 0.5 * away**2, axis=1)
    pairs = np.ones((n, n))
    for axis in range(n_axes):
        far, x = away[:, axis], points[:, axis]
        pairs *= 1 + 0.5 * (far[:, None] + far - np.abs(x[:, None] - x))
    return float((13 / 12) ** n_axes - 2 * single.mean() + pairs.mean())


class Alternation:
    """Several orders in turn, each in proportion to its number of points.

    The point that comes r-th in a part of n points is due at (r + ½) / n of all times;
    of those due at the same time, the one of the first part comes first.

    Parameters
    ----------
    parts : sequence of (int, Order)
        Numbers of points, and their orders. The points of a part follow those of the
        parts before.
    """

    def __init__(self, parts: Sequence[tuple[int, Order]]) -> None:
        self._parts = [(size, order) for size, order in parts if size]
        self._starts = np.cumsum([0, *(size for size, _ in self._parts)])
        size = int(self._starts[-1])
        # Each part is compared with each of the others, or all points are sorted.
        self._is_listed = len(self._parts) > _FEW_PARTS and size <= _MOST_LISTED

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._parts,)

    @cached_property
    def _listed(self) -> Indices:
        """The points in their order, which is that of the times they are due at."""
        due = np.concatenate([(np.arange(n) + 0.5) / n for n, _ in self._parts])
        points = np.concatenate(
            [
                order.points(np.arange(n)) + start
                for (n, order), start in zip(self._parts, self._starts, strict=False)
            ]
        )
        return points[np.argsort(due, kind="stable")]

    @cached_property
    def _inverse(self) -> Indices:
        return _inverted(self._listed)

    def times(self, points: Indices) -> Indices:
        """Return when some points are evaluated."""
        if self._is_listed:
            return self._inverse[points]
        found = np.empty(len(points), np.int64)
        places = np.searchsorted(self._starts, points, side="right") - 1
        for place, (_, order) in enumerate(self._parts):
            mine = places == place
            ranks = order.times(points[mine] - self._starts[place])
            found[mine] = self._due(place, ranks)
        return found

    def points(self, times: Indices) -> Indices:
        """Return the points that are evaluated at some times."""
        if self._is_listed:
            return self._listed[times]
        found = np.empty(len(times), np.int64)
        for place, (_, order) in enumerate(self._parts):
            ranks = self._last_until(place, times)
            mine = (ranks >= 0) & (self._due(place, np.maximum(ranks, 0)) == times)
            found[mine] = order.points(ranks[mine]) + self._starts[place]
        return found

    def _due(self, place: int, ranks: Indices) -> Indices:
        """Return the times of points of one part that come at some ranks in it."""
        n = self._parts[place][0]
        numbers: NDArray[Any] = ranks
        if int(self._starts[-1]) > _SAFE:
            numbers = ranks.astype(object)
        due = numbers.copy()
        for other, (size, _) in enumerate(self._parts):
            if other == place:
                continue
            # How many of them are due before, or at the same time and first.
            twice = (2 * numbers + 1) * size - n
            before = twice // (2 * n) + 1 if other < place else -(-twice // (2 * n))
            due += before
        return due.astype(np.int64)

    def _last_until(self, place: int, times: Indices) -> Indices:
        """Return the last ranks of a part that are due at some times, or before."""
        size, total = self._parts[place][0], int(self._starts[-1])
        # Each of the parts is at most one point ahead of its share, or behind.
        margin = len(self._parts) + 1
        share = _scaled(times, size, total)
        low = np.maximum(share - margin, -1)
        high = np.minimum(share + margin, size - 1)
        while (low < high).any():
            middle = (low + high + 1) // 2
            is_due = self._due(place, middle) <= times
            low, high = (
                np.where(is_due, middle, low),
                np.where(is_due, high, middle - 1),
            )
        return low


def _scaled(numbers: Indices, factor: int, divisor: int) -> Indices:
    if divisor <= _SAFE:
        return numbers * factor // divisor
    exact = numbers.astype(object) * factor // divisor
    return exact.astype(np.int64)


class _Selected:
    """The order of some points of another space."""

    def __init__(self, base: Order, rows: AnyRows) -> None:
        self._base, self._rows = base, rows

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._base, self._rows)

    @cached_property
    def _listed(self) -> Indices:
        return np.argsort(self._base.times(listed_rows(self._rows)), kind="stable")

    @cached_property
    def _inverse(self) -> Indices:
        return _inverted(self._listed)

    def points(self, times: Indices) -> Indices:
        """Return the points that are evaluated at some times."""
        return self._listed[times]

    def times(self, points: Indices) -> Indices:
        """Return when some points are evaluated."""
        return self._inverse[points]


def _inverted(order: Indices) -> Indices:
    found = np.empty_like(order)
    found[order] = np.arange(len(found))
    return found


@dataclass(frozen=True)
class _Shuffled:
    permutation: Permutation

    def points(self, times: Indices) -> Indices:
        """Return the points that are evaluated at some times."""
        return self.permutation.take(times)

    def times(self, points: Indices) -> Indices:
        """Return when some points are evaluated."""
        return self.permutation.places(points)
