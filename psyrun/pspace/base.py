"""What all parameter spaces share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import index as as_index
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, Indices, listed
from psyrun.pspace.methods import SpaceMethods
from psyrun.pspace.rows import AnyRows

if TYPE_CHECKING:
    from psyrun.pspace.space import Table

Fetch = Callable[[Column, Indices], NDArray[Any]]
"""What is wanted of some rows of a column, shape (n,)."""
LONGEST_LITERAL = 100
"""How long Python source of a space may be, in characters."""

_CHUNK = 256  # points: enough to share the cost of numpy, few enough for memory
_BY_INDEX = (
    *("point", "gather", "leaves", "may_lack", "selected", "chosen"),
    *("literal", "_summary"),
)


class AmbiguousOperationError(PsyrunError, RuntimeError):
    """The keys of the operands leave more than one meaning for an operation."""

    __module__ = "psyrun.pspace"  # the public place, as tracebacks show it


class ParameterSpace(SpaceMethods, ABC):
    """Points that assign a value to each of some keys.

    ``len(space)`` is the number of points, ``space[i]`` the dictionary of one
    point (negative indices count from the end) and ``space[a:b:c]`` a space.
    Iterating gives the dictionaries of all points. ``*``, ``+`` and ``-``
    combine spaces; see :mod:`psyrun.pspace`.

    A space of your own needs `iterate` and ``__len__``; its points are then listed
    once, when they are first needed. One that can compute any point overrides
    `point`, `gather` and `leaves` instead.

    Parameters
    ----------
    keys : iterable of str, optional
        Names of the parameters. Without them they are those that the method `keys`
        of your class returns, or else those of its first point.

    Raises
    ------
    AmbiguousOperationError
        By ``*`` if a parameter is in both spaces, and by ``-`` if the subtrahend has
        one that the minuend lacks.
    PsyrunError
        By what needs the points of a space of your own, if there are more or fewer
        than its length, or one lacks a key. By `len` if 64 bits cannot count them.
    IndexError
        By ``space[i]`` if there is no such point.
    """

    _computed: ClassVar[type[ParameterSpace]]

    def __init__(self, keys: Iterable[str] | None = None) -> None:
        if keys is not None:
            self._keys = tuple(keys)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "gather" in own:
            cls._computed = cls
        elif "iterate" in own:
            # What the base class would compute by index has other points.
            for name in set(_BY_INDEX) - own.keys():
                setattr(cls, name, vars(ParameterSpace)[name])
            cls.__reduce__ = _reduced  # type: ignore[method-assign, assignment]

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        if type(self).keys is not ParameterSpace.keys:
            return tuple(self.keys())
        return tuple(next(iter(self.iterate()), {}))

    @cached_property
    def _listed(self) -> Table:
        """The points of `iterate` of a class that has no other methods."""
        if type(self).iterate is ParameterSpace.iterate:
            name = type(self).__name__
            raise NotImplementedError(f"{name} must have a method 'iterate'")
        from psyrun.pspace.space import Table

        points, keys = list(self.iterate()), self._keys
        if len(points) != len(self):
            raise PsyrunError(
                f"{type(self).__name__}: iterate yields {len(points)} points, but the "
                f"length is {len(self)}. Let '__len__' return their number."
            )
        return Table(
            {key: listed(_values(self, points, key)) for key in keys}, len(self)
        )

    @abstractmethod
    def __len__(self) -> int: ...

    def point(self, row: int) -> dict[str, Any]:
        """Return one point.

        Parameters
        ----------
        row : int
            From 0 to ``len(self) - 1``.

        Returns
        -------
        dict of str to object
            The value of each key.
        """
        return self._listed.point(row)

    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
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
            What `fetch` has returned, in the order of `rows`.
        """
        return self._listed.gather(key, rows, fetch)

    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns that hold the values, with their keys.

        A key that several columns hold values of comes several times.
        """
        return self._listed.leaves()

    def may_lack(self, key: str) -> bool:
        """Return whether there may be points without a key, which is nan there."""
        return key not in self._keys

    def selected(self) -> tuple[ParameterSpace, AnyRows]:
        """Return a space and the rows of it that are the points of this one.

        Returns
        -------
        space : ParameterSpace
            The space that was selected from, or this one.
        rows : range, Rows or ndarray of int64, shape (len(self),)
            Indices of points of it, none of them negative.
        """
        return self, range(len(self))

    def chosen(self, rows: AnyRows) -> ParameterSpace:
        """Return the points with some indices, none of them negative."""
        from psyrun.pspace.space import Selection

        return Selection(self, rows)

    def keys(self) -> list[str]:
        """Return the names of the parameters in the order they were written."""
        return list(self._keys)

    def build(self) -> dict[str, list[Any]]:
        """Return all points as columns, which takes memory for all of them.

        Returns
        -------
        dict of str to list
            For each key its values, in the order of the points.
        """
        rows = np.arange(len(self))
        return {key: self.gather(key, rows, _take).tolist() for key in self._keys}

    def iterate(self) -> Iterator[dict[str, Any]]:
        """Yield the points one by one, holding few of them at a time.

        Yields
        ------
        dict of str to object
            The value of each key.
        """
        # A class of the user's own that calls this means the points of its base.
        gather = self._computed.gather
        for start in range(0, len(self), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(self)))
            columns = [gather(self, key, rows, _take).tolist() for key in self._keys]
            for values in zip(*columns, strict=True):
                yield dict(zip(self._keys, values, strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.iterate()

    @overload
    def __getitem__(self, item: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, item: slice) -> ParameterSpace: ...
    def __getitem__(self, item: int | slice) -> dict[str, Any] | ParameterSpace:
        if isinstance(item, slice):
            return self.chosen(range(len(self))[item])
        row, size = as_index(item), len(self)
        if not -size <= row < size:
            raise IndexError(f"point {row} of a space of {size} points")
        return self.point(row % size)

    def __mul__(self, other: ParameterSpace) -> ParameterSpace:
        from psyrun.pspace.space import Product, combined

        return combined(Product, self, other)

    def __add__(self, other: ParameterSpace) -> ParameterSpace:
        from psyrun.pspace.space import Sum, combined

        return combined(Sum, self, other)

    def __sub__(self, other: ParameterSpace) -> ParameterSpace:
        if not isinstance(other, ParameterSpace):
            return NotImplemented
        known, keys = self.keys(), other.keys()
        for key in keys:
            if key not in known:
                raise AmbiguousOperationError(f"Key `{key}` not existent in minuend.")
        from psyrun.pspace.space import Difference

        return Difference(self, other) if keys else self

    def literal(self) -> str | None:
        """Return short Python source of this space, or None if there is none."""
        return None

    def __repr__(self) -> str:
        literal = self.literal()
        if literal is not None and len(literal) <= LONGEST_LITERAL:
            return literal
        return self._summary()

    def _repr_html_(self) -> str:
        from psyrun.pspace.showing import as_html

        return as_html(self)

    def _summary(self) -> str:
        keys = ", ".join(self._keys[:6]) + (", ..." if len(self._keys) > 6 else "")
        return f"<{type(self).__name__}{self._sized()} with keys {keys}>"

    def _sized(self) -> str:
        return f" of {len(self)} points"


def _reduced(space: ParameterSpace) -> tuple[Any, ...]:
    """Pickle a space of the user's own as its points: they may be drawn at random."""
    from psyrun.pspace.space import Table

    return Table, (space._listed._columns, len(space))


def _values(
    space: ParameterSpace, points: Sequence[Mapping[str, Any]], key: str
) -> list[Any]:
    try:
        return [point[key] for point in points]
    except (KeyError, TypeError) as error:
        raise PsyrunError(
            f"{type(space).__name__}: iterate must yield dictionaries with the keys "
            f"{', '.join(space._keys)}; one lacks {key!r}."
        ) from error


def _take(column: Column, rows: Indices) -> NDArray[np.object_]:
    return column.take(rows)
