"""Points that are chosen by a condition, or at random."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import index as as_index
from typing import Any

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

_MOST_LOOKED_AT = 10**8  # points: a byte each while they are looked at


def filtered(space: ParameterSpace, function: Callable[..., Any]) -> ParameterSpace:
    """Return the points for which a function is true; see `ParameterSpace.where`."""
    condition = PointFunction.of(function, "where", space.keys())
    found = _filtered(space, condition)
    if len(space) and not len(found):
        warnings.warn(
            f"{condition} leaves none of the {len(space)} points.",
            SpaceWarning,
            stacklevel=3,
        )
    return found


def _filtered(space: ParameterSpace, condition: PointFunction) -> ParameterSpace:
    if len(space) and not {*space._keys} & {*condition.keys}:
        # A term of a sum that lacks them, all of whose points are the same to it.
        is_kept = condition.mask(_gather_from(space), 1)[0]
        return space if is_kept else space.chosen(range(0))
    if is_a(space, Product):
        before, part, after = spanned(space, condition.keys)
        if before or after:
            return Product(*before, _filtered(part, condition), *after)
    if is_a(space, Sum) and len(space) > _MOST_LOOKED_AT:
        return Sum(*(_filtered(term, condition) for term in space.operands))
    rows = _rows(space, condition)
    return space if len(rows) == len(space) else space.chosen(rows)


def _rows(space: ParameterSpace, condition: PointFunction) -> AnyRows:
    if len(space) > _MOST_LOOKED_AT:
        raise PsyrunError(
            f"{condition.title}: {', '.join(condition.keys)} belong to "
            f"{len(space):.3g} points, of which {_MOST_LOOKED_AT:.0e} can be looked at "
            "at most; put a condition on each of them first, or multiply by other "
            "parameters afterwards."
        )
    if not is_a(space, Product):
        return rows_where(condition.mask(_gather_from(space), len(space)))
    # Each combination of the parameters is looked at once.
    own = [bool({*factor._keys} & {*condition.keys}) for factor in space.operands]
    pairs = [*zip(space.operands, own, strict=True)]
    part = Product(*(factor for factor, is_own in pairs if is_own))
    mask = condition.mask(_gather_from(part), len(part))
    shape = [len(factor) if is_own else 1 for factor, is_own in pairs]
    sizes = [len(factor) for factor in space.operands]
    return rows_where(np.broadcast_to(mask.reshape(shape), sizes).reshape(-1))


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
