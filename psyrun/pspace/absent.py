"""Parameters that only some points of a space have, and calls without them.

In a sum such as ``Param(kernel=["rbf"]) + Param(depth=[3])`` the points of one term
lack the parameters of the others. In columns these are nan. A function that has a
default for such a parameter, or takes any by ``**kwargs``, is called without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.equality import NAN
from psyrun.pspace.replicates import SEED, RandomSupply
from psyrun.pspace.space import ParameterSpace
from psyrun.utils.copying import independent_values

if TYPE_CHECKING:
    from psyrun.pspace.columns import Column, Indices


def absent(space: ParameterSpace, key: str, rows: Indices) -> NDArray[np.bool_]:
    """Return which points of a space lack a parameter.

    A point whose value is nan has it.

    Parameters
    ----------
    key : str
        One of the keys of the space.
    rows : ndarray of int64, shape (n,)
        Indices of points, none of them negative.

    Returns
    -------
    ndarray of bool, shape (n,)
        In the order of `rows`.
    """
    return space.gather(key, rows, _is_filler)


def _is_filler(column: Column, rows: Indices) -> NDArray[np.bool_]:
    return np.full(len(rows), column is NAN)


_NOTHING: frozenset[str] = frozenset()


def given(space: ParameterSpace, row: int) -> Mapping[str, Any]:
    """Return a point of a space without the parameters that it lacks."""
    keys = [key for key in space.keys() if space.may_lack(key)]  # noqa: SIM118
    rows = np.array([row])
    lacks = frozenset(key for key in keys if absent(space, key, rows)[0])
    return without(space[row], lacks)


class Arguments:
    """What a function is called with for the points of a space.

    Parameters
    ----------
    function : callable
        If its signature is unknown, it is called with all parameters.
    space : ParameterSpace
        Where the points are from.

    Attributes
    ----------
    supply : RandomSupply or None
        What it gets beside the parameters, if the space has replicates.

    Raises
    ------
    PsyrunError
        If the space has replicates, and the function takes no random numbers.
    """

    def __init__(self, function: Callable[..., Any], space: ParameterSpace) -> None:
        self._space = space
        self.supply = RandomSupply.of(function, space)
        keys = [key for key in space.keys() if space.may_lack(key)]  # noqa: SIM118
        self._optional = _optional(function, keys) if keys else []

    def left_out(self, row: int) -> frozenset[str]:
        """Return the parameters that the function is not called with for a point."""
        if not self._optional:
            return _NOTHING
        rows = np.array([row])
        found = (key for key in self._optional if absent(self._space, key, rows)[0])
        return frozenset(found)

    def of(self, row: int, point: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters for a `point`, which is at `row` of the space.

        Those are the arguments of the function, unless there is a `supply`.
        """
        return without(point, self.left_out(row)) if self._optional else point

    def shown(self, row: int, point: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what tells how a `point` is evaluated: parameters, and its seed."""
        parameters, supply = self.of(row, point), self.supply
        seed = 0 if supply is None else supply.seeding.seed_of(point)
        return {**parameters, SEED: seed} if seed else parameters

    def all_of(self, row: int, point: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return all arguments for a `point`, which is at `row` of the space."""
        arguments = independent_values(self.of(row, point))
        supply = self.supply
        return arguments if supply is None else supply.added_to(arguments, point)


def without(point: Mapping[str, Any], keys: frozenset[str]) -> Mapping[str, Any]:
    """Return a point without some keys."""
    return {k: v for k, v in point.items() if k not in keys} if keys else point


def _optional(function: Callable[..., Any], keys: list[str]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    takes_any = inspect.Parameter.VAR_KEYWORD in {p.kind for p in parameters.values()}
    return [
        key
        for key in keys
        if (
            parameters[key].default is not inspect.Parameter.empty
            if key in parameters
            else takes_any
        )
    ]
