"""Rows of a pickle are counted while it is loaded, and forgotten piece by piece.

So are all values but numbers and text of columns that are asked for.

What has been loaded is in the memo of the unpickler. In a pickle that was written in
pieces (`pickle_stream`), the dictionary of the columns is the first thing there, and
its lists grow. They are emptied whenever the unpickler asks for more of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from psyrun.utils import unpickling


def without_values(file: IO[bytes]) -> Any:
    """Return what a pickle holds, if columns: with ranges in the place of lists."""
    return with_scalars(file, frozenset())


def with_scalars(file: IO[bytes], keys: Collection[str]) -> Any:
    """Return what a pickle holds, if columns: with `Scalars` for some keys.

    Ranges are in the place of all other lists.
    """
    reader = _Forgetful(file, keys)
    unpickler = unpickling.unpickler(reader)
    reader.memo = unpickler.memo
    loaded = unpickler.load()
    if not isinstance(loaded, dict):
        return loaded
    return {key: reader.short_form_of(key, column) for key, column in loaded.items()}


class Scalars:
    """The values of a column, if they are numbers or text; they come in pieces."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._n_values = 0
        self._are_scalar = True

    def __len__(self) -> int:
        return self._n_values

    def add(self, values: list[Any]) -> None:
        """Add values after the others, as an array if they are numbers."""
        self._n_values += len(values)
        types = set(map(type, values))
        self._are_scalar &= all(map(_is_scalar, types))
        if self._are_scalar:
            # As objects, numbers would take four times as much memory.
            is_short = types in ({int}, {float})
            self._pieces.append(np.asarray(values) if is_short else list(values))

    def values(self) -> Sequence[Any] | NDArray[Any] | None:
        """Return all values, None if some are larger."""
        pieces = self._pieces
        if not self._are_scalar or not pieces:
            return None
        if all(isinstance(piece, np.ndarray) for piece in pieces):
            return np.concatenate(pieces)
        return [value for piece in pieces for value in piece]


def _is_scalar(kind: type) -> bool:
    return issubclass(kind, str) or not hasattr(kind, "__len__")


class _Forgetful:
    """A file for an unpickler, whose columns are emptied when more of it is read."""

    def __init__(self, file: Any, keys: Collection[str]) -> None:
        self._file = file
        self._scalars = {key: Scalars() for key in keys}
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
        for key, column in (self._columns or {}).items():
            if type(column) is list:
                self._n_forgotten[id(column)] += len(column)
                self._keep(key, column)
                column.clear()
        next_bytes: bytes = self._file.peek(n_bytes)
        return next_bytes

    def _first_loaded(self) -> dict[str, Any] | None:
        """Return the dictionary that the pickle began with; empty if it is none."""
        memo = self.memo.copy()
        if 0 not in memo:
            return {} if memo else None
        return memo[0] if type(memo[0]) is dict else {}

    def _keep(self, key: Any, column: list[Any]) -> None:
        if column and key in self._scalars:
            self._scalars[key].add(column)

    def short_form_of(self, key: Any, column: Any) -> Any:
        """Return what stands for a list, which may have been emptied now and then."""
        if type(column) is not list:
            return column
        if key in self._scalars:
            self._keep(key, column)
            return self._scalars[key]
        return range(self._n_forgotten[id(column)] + len(column))
