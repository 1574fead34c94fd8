"""Parameter spaces that are columns, or that the operators of spaces return."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from operator import mul
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.base import (
    LONGEST_LITERAL,
    AmbiguousOperationError,
    Fetch,
    ParameterSpace,
)
from psyrun.pspace.columns import Column, Indices
from psyrun.pspace.equality import NAN, equal_rows, is_in
from psyrun.pspace.rows import AnyRows, Rows, picked, sliced
from psyrun.utils.typing import override

__all__ = [
    "AmbiguousOperationError",
    "Difference",
    "Factors",
    "Fetch",
    "ParameterSpace",
    "Product",
    "Selection",
    "Sum",
    "Table",
    "combined",
    "is_a",
    "joined_literals",
    "spanned",
]

Factors = tuple[ParameterSpace, ...]
SpaceT = TypeVar("SpaceT", bound=ParameterSpace)

_MAX_POINTS = np.iinfo(np.int64).max


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


def joined_literals(operator: str, operands: Sequence[ParameterSpace]) -> str | None:
    """Return source that joins the sources of operands, or None if one has none."""
    literals = [operand.literal() for operand in operands]
    parts = [
        _bracketed(o, text) for o, text in zip(operands, literals, strict=True) if text
    ]
    text = operator.join(parts)
    return (
        text if len(parts) == len(operands) and len(text) <= LONGEST_LITERAL else None
    )


def _bracketed(space: ParameterSpace, literal: str) -> str:
    return literal if isinstance(space, Table) else f"({literal})"


def combined(
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
