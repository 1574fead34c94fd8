"""Points that are chosen by a condition, or at random."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from operator import index as as_index
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, SpaceWarning
from psyrun.pspace.columns import Indices
from psyrun.pspace.equality import NAN
from psyrun.pspace.functions import Gather, PointFunction
from psyrun.pspace.permutation import Permutation
from psyrun.pspace.rows import AnyRows, ShuffledRows, rows_where
from psyrun.pspace.space import (
    Fetch,
    ParameterSpace,
    Product,
    Sum,
    Table,
    is_a,
    spanned,
)

MOST_LOOKED_AT = 10**8  # points: a byte each while they are looked at


def filtered(space: ParameterSpace, function: Callable[..., Any]) -> ParameterSpace:
    """Return the points for which a function is true; see `ParameterSpace.where`."""
    condition = PointFunction.of(function, "where", space.keys())
    found = filtered_by(space, condition)
    if len(space) and not len(found):
        warnings.warn(
            f"{condition} leaves none of the {len(space)} points.",
            SpaceWarning,
            stacklevel=3,
        )
    return found


class Condition(Protocol):
    """A condition on some parameters."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the parameters."""

    @property
    def title(self) -> str:
        """What it is, for messages."""

    def mask(self, gather: Gather, n_points: int) -> NDArray[np.bool_]:
        """Return for which points it is true; `gather` returns their values."""


def filtered_by(space: ParameterSpace, condition: Condition) -> ParameterSpace:
    """Return the points for which a condition is true, of the factors that have it."""
    if len(space) and not {*space._keys} & {*condition.keys}:
        # A term of a sum that lacks them, all of whose points are the same to it.
        is_kept = condition.mask(_gather_from(space), 1)[0]
        return space if is_kept else space.chosen(range(0))
    if is_a(space, Product):
        before, part, after = spanned(space, condition.keys)
        if before or after:
            return Product(*before, filtered_by(part, condition), *after)
    if is_a(space, Sum) and len(space) > MOST_LOOKED_AT:
        return Sum(*(filtered_by(term, condition) for term in space.operands))
    rows = _rows(space, condition)
    return space if len(rows) == len(space) else space.chosen(rows)


def _rows(space: ParameterSpace, condition: Condition) -> AnyRows:
    return rows_where(mask_of(space, condition))


def mask_of(space: ParameterSpace, condition: Condition) -> NDArray[np.bool_]:
    """Return for which points of a space a condition is true.

    Raises `PsyrunError` if there are too many of them.
    """
    if len(space) > MOST_LOOKED_AT:
        raise PsyrunError(
            f"{condition.title}: {', '.join(condition.keys)} belong to "
            f"{len(space):.3g} points, of which {MOST_LOOKED_AT:.0e} can be looked at "
            "at most; put a condition on each of them first, or multiply by other "
            "parameters afterwards."
        )
    if not is_a(space, Product):
        return condition.mask(_gather_from(space), len(space))
    # Each combination of the parameters is looked at once.
    own = [bool({*factor._keys} & {*condition.keys}) for factor in space.operands]
    pairs = [*zip(space.operands, own, strict=True)]
    part = Product(*(factor for factor, is_own in pairs if is_own))
    mask = condition.mask(_gather_from(part), len(part))
    shape = [len(factor) if is_own else 1 for factor, is_own in pairs]
    sizes = [len(factor) for factor in space.operands]
    return np.broadcast_to(mask.reshape(shape), sizes).reshape(-1)


def chosen_at(space: ParameterSpace, numbers: Indices) -> ParameterSpace:
    """Return points of a space as `chosen_by` does, by their ascending numbers."""
    if len(numbers) == len(space):
        return space
    if not is_a(space, Product):
        return space.chosen(numbers)
    shape, factors, along = list[int](), list[ParameterSpace](), list[Indices]()
    rows = np.unravel_index(numbers, [len(factor) for factor in space.operands])
    for factor, own in zip(space.operands, rows, strict=True):
        used, places = np.unique(own, return_inverse=True)
        if not factor._keys:  # Repeats, which are all alike.
            used, places = np.arange(len(factor)), own
        is_all = len(used) == len(factor)
        factors.append(factor if is_all else factor.chosen(used))
        shape.append(len(used))
        along.append(places)
    narrowed = Product(*factors)
    inner = np.asarray(np.ravel_multi_index(tuple(along), shape))
    return narrowed if len(inner) == len(narrowed) else narrowed.chosen(inner)


def chosen_by(space: ParameterSpace, is_chosen: NDArray[np.bool_]) -> ParameterSpace:
    """Return some points of a space, of a product with as few of its places as can be.

    Parameters
    ----------
    is_chosen : ndarray of bool, shape (n_points,)
        Which points, in the order of the space.
    """
    if is_chosen.all():
        return space
    if not is_a(space, Product):
        return space.chosen(rows_where(is_chosen))
    cells = is_chosen.reshape([len(factor) for factor in space.operands])
    factors, along = [], []
    for axis, factor in enumerate(space.operands):
        others = tuple(each for each in range(cells.ndim) if each != axis)
        is_used: NDArray[np.bool_] = np.asarray(cells.any(axis=others))
        if not factor._keys:  # Repeats, which are all alike.
            is_used[:] = True
        along.append(np.flatnonzero(is_used))
        rows = rows_where(is_used)
        factors.append(factor if len(rows) == len(factor) else factor.chosen(rows))
    narrowed, inner = Product(*factors), cells[np.ix_(*along)].reshape(-1)
    return narrowed if inner.all() else narrowed.chosen(rows_where(inner))


def _gather_from(space: ParameterSpace) -> Gather:
    """Return what gathers from a space, and nan for parameters that it lacks."""

    def gather(key: str, rows: Indices, fetch: Fetch) -> NDArray[Any]:
        known = key in space._keys
        return space.gather(key, rows, fetch) if known else fetch(NAN, rows)

    return gather


def shuffled(space: ParameterSpace, seed: int) -> ParameterSpace:
    """Return all points in a random order; see `ParameterSpace.shuffle`."""
    call = f".shuffle(seed={seed})"
    return space.chosen(_random_rows(space, len(space), seed, "shuffle", call))


def sampled(space: ParameterSpace, n: int, seed: int) -> ParameterSpace:
    """Return different points at random; see `ParameterSpace.sample`."""
    n = whole_number("sample", "the number of points", n, least=0)
    if n > len(space):
        raise PsyrunError(
            f"sample: there are {len(space)} points, and {n} are to be drawn without "
            f"repeats; draw {len(space)} at most."
        )
    call = f".sample({n}, seed={seed})"
    return space.chosen(_random_rows(space, n, seed, "sample", call))


def _random_rows(
    space: ParameterSpace, n: int, seed: int, title: str, call: str
) -> ShuffledRows:
    seed = whole_number(title, "the seed", seed)
    # Spaces of other parameters that are drawn with the same seed have other orders.
    text = f"{seed} {' '.join(space._keys)}"
    return ShuffledRows(Permutation(len(space), text), range(n), call)


def repeated(space: ParameterSpace, n: int) -> ParameterSpace:
    """Return each point several times; see `ParameterSpace.repeat`."""
    n = whole_number("repeat", "the number of repeats", n, least=1)
    return Product(space, Table({}, n)) if n > 1 and space._keys else space


def whole_number(title: str, what: str, value: object, least: int | None = None) -> int:
    """Return a number that must be whole, and `least` or more where given."""
    try:
        number = as_index(value)  # type: ignore[arg-type]
    except TypeError:
        raise PsyrunError(
            f"{title}: {what} is {value!r}; give a whole number."
        ) from None
    if least is not None and number < least:
        raise PsyrunError(f"{title}: {what} is {number}; give {least} or more.")
    return number
