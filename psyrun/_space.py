"""What all parameter spaces share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from operator import index as as_index
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from psyrun._columns import Column, Rows
from psyrun.errors import PsyrunError

Fetch = Callable[[Column, Rows], NDArray[Any]]

_CHUNK = 256  # points: enough to share the cost of numpy, few enough for memory


class AmbiguousOperationError(PsyrunError):
    """The keys of the operands leave more than one meaning for an operation."""

    __module__ = "psyrun.pspace"  # the public place, as tracebacks show it


class ParameterSpace(ABC):
    """Points that assign a value to each of some keys.

    ``len(space)`` is the number of points, ``space[i]`` the dictionary of one
    point (negative indices count from the end) and ``space[a:b:c]`` a space.
    Iterating gives the dictionaries of all points. ``*``, ``+`` and ``-``
    combine spaces; see :mod:`psyrun.pspace`.
    """

    _keys: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def point(self, row: int) -> dict[str, Any]:
        """Return one point; `row` is from 0 to ``len(self) - 1``."""

    @abstractmethod
    def gather(self, key: str, rows: Rows, fetch: Fetch) -> NDArray[Any]:
        """Collect something about the values of one key at many points.

        Parameters
        ----------
        key : str
            One of the keys.
        rows : ndarray of int64, shape (n,)
            Indices of points, none of them negative.
        fetch : callable
            Returns what is wanted for a column and its rows, shape (n,).

        Returns
        -------
        ndarray, shape (n,)
        """

    @abstractmethod
    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns that hold the values, with their keys."""

    def selected(self) -> tuple[ParameterSpace, range | Rows]:
        """Return a space and the rows of it that are the points of this one."""
        return self, range(len(self))

    def keys(self) -> list[str]:
        """Return the names of the parameters in the order they were written."""
        return list(self._keys)

    def build(self) -> dict[str, list[Any]]:
        """Return all points as columns.

        Returns
        -------
        dict of str to list
            For each key its values, in the order of the points.
        """
        return self._build(np.arange(len(self)))

    def iterate(self) -> Iterator[dict[str, Any]]:
        """Yield the points one by one, holding few of them at a time.

        Yields
        ------
        dict
            The value of each key.
        """
        for start in range(0, len(self), _CHUNK):
            columns = self._build(np.arange(start, min(start + _CHUNK, len(self))))
            for values in zip(*columns.values(), strict=True):
                yield dict(zip(self._keys, values, strict=True))

    def _build(self, rows: Rows) -> dict[str, list[Any]]:
        return {key: self.gather(key, rows, _take).tolist() for key in self._keys}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.iterate()

    @overload
    def __getitem__(self, item: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, item: slice) -> ParameterSpace: ...
    def __getitem__(self, item: int | slice) -> dict[str, Any] | ParameterSpace:
        if isinstance(item, slice):
            # What an operator returns is derived from this class.
            from psyrun._algebra import Selection

            space, rows = self.selected()
            return Selection(space, rows[item])
        row, size = as_index(item), len(self)
        if not -size <= row < size:
            raise IndexError(f"point {row} of a space of {size} points")
        return self.point(row % size)

    def __mul__(self, other: ParameterSpace) -> ParameterSpace:
        from psyrun._algebra import multiply

        return multiply(self, other)

    def __add__(self, other: ParameterSpace) -> ParameterSpace:
        from psyrun._algebra import add

        return add(self, other)

    def __sub__(self, other: ParameterSpace) -> ParameterSpace:
        from psyrun._algebra import subtract

        return subtract(self, other)

    def __repr__(self) -> str:
        keys = ", ".join(self._keys[:6]) + (", ..." if len(self._keys) > 6 else "")
        return f"<{type(self).__name__}{self._sized()} with keys {keys}>"

    def _sized(self) -> str:
        return f" of {len(self)} points"


def _take(column: Column, rows: Rows) -> NDArray[np.object_]:
    return column.take(rows)
