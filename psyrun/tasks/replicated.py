"""Whether a task takes the random numbers that the replicates of its space give."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError, TaskError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import absent
from psyrun.pspace.replicates import REPLICATE, RNG, SEED, RandomSupply, seeding_of
from psyrun.pspace.space import Product, Sum, is_a
from psyrun.tasks.config import Setting

_AT_ONCE = 2**20  # points


def given_by_replicates(
    execute: Callable[..., Any],
    space: ParameterSpace,
    settings: Mapping[str, Setting],
) -> frozenset[str]:
    """Return the arguments of `execute` that replicates may give it.

    Raises `TaskError` if the space has replicates that do not go together, or `execute`
    takes none of their random numbers.
    """
    supply = _supply(execute, space, settings)
    return frozenset() if supply is None else frozenset({REPLICATE, RNG, SEED})


def check_repeated(
    execute: Callable[..., Any],
    space: ParameterSpace,
    settings: Mapping[str, Setting],
) -> None:
    """Refuse points that are no replicates if `execute` needs random numbers.

    That takes a pass over those that were chosen from points of both kinds.
    """
    supply = _supply(execute, space, settings)
    if supply is None or not supply.needs:
        return
    row = _first_without(space, REPLICATE)
    if row is not None:
        name = min(supply.needs)
        raise TaskError(
            f"{settings['pspace'].where}: execute needs {name!r}, but assignment "
            f"{row} is not multiplied by replicates. Multiply all of pspace by "
            f"them, or give {name!r} a default in execute."
        )


def _first_without(space: ParameterSpace, key: str) -> int | None:
    """Return the first point of a space that lacks a parameter, None if none does."""
    if not len(space) or not space.may_lack(key):
        return None
    if key not in space.keys():  # noqa: SIM118
        return 0
    if is_a(space, Sum):
        return _first_in_terms(space.operands, key)
    if is_a(space, Product):
        place, own = 0, None
        for factor in space.operands:
            place *= len(factor)
            if own is None and key in factor.keys():  # noqa: SIM118
                own = _first_without(factor, key)
                place += own or 0
        return None if own is None else place
    for begin in range(0, len(space), _AT_ONCE):
        rows = np.arange(begin, min(begin + _AT_ONCE, len(space)))
        is_absent = absent(space, key, rows)
        if is_absent.any():
            return int(rows[is_absent.argmax()])
    return None


def _first_in_terms(terms: Iterable[ParameterSpace], key: str) -> int | None:
    begin = 0
    for term in terms:
        found = _first_without(term, key)
        if found is not None:
            return begin + found
        begin += len(term)
    return None


def _supply(
    execute: Callable[..., Any],
    space: ParameterSpace,
    settings: Mapping[str, Setting],
) -> RandomSupply | None:
    try:
        seeding = seeding_of(space)
    except PsyrunError as error:
        raise TaskError(f"{settings['pspace'].where}: pspace: {error}") from error
    if seeding is None:
        return None
    try:
        return RandomSupply.of(execute, space)
    except PsyrunError as error:
        signature = " ".join(str(inspect.signature(execute)).split())
        raise TaskError(
            f"{settings['execute'].where}: execute{signature}: {error}"
        ) from error
