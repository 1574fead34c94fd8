"""Parameter spaces: what all of them share, and what their operators return."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from operator import index as as_index
from operator import mul
from typing import Any, ClassVar, TypeGuard, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, Indices, listed
from psyrun.pspace.equality import NAN, equal_rows, is_in
from psyrun.pspace.methods import SpaceMethods
from psyrun.pspace.rows import AnyRows, Rows, picked, sliced
from psyrun.utils.typing import override

Factors = tuple["ParameterSpace", ...]
SpaceT = TypeVar("SpaceT", bound="ParameterSpace")
Fetch = Callable[[Column, Indices], NDArray[Any]]

_CHUNK = 256  # points: enough to share the cost of numpy, few enough for memory
_MAX_POINTS = np.iinfo(np.int64).max
_LONGEST_LITERAL = 100  # characters
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
        """Return one point; `row` is from 0 to ``len(self) - 1``."""
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
        """Yield the columns that hold the values, with their keys."""
        return self._listed.leaves()

    def may_lack(self, key: str) -> bool:
        """Return whether there may be points without a key, which is nan there."""
        return key not in self._keys

    def selected(self) -> tuple[ParameterSpace, AnyRows]:
        """Return a space and the rows of it that are the points of this one."""
        return self, range(len(self))

    def chosen(self, rows: AnyRows) -> ParameterSpace:
        """Return the points with some indices, none of them negative."""
        return Selection(self, rows)

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
        rows = np.arange(len(self))
        return {key: self.gather(key, rows, _take).tolist() for key in self._keys}

    def iterate(self) -> Iterator[dict[str, Any]]:
        """Yield the points one by one, holding few of them at a time.

        Yields
        ------
        dict
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
        return _combined(Product, self, other)

    def __add__(self, other: ParameterSpace) -> ParameterSpace:
        return _combined(Sum, self, other)

    def __sub__(self, other: ParameterSpace) -> ParameterSpace:
        if not isinstance(other, ParameterSpace):
            return NotImplemented
        known, keys = self.keys(), other.keys()
        for key in keys:
            if key not in known:
                raise AmbiguousOperationError(f"Key `{key}` not existent in minuend.")
        return Difference(self, other) if keys else self

    def literal(self) -> str | None:
        """Return short Python source of this space, or None if there is none."""
        return None

    def __repr__(self) -> str:
        literal = self.literal()
        if literal is not None and len(literal) <= _LONGEST_LITERAL:
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


class Table(ParameterSpace):
    """Points whose values are held column by column."""

    def __init__(self, columns: Mapping[str, Column], size: int) -> None:
        super().__init__(columns)
        self._columns = dict(columns)
        self._size = size

    def __len__(self) -> int:
        return self._size

    @override
    def point(self, row: int) -> dict[str, Any]:
        return {key: column[row] for key, column in self._columns.items()}

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Fetch from the column of the key."""
        return fetch(self._columns[key], rows)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        return iter(self._columns.items())


def _reduced(space: ParameterSpace) -> tuple[Any, ...]:
    """Pickle a space of the user's own as its points: they may be drawn at random."""
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


def joined_literals(operator: str, operands: Sequence[ParameterSpace]) -> str | None:
    """Return source that joins the sources of operands, or None if one has none."""
    literals = [operand.literal() for operand in operands]
    parts = [
        _bracketed(o, text) for o, text in zip(operands, literals, strict=True) if text
    ]
    text = operator.join(parts)
    return (
        text if len(parts) == len(operands) and len(text) <= _LONGEST_LITERAL else None
    )


def _bracketed(space: ParameterSpace, literal: str) -> str:
    return literal if isinstance(space, Table) else f"({literal})"


def _take(column: Column, rows: Indices) -> NDArray[np.object_]:
    return column.take(rows)


def _combined(
    kind: type[Product | Sum], left: ParameterSpace, right: ParameterSpace
) -> ParameterSpace:
    """Combine two spaces, of which one without keys is neutral."""
    if not isinstance(right, ParameterSpace):
        return NotImplemented
    if left.keys() and right.keys():
        return kind(left, right)
    return left if left.keys() else right


class Product(ParameterSpace):
    """Every combination of the points of its factors; the last varies fastest.

    Raises `AmbiguousOperationError` if some key exists in more than one factor, and
    `len` raises `PsyrunError` if there are more points than 64 bits can count.
    """

    def __init__(self, *factors: ParameterSpace) -> None:
        self.operands = _flatten(Product, factors)
        keys = [key for factor in self.operands for key in factor._keys]
        if len(set(keys)) < len(keys):
            clashing = [f"`{k}`" for k in dict.fromkeys(keys) if keys.count(k) > 1]
            raise AmbiguousOperationError(
                f"Key {', '.join(clashing)} exists in both factors; "
                "rename it in one, or use + to put the spaces one after the other."
            )
        self._keys = tuple(keys)

    @cached_property
    def _strides(self) -> list[int]:
        sizes = [len(factor) for factor in reversed(self.operands)]
        return list(accumulate(sizes, mul, initial=1))[::-1]

    def __len__(self) -> int:
        return _checked_size(self._strides[0])

    @override
    def point(self, row: int) -> dict[str, Any]:
        """Join the points of the factors."""
        joined = {}
        for factor, stride in zip(self.operands, self._strides[1:], strict=True):
            joined.update(factor.point(row // stride % len(factor)))
        return joined

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Gather from the factor that has the key."""
        place = next(i for i, f in enumerate(self.operands) if key in f._keys)
        factor, stride = self.operands[place], self._strides[place + 1]
        return factor.gather(key, rows // stride % len(factor), fetch)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns of all factors."""
        return (leaf for factor in self.operands for leaf in factor.leaves())

    @override
    def may_lack(self, key: str) -> bool:
        return all(factor.may_lack(key) for factor in self.operands)

    @override
    def literal(self) -> str | None:
        return joined_literals(" * ", self.operands)

    @override
    def _summary(self) -> str:
        from psyrun.pspace.showing import factors_text

        return f"<{type(self).__name__}{self._sized()}: {factors_text(self.operands)}>"


class Sum(ParameterSpace):
    """The points of its terms one after the other; absent keys are nan.

    `len` raises `PsyrunError` if there are more points than 64 bits can count.
    """

    def __init__(self, *terms: ParameterSpace) -> None:
        self.operands = _flatten(Sum, terms)
        self._keys = tuple(dict.fromkeys(k for term in terms for k in term._keys))

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate(map(len, self.operands), initial=0))

    def __len__(self) -> int:
        return _checked_size(self._starts[-1])

    @override
    def point(self, row: int) -> dict[str, Any]:
        """Return the point of one term, filled with nan."""
        place = bisect_right(self._starts, row) - 1
        point = self.operands[place].point(row - self._starts[place])
        return dict.fromkeys(self._keys, math.nan) | point

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Gather from each term that the rows touch."""
        if not rows.size:
            return fetch(NAN, rows)
        places = np.searchsorted(self._starts, rows, side="right") - 1
        order = np.argsort(places, kind="stable")
        touched, firsts = np.unique(places[order], return_index=True)
        parts = [
            self._gather_term(place, key, rows[group], fetch)
            for place, group in zip(
                touched.tolist(), np.split(order, firsts[1:]), strict=True
            )
        ]
        joined = np.concatenate(parts)
        result = np.empty_like(joined)
        result[order] = joined
        return result

    def _gather_term(
        self, place: int, key: str, rows: Indices, fetch: Fetch
    ) -> NDArray[Any]:
        term, rows = self.operands[place], rows - self._starts[place]
        return term.gather(key, rows, fetch) if key in term._keys else fetch(NAN, rows)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns of all terms."""
        return (leaf for term in self.operands for leaf in term.leaves())

    @override
    def may_lack(self, key: str) -> bool:
        return any(term.may_lack(key) for term in self.operands)

    @override
    def literal(self) -> str | None:
        return joined_literals(" + ", self.operands)


class Selection(ParameterSpace):
    """The points of a space with some indices, none of them negative."""

    def __init__(self, space: ParameterSpace, rows: AnyRows) -> None:
        self._space = space
        self._rows = rows
        self._keys = space._keys

    @override
    def selected(self) -> tuple[ParameterSpace, AnyRows]:
        """Return the space and the rows of it.

        What is computed is nan where none of the rows has it.
        """
        return self._limited, self._rows

    @cached_property
    def _limited(self) -> ParameterSpace:
        """The space, of which only the values of the rows are computed."""
        from psyrun.pspace.partial import limited

        return (
            limited(self._space, self._rows) if is_a(self, Selection) else self._space
        )

    def __getstate__(self) -> dict[str, Any]:
        state = {key: each for key, each in vars(self).items() if key != "_limited"}
        return {**state, "_space": self._limited}

    @override
    def chosen(self, rows: AnyRows) -> ParameterSpace:
        # A slice of a slice must not nest.
        space, own = self._space, self._rows
        if isinstance(rows, range):
            part = own.part(rows) if isinstance(own, Rows) else sliced(own, rows)
            if part is not None:
                return Selection(space, part)
        return Selection(self, rows)

    def __len__(self) -> int:
        return len(self._rows)

    @override
    def point(self, row: int) -> dict[str, Any]:
        """Return a point of the space selected from."""
        return self._space.point(int(self._rows[row]))

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Gather from the space selected from."""
        return self._space.gather(key, picked(self._rows, rows), fetch)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        """Yield the columns of the space selected from."""
        return ((key, column.known()) for key, column in self._limited.leaves())

    @override
    def may_lack(self, key: str) -> bool:
        return self._space.may_lack(key)

    @override
    def literal(self) -> str | None:
        """Return a slice in Python source, if the indices are one."""
        text, rows = joined_literals("", [self._space]), self._rows
        if text is not None and isinstance(rows, Rows):
            call = rows.literal()
            return None if call is None else text + call
        if text is None or not isinstance(rows, range) or rows.step < 1:
            return None
        step = f":{rows.step}" if rows.step > 1 else ""
        return f"{text}[{rows.start}:{rows.stop}{step}]"


class Difference(Selection):
    """The points of a space whose values no point of another space has.

    Compares `keys`, which exist in both; by default all keys of the subtrahend. The
    points are compared when they are first needed, by one pass over both spaces;
    from then on only the indices of the remaining points are held.
    """

    def __init__(
        self,
        minuend: ParameterSpace,
        subtrahend: ParameterSpace,
        keys: Sequence[str] | None = None,
    ) -> None:
        removal = (subtrahend, tuple(keys or subtrahend.keys()))
        self._space, self._keys = minuend, minuend._keys
        self._removals: tuple[tuple[ParameterSpace, tuple[str, ...]], ...] = (removal,)
        if isinstance(minuend, Difference):
            # A chain of differences would be as deep as it is long.
            self._space = minuend._space
            self._removals = (*minuend._removals, removal)

    @cached_property
    def _rows(self) -> Indices:  # type: ignore[override]
        rows = np.arange(len(self._space))
        for subtrahend, keys in self._removals:
            left = Selection(self._space, rows)
            kept, removed = equal_rows([left, subtrahend], keys)
            rows = rows[~is_in(kept, removed)]
        return rows

    def __reduce__(self) -> tuple[Any, ...]:
        return Selection, self.selected()

    @override
    def literal(self) -> str | None:
        """Return the operands in Python source, if they are compared as ``-`` does."""
        subtrahends = [space for space, _ in self._removals]
        if any(set(keys) != set(space._keys) for space, keys in self._removals):
            return None
        return joined_literals(" - ", [self._space, *subtrahends])

    def _sized(self) -> str:
        return super()._sized() if "_rows" in vars(self) else ""


def is_a(space: ParameterSpace, kind: type[SpaceT]) -> TypeGuard[SpaceT]:
    """Whether a space has the points that its class computes.

    One of a class of the user's own may have others.
    """
    return isinstance(space, kind) and type(space).gather is kind.gather


def spanned(
    space: Product, keys: Collection[str]
) -> tuple[Factors, ParameterSpace, Factors]:
    """Return the factors of a product from the first to the last with some keys.

    Also those before and after them.
    """
    owners = [i for i, f in enumerate(space.operands) if {*f._keys} & {*keys}]
    first, end = owners[0], owners[-1] + 1
    part = space.operands[first:end]
    between = part[0] if len(part) == 1 else Product(*part)
    return space.operands[:first], between, space.operands[end:]


def _flatten(
    kind: type[Product | Sum], operands: Sequence[ParameterSpace]
) -> tuple[ParameterSpace, ...]:
    """Replace operands of a kind by their own: a loop must not nest them deeply."""
    return tuple(
        part
        for operand in operands
        for part in (operand.operands if isinstance(operand, kind) else (operand,))
    )


def _checked_size(size: int) -> int:
    if size > _MAX_POINTS:
        raise PsyrunError(
            f"the parameter space has {size:.3g} points, but at most {_MAX_POINTS:.3g} "
            "can be counted; use fewer values."
        )
    return size
