"""Arrays of integers that are steps from few numbers, as they are kept on disk.

Which row belongs to which assignment mostly is one number after the other, and which
version it is of the same number throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.store.arrays import Indices

_MOST = 1_000  # progressions
_FEWEST = 10_000  # numbers; less take no room


@dataclass(frozen=True)
class Progressions:
    """Numbers in parts, each of which goes on in equal steps.

    Attributes
    ----------
    starts, steps, lengths : tuple of int
        The first number of each part, the difference of two that follow one another in
        it, and how many there are.
    """

    starts: tuple[int, ...]
    steps: tuple[int, ...]
    lengths: tuple[int, ...]

    def numbers(self) -> Indices:
        """Return all numbers, shape (sum(lengths),)."""
        found, begin = np.empty(sum(self.lengths), np.int64), 0
        for start, step, length in self._parts():
            part = found[begin : begin + length]
            if step:
                part[:] = np.arange(start, start + step * length, step)
            else:
                part[:] = start
            begin += length
        return found

    def _parts(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.starts, self.steps, self.lengths, strict=True)


def compact(numbers: Any) -> Any:
    """Return integers as `Progressions`, or as they are if these would be many."""
    is_array = isinstance(numbers, np.ndarray) and numbers.dtype == np.int64
    if not is_array or numbers.ndim != 1 or len(numbers) < _FEWEST:
        return numbers
    steps = np.diff(numbers)
    turns = np.flatnonzero(steps[1:] != steps[:-1]) + 1
    # A part that ends has one step to the first number of the next.
    if len(turns) > 2 * _MOST:
        return numbers
    return _parts_at(numbers, steps, turns)


def _parts_at(
    numbers: Indices, steps: NDArray[np.int64], turns: NDArray[np.int64]
) -> Progressions:
    starts, ends = [0], []
    for turn in turns.tolist():
        if turn > starts[-1]:
            ends.append(turn + 1)
            starts.append(turn + 1)
    if starts[-1] >= len(numbers):
        starts.pop()
    else:
        ends.append(len(numbers))
    of_parts = [
        int(steps[begin]) if end - begin > 1 else 0
        for begin, end in zip(starts, ends, strict=True)
    ]
    lengths = [end - begin for begin, end in zip(starts, ends, strict=True)]
    return Progressions(
        tuple(numbers[starts].tolist()), tuple(of_parts), tuple(lengths)
    )


def expanded(numbers: Any) -> Any:
    """Return the numbers of `Progressions`, and what is something else as it is."""
    return numbers.numbers() if isinstance(numbers, Progressions) else numbers
