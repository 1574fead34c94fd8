"""Parameters that are computed from others, or that come beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, Indices, as_numbers, as_objects, listed
from psyrun.pspace.functions import PointFunction
from psyrun.pspace.param import Param, UnequalLengthsError
from psyrun.pspace.rows import AnyRows
from psyrun.pspace.space import (
    AmbiguousOperationError,
    Fetch,
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
    is_a,
    joined_literals,
    spanned,
)
from psyrun.utils.text import shortened, text_of
from psyrun.utils.typing import override

_MOST_HELD = 10**6  # values that are held once some are needed
_MOST_FROZEN = 10**8
_LONGEST_SHOWN = 60  # characters


class ComputedColumn(Column):
    """What a function returns for the points of a space.

    It is called for the points whose values are asked for, and once for each point
    unless there are very many. A pickle holds the values of all points.
    """

    def __init__(self, key: str, function: PointFunction, space: ParameterSpace):
        self._key, self._function, self._space = key, function, space
        self.n_places = len(space)
        self._is_complete = False

    def __reduce__(self) -> tuple[Any, ...]:
        if self.n_places > _MOST_FROZEN:
            raise PsyrunError(
                f"derive: {self._key!r} has {self.n_places:.3g} values, of which "
                f"{_MOST_FROZEN:.0e} can be kept at most; choose points first, such as "
                "with sample, or compute it in the function that is evaluated."
            )
        return listed, (self.take(np.arange(self.n_places)).tolist(),)

    def of(self, space: ParameterSpace) -> ComputedColumn:
        """Return the same for other points."""
        return ComputedColumn(self._key, self._function, space)

    def __getitem__(self, row: int) -> Any:
        return self.take(np.array([row]))[0]

    @override
    def take(self, rows: Indices) -> NDArray[np.object_]:
        if self._is_complete:
            return self._held.take(rows)
        if self.n_places > _MOST_HELD:
            places, inverse = np.unique(rows, return_inverse=True)
            return self._computed(places)[inverse.reshape(rows.shape)]
        places = np.unique(rows[~self._is_known[rows]])
        if len(places):
            self._values[places] = self._computed(places)
            self._is_known[places] = True
            self._is_complete = bool(self._is_known.all())
        return self._values[rows]

    @override
    def numbers(self, rows: Indices) -> NDArray[Any] | None:
        values = self.take(rows)
        return self._held.numbers(rows) if self._is_complete else as_numbers(values)

    @override
    def held(self) -> NDArray[Any] | None:
        return self._held.held() if self._is_complete else None

    @override
    def literal(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return f"{self._key}({', '.join(self._function.keys)})"

    @cached_property
    def _values(self) -> NDArray[np.object_]:
        return np.empty(self.n_places, dtype=np.object_)

    @cached_property
    def _is_known(self) -> NDArray[np.bool_]:
        return np.zeros(self.n_places, dtype=np.bool_)

    @cached_property
    def _held(self) -> Column:
        """The values once all are known, of which numbers take less memory."""
        values = listed(self._values)
        del self._values, self._is_known
        return values

    def _computed(self, rows: Indices) -> NDArray[np.object_]:
        return as_objects(self._function.each(self._space.gather, rows))


class Derived(ParameterSpace):
    """The points of a space with further parameters, one value for each point."""

    def __init__(self, space: ParameterSpace, columns: Mapping[str, Column]) -> None:
        super().__init__([*space._keys, *columns])
        self._space, self._columns = space, dict(columns)

    def __len__(self) -> int:
        return len(self._space)

    @override
    def point(self, row: int) -> dict[str, Any]:
        more = {key: column[row] for key, column in self._columns.items()}
        return self._space.point(row) | more

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Fetch from the column of the key, or gather from the space."""
        if key in self._columns:
            return fetch(self._columns[key], rows)
        return self._space.gather(key, rows, fetch)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        yield from self._space.leaves()
        yield from self._columns.items()

    @override
    def may_lack(self, key: str) -> bool:
        return key not in self._columns and self._space.may_lack(key)

    @override
    def chosen(self, rows: AnyRows) -> ParameterSpace:
        columns = self._columns.items()
        space = self._space.chosen(rows)
        # Of what is computed, only the points that are chosen need be kept.
        known = {k: c.of(space) for k, c in columns if isinstance(c, ComputedColumn)}
        if len(known) < len(columns):
            return super().chosen(rows)
        return Derived(space, known)


class Zip(ParameterSpace):
    """The points of some spaces side by side: the first with the first, and so on."""

    def __init__(self, *operands: ParameterSpace) -> None:
        self.operands = operands
        super().__init__(key for operand in operands for key in operand._keys)

    def __len__(self) -> int:
        return len(self.operands[0])

    @override
    def point(self, row: int) -> dict[str, Any]:
        joined = {}
        for operand in self.operands:
            joined.update(operand.point(row))
        return joined

    @override
    def gather(self, key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        """Gather from the operand that has the key."""
        owner = next(operand for operand in self.operands if key in operand._keys)
        return owner.gather(key, rows, fetch)

    @override
    def leaves(self) -> Iterator[tuple[str, Column]]:
        return (leaf for operand in self.operands for leaf in operand.leaves())

    @override
    def may_lack(self, key: str) -> bool:
        return all(operand.may_lack(key) for operand in self.operands)

    @override
    def literal(self) -> str | None:
        first, *others = self.operands
        texts = [joined_literals("", [first]), *(each.literal() for each in others)]
        if None in texts:
            return None
        return f"{texts[0]}" + "".join(f".zip({text})" for text in texts[1:])


def zipped(left: ParameterSpace, right: ParameterSpace) -> ParameterSpace:
    """Return two spaces side by side; see `ParameterSpace.zip`."""
    if not isinstance(right, ParameterSpace):
        raise PsyrunError(
            f"zip: {shortened(text_of(right), _LONGEST_SHOWN)} is no space; give one, "
            "such as Param(k=[1, 2])."
        )
    if not (left._keys and right._keys):
        return left if left._keys else right
    _check_new("zip", left, right._keys)
    sizes = len(left), len(right)
    if 1 in sizes:
        return Product(left, right)
    if sizes[0] != sizes[1]:
        raise UnequalLengthsError(
            f"zip: the spaces are not equally long ({', '.join(left._keys)}: "
            f"{sizes[0]}, {', '.join(right._keys)}: {sizes[1]}); give them one length, "
            "or multiply them to combine each point with each other."
        )
    if _is_plain(left) and _is_plain(right):
        return Table({**left._columns, **right._columns}, sizes[0])
    parts = (part.operands if is_a(part, Zip) else (part,) for part in (left, right))
    return Zip(*(operand for part in parts for operand in part))


def derived(
    space: ParameterSpace, functions: Mapping[str, Callable[..., Any]]
) -> ParameterSpace:
    """Return a space with further parameters; see `ParameterSpace.derive`."""
    for key, function in functions.items():
        _check_new("derive", space, [key])
        called = PointFunction.of(function, f"derive: {key}", space.keys())
        space = _derived(space, key, called)
    return space


def _derived(space: ParameterSpace, key: str, function: PointFunction) -> Any:
    """Compute a parameter as near to its own parameters as possible.

    So it is a coordinate of the axis that it depends on.
    """
    inside = _derived_inside(space, key, function)
    if inside is not None:
        return inside
    return Derived(space, {key: ComputedColumn(key, function, space)})


def _derived_inside(
    space: ParameterSpace, key: str, function: PointFunction
) -> ParameterSpace | None:
    """Return a space of the same kind; None if it has no part to compute it in."""
    if is_a(space, Product):
        before, part, after = spanned(space, function.keys)
        if before or after:
            return Product(*before, _derived(part, key, function), *after)
    elif is_a(space, Sum) and _all_have(space.operands, function.keys):
        return Sum(*(_derived(term, key, function) for term in space.operands))
    elif is_a(space, Selection):
        inside = _derived_inside(space._space, key, function)
        return None if inside is None else Selection(inside, space._rows)
    elif _is_plain(space) and len(space) <= _MOST_HELD:
        column = ComputedColumn(key, function, space)
        return Table({**space._columns, key: column}, len(space))
    return None


def _is_plain(space: ParameterSpace) -> TypeGuard[Table]:
    """Whether nothing but its values is known of a table; of a design there is more."""
    return type(space) in (Table, Param)


def _all_have(terms: Iterable[ParameterSpace], keys: Iterable[str]) -> bool:
    return all({*keys} <= {*term._keys} for term in terms)


def _check_new(title: str, space: ParameterSpace, keys: Any) -> None:
    if clashing := [f"`{key}`" for key in keys if key in space._keys]:
        raise AmbiguousOperationError(
            f"{title}: key {', '.join(clashing)} is a parameter of the space already; "
            "give the new one another name."
        )
