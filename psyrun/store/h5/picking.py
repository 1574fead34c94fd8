"""Rows that are picked from several HDF5 files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple, Self

import numpy as np
import tables

from psyrun.store.arrays import Array, Indices, join_parts
from psyrun.store.h5.layout import read_rows, row_type
from psyrun.store.picks import Picks
from psyrun.utils.files import Filename

_STEP_BYTES = 1 << 22
_MAX_OPEN = 64
_MAX_ARRAYS = 1000

SMALL_CACHE = {"chunk_cache_size": 1 << 20, "chunk_cache_nelmts": 101}
"""Parameters for files of which many are open: what HDF5 keeps of each array."""


class OpenedArrays(NamedTuple):
    """The arrays of an open file by key, and how many of their rows count."""

    arrays: Mapping[str, tables.EArray]
    n_rows: int

    def row_bytes(self) -> int:
        """Return the size of a row, in bytes."""
        return sum(row_type(array).n_bytes for array in self.arrays.values())

    def take(self, rows: Indices) -> dict[str, Array]:
        """Return some rows."""
        low, high = int(rows.min()), int(rows.max()) + 1
        if high - low > 2 * len(rows):
            return self._scattered(rows)
        span = slice(low, high)
        read = {k: read_rows(a, span, self.n_rows) for k, a in self.arrays.items()}
        return {key: column[rows - low] for key, column in read.items()}

    def _scattered(self, rows: Indices) -> dict[str, Array]:
        return {
            key: np.concatenate(
                [read_rows(a, slice(row, row + 1), self.n_rows) for row in rows]
            )
            for key, a in self.arrays.items()
        }


class PickingReader:
    """Reads rows of several files, of which the first ones stay open.

    Parameters
    ----------
    sources : sequence of path-like
        The files.
    opened : callable
        Opens one of them for the body of a ``with`` statement.
    """

    def __init__(
        self,
        sources: Sequence[Filename],
        opened: Callable[[Filename], AbstractContextManager[OpenedArrays]],
    ) -> None:
        self._sources = sources
        self._opened = opened
        self._stack = ExitStack()
        self._open: dict[int, OpenedArrays] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def pieces(self, picks: Picks) -> Iterator[dict[str, Array]]:
        """Yield the picked rows, some MB at a time."""
        sizes = (self._row_bytes(number) for number in range(len(self._sources)))
        step = max(1, _STEP_BYTES // max(1, *sizes, 1))
        for piece in picks.divided(step):
            yield self._gather(piece)

    def _row_bytes(self, number: int) -> int:
        with ExitStack() as stack:
            return self._arrays(number, stack).row_bytes()

    def _gather(self, picks: Picks) -> dict[str, Array]:
        found = [
            (places, self._take(number, rows))
            for number, places, rows in picks.by_origin()
        ]
        back = np.argsort(np.concatenate([places for places, _ in found]))
        keys = dict.fromkeys(key for _, columns in found for key in columns)
        return {
            key: join_parts(key, [c.get(key, len(at)) for at, c in found])[back]
            for key in keys
        }

    def _take(self, number: int, rows: Indices) -> dict[str, Array]:
        with ExitStack() as stack:
            return self._arrays(number, stack).take(rows)

    def _arrays(self, number: int, stack: ExitStack) -> OpenedArrays:
        if number in self._open:
            return self._open[number]
        n_arrays = sum(len(opened.arrays) for opened in self._open.values())
        if len(self._open) >= _MAX_OPEN or n_arrays >= _MAX_ARRAYS:
            return stack.enter_context(self._opened(self._sources[number]))
        found = self._stack.enter_context(self._opened(self._sources[number]))
        self._open[number] = found
        return found
