"""Which rows of a space are chosen: a range, an array, or one of the kinds here.

These compute the rows, or hold a bit for each. Their rows are all different.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.pspace.permutation import Permutation
from psyrun.utils.typing import override

_SPARSE = 64  # rows to choose from per row, from which on it is smaller to list them
_SEARCHED = 4  # places per number, from which on it takes less memory to search
_BLOCK = 512  # bits that are counted together
_AT_ONCE = 4096  # blocks that are looked into together


class Rows(ABC):
    """Different rows of a space, each found in constant time."""

    @property
    @abstractmethod
    def keeps_places(self) -> bool:
        """Whether their places on the axes of the space are worth to be kept."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, place: int) -> int: ...

    @abstractmethod
    def take(self, places: Indices) -> Indices:
        """Return the rows at places."""

    @abstractmethod
    def places(self, rows: Indices) -> Indices:
        """Return the places of rows, and -1 for those that are not among them.

        Rows may be negative.
        """

    def part(self, places: range) -> Rows | None:
        """Return the rows at some places, or None if they cannot be told so."""
        return None

    def literal(self) -> str | None:
        """Return what to append to a space in Python source to choose these rows."""
        return None


AnyRows = range | Indices | Rows


class ShuffledRows(Rows):
    """All rows of a space in the order of a permutation, or some of these.

    Parameters
    ----------
    permutation : Permutation
        Of all rows.
    chosen : range
        Places of the permutation.
    call : str
        What made them, in Python source.
    """

    def __init__(self, permutation: Permutation, chosen: range, call: str = "") -> None:
        self._permutation, self._chosen, self._call = permutation, chosen, call

    @property
    @override
    def keeps_places(self) -> bool:
        return len(self._chosen) == len(self._permutation)

    def __len__(self) -> int:
        return len(self._chosen)

    @override
    def __getitem__(self, place: int) -> int:
        return self._permutation[self._chosen[place]]

    @override
    def take(self, places: Indices) -> Indices:
        return self._permutation.take(picked(self._chosen, places))

    @override
    def places(self, rows: Indices) -> Indices:
        found = np.full(len(rows), -1, dtype=np.int64)
        known = np.flatnonzero(rows >= 0)
        found[known] = places_in(self._chosen, self._permutation.places(rows[known]))
        return found

    @override
    def part(self, places: range) -> ShuffledRows:
        return ShuffledRows(self._permutation, sliced(self._chosen, places))

    @override
    def literal(self) -> str | None:
        return self._call or None


class BitmapRows(Rows):
    """Ascending rows, of which a bit says for each row whether it is one of them.

    A count for each block of bits makes it quick to find the n-th one.
    """

    keeps_places = True

    def __init__(self, is_chosen: NDArray[np.bool_]) -> None:
        n_blocks = -(-len(is_chosen) // _BLOCK)
        packed = np.zeros((n_blocks, _BLOCK // 8), dtype=np.uint8)
        bits = np.packbits(is_chosen)
        packed.reshape(-1)[: len(bits)] = bits
        self._packed = packed
        counts = np.add.reduceat(
            is_chosen, np.arange(0, len(is_chosen), _BLOCK), dtype=np.int64
        )
        self._starts = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @override
    def __getitem__(self, place: int) -> int:
        return int(self.take(np.array([place]))[0])

    @override
    def take(self, places: Indices) -> Indices:
        if not len(places):
            return places
        blocks = np.searchsorted(self._starts, places, side="right") - 1
        first, last = int(blocks.min()), int(blocks.max())
        if (last - first) * _BLOCK <= _SPARSE * len(places):
            rows = np.flatnonzero(np.unpackbits(self._packed[first : last + 1]))
            found: Indices = rows[places - self._starts[first]] + first * _BLOCK
            return found
        within = places - self._starts[blocks]
        return self._by_block(blocks, within, _nth_bits) + blocks * _BLOCK

    @override
    def places(self, rows: Indices) -> Indices:
        n_rows = len(self._packed) * _BLOCK
        inside = np.clip(rows, 0, max(n_rows - 1, 0))
        blocks, within = np.divmod(inside, _BLOCK)
        is_there = (self._packed[blocks, within // 8] >> (7 - within % 8)) & 1
        is_there = is_there.astype(np.bool_) & (rows == inside)
        before = self._by_block(blocks, within, _n_bits_before)
        return np.where(is_there, self._starts[blocks] + before, -1)

    def _by_block(self, blocks: Indices, within: Indices, look: Any) -> Indices:
        found = np.empty_like(within)
        for start in range(0, len(within), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            bits = np.unpackbits(self._packed[blocks[some]], axis=1)
            found[some] = look(bits, within[some][:, np.newaxis])
        return found


def _nth_bits(bits: NDArray[np.uint8], places: Indices) -> Indices:
    n_up_to = np.cumsum(bits, axis=1, dtype=np.int16)
    found: Indices = np.argmax(n_up_to > places, axis=1)
    return found


def _n_bits_before(bits: NDArray[np.uint8], ends: Indices) -> Indices:
    is_before = np.arange(bits.shape[1]) < ends
    found: Indices = np.sum(bits * is_before, axis=1, dtype=np.int64)
    return found


def rows_where(is_chosen: NDArray[np.bool_]) -> AnyRows:
    """Return which rows are chosen, as a range if they are evenly spaced."""
    n_chosen = int(np.count_nonzero(is_chosen))
    if n_chosen == 0:
        return range(0)
    first = int(np.argmax(is_chosen))
    last = len(is_chosen) - 1 - int(np.argmax(is_chosen[::-1]))
    step = max((last - first) // max(n_chosen - 1, 1), 1)
    evenly = range(first, last + 1, step)
    if len(evenly) == n_chosen and is_chosen[first : last + 1 : step].all():
        return evenly
    if n_chosen * _SPARSE <= len(is_chosen):
        return np.flatnonzero(is_chosen)
    return BitmapRows(is_chosen)


def picked(rows: AnyRows, places: Indices) -> Indices:
    """Return the rows at places."""
    if isinstance(rows, range):
        return rows.start + rows.step * places
    return rows.take(places) if isinstance(rows, Rows) else rows[places]


def sliced(rows: Any, places: range) -> Any:
    """Return the items of a range or array at some places, without a copy."""
    if not places:
        return rows[:0]
    if places.step > 0:
        return rows[places.start : places.stop : places.step]
    end = places[-1]
    return rows[places.start : end - 1 if end else None : places.step]


def listed_rows(rows: AnyRows) -> Indices:
    """Return all rows as an array."""
    return picked(rows, np.arange(len(rows)))


def have_places(rows: AnyRows) -> bool:
    """Whether the places of rows are found without listing them, or by bisection."""
    if isinstance(rows, Rows):
        return rows.keeps_places
    return isinstance(rows, range) or bool(np.all(np.diff(rows) > 0))


def are_all_different(rows: AnyRows) -> bool:
    """Whether no row is known to occur twice; of arrays only if they are ascending."""
    return isinstance(rows, Rows) or have_places(rows)


def places_of(chosen: AnyRows, rows: Indices) -> Indices:
    """Return the places of rows among those that are chosen, and else -1.

    An array of chosen rows is ascending.
    """
    if isinstance(chosen, range):
        return places_in(chosen, rows)
    if isinstance(chosen, Rows):
        return chosen.places(rows)
    found = np.searchsorted(chosen, rows)
    is_there = found < len(chosen)
    is_there[is_there] = chosen[found[is_there]] == rows[is_there]
    return np.where(is_there, found, -1)


def places_in(steps: range, numbers: Indices) -> Indices:
    """Return at which places of a range numbers are, and else -1."""
    if not steps:
        return np.full(len(numbers), -1, dtype=np.int64)
    first, last = sorted((steps[0], steps[-1]))
    is_there = (numbers >= first) & (numbers <= last)
    # Differences of other numbers might not fit.
    nearby = np.where(is_there, numbers, steps[0]) - steps[0]
    places, rest = np.divmod(nearby, steps.step)
    return np.where(is_there & (rest == 0), places, -1)


def inverse(numbers: Indices, size: int) -> Callable[[Indices], Indices]:
    """Return what finds the first place of a number, and else -1.

    All numbers are below `size`. It finds -1 for negative ones.
    """
    if size <= _SEARCHED * len(numbers):
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
