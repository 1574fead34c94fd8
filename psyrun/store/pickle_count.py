"""Rows of a pickle are counted while it is loaded, and forgotten piece by piece.

What has been loaded is in the memo of the unpickler. In a pickle that was written in
pieces (`pickle_stream`), the dictionary of the columns is the first thing there, and
its lists grow. They are emptied whenever the unpickler asks for more of the file.
"""

from __future__ import annotations

from collections import Counter
from typing import IO, Any

from psyrun.utils import unpickling


def without_values(file: IO[bytes]) -> Any:
    """Return what a pickle holds, if columns: with ranges in the place of lists."""
    reader = _Forgetful(file)
    unpickler = unpickling.unpickler(reader)
    reader.memo = unpickler.memo
    loaded = unpickler.load()
    if not isinstance(loaded, dict):
        return loaded
    return {key: reader.range_for(column) for key, column in loaded.items()}


class _Forgetful:
    """A file for an unpickler, whose columns are emptied when more of it is read."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._columns: dict[str, Any] | None = None
        self._n_forgotten: Counter[int] = Counter()
        self.memo: Any = None
        self.read = file.read
        self.readinto = file.readinto
        self.readline = file.readline

    def peek(self, n_bytes: int, /) -> bytes:
        """Return bytes that come next, and forget what came before."""
        if self._columns is None:
            self._columns = self._first_loaded()
        for column in (self._columns or {}).values():
            if type(column) is list:
                self._n_forgotten[id(column)] += len(column)
                column.clear()
        next_bytes: bytes = self._file.peek(n_bytes)
        return next_bytes

    def _first_loaded(self) -> dict[str, Any] | None:
        """Return the dictionary that the pickle began with; empty if it is none."""
        memo = self.memo.copy()
        if 0 not in memo:
            return {} if memo else None
        return memo[0] if type(memo[0]) is dict else {}

    def range_for(self, column: Any) -> Any:
        """Return a range as long as a list was before it was emptied."""
        if type(column) is not list:
            return column
        return range(self._n_forgotten[id(column)] + len(column))
