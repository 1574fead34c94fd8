"""Which part of a grid is wanted."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.axes import Dimension, Grid
from psyrun.pspace.columns import Indices
from psyrun.pspace.conditions import rows_with, unknown_parameter
from psyrun.pspace.param import select
from psyrun.utils.text import listed

_MOST_ROWS = 10**7  # that are looked for


@dataclass(frozen=True)
class Part:
    """A part of a grid.

    Attributes
    ----------
    dimensions : tuple of Dimension
        Its dimensions.
    attributes : dict of str to object
        Parameters that have the same value everywhere in it.
    rows : ndarray of int64 or None
        The row of the space at each place, in C order, -1 where there is none. None
        if all are there, in order.
    """

    dimensions: tuple[Dimension, ...]
    attributes: Mapping[str, Any]
    rows: Indices | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of places along each dimension."""
        return tuple(dimension.size for dimension in self.dimensions)


def part_of(
    grid: Grid, where: Mapping[str, Any] | None, others: Collection[str] = ()
) -> Part:
    """Return the part of a grid where parameters have some values.

    Parameters
    ----------
    grid : Grid
        The grid.
    where : dict of str to object, optional
        For some parameters the value, or a list of values. A dimension of which one
        place is left by a single value becomes an attribute.
    others : collection of str
        Names of columns that are no parameters.

    Raises
    ------
    PsyrunError
        If a key is no parameter, or has no such value.
    """
    chosen, single = _chosen(grid, where, others)
    if not chosen:
        rows = None if grid.is_in_order else grid.rows(np.arange(grid.size))
        return Part(grid.dimensions, grid.attributes, rows)
    return _narrowed(grid, chosen, single)


def first_of(grid: Grid, where: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the first row where parameters have some values, and how many there are.

    None if there is no such row. Raises `PsyrunError` as `part_of` does. If there are
    very many, they are taken to be all in the grid, and the first place is looked at.
    """
    chosen, _ = _chosen(grid, where, ())
    along = [
        chosen.get(number, range(dimension.size))
        for number, dimension in enumerate(grid.dimensions)
    ]
    n_places = math.prod(map(len, along))
    if not n_places:
        return None
    if n_places > _MOST_ROWS:
        place = np.ravel_multi_index([int(each[0]) for each in along], grid.shape)
        row = int(grid.rows(np.array([place]))[0])
        return (row, n_places) if row >= 0 else None
    places = np.ix_(*(np.asarray(each) for each in along))
    rows = grid.rows(np.ravel_multi_index(places, grid.shape).ravel())
    rows = rows[rows >= 0]
    return (int(rows.min()), len(rows)) if len(rows) else None


def _chosen(
    grid: Grid, where: Mapping[str, Any] | None, others: Collection[str]
) -> tuple[dict[int, Indices], set[int]]:
    """Return the chosen places along dimensions, and those with a single value."""
    chosen = dict[int, Indices]()
    single = set[int]()
    for key, wanted in checked_where(where, grid.space.keys(), others).items():
        values, is_list = _listed(wanted)
        number = _dimension_of(grid, key)
        if number is None:
            matches(Param(**{key: [grid.attributes[key]]}), key, values)
            continue
        found = matches(grid.dimensions[number].space, key, values)
        before = chosen.get(number)
        chosen[number] = found if before is None else np.intersect1d(before, found)
        if not is_list:
            single.add(number)
    return chosen, single


def _narrowed(grid: Grid, chosen: Mapping[int, Indices], single: set[int]) -> Part:
    dimensions, attributes = list[Dimension](), dict(grid.attributes)
    along: list[Indices] = []
    for number, dimension in enumerate(grid.dimensions):
        places = chosen.get(number)
        if places is None:
            dimensions.append(dimension)
            along.append(np.arange(dimension.size))
            continue
        along.append(places)
        if number in single and len(places) == 1:
            attributes |= dimension.space.point(int(places[0]))
        else:
            narrowed = select(dimension.space, places)
            dimensions.append(Dimension(dimension.name, narrowed))
    places = np.ravel_multi_index(np.ix_(*along), grid.shape).ravel()
    return Part(tuple(dimensions), attributes, grid.rows(places))


def checked_where(
    where: object, parameters: Collection[str], others: Collection[str]
) -> dict[str, Any]:
    """Return what is asked for by parameter.

    Raises `PsyrunError` if a key is no parameter.
    """
    if where is None:
        return {}
    if not isinstance(where, Mapping):
        raise PsyrunError(
            f"where is of type {type(where).__name__}; give a dictionary with a value, "
            "or a list of values, for some parameters, such as where={'n': 512}."
        )
    for key, wanted in where.items():
        if key in parameters:
            if not _listed(wanted)[0]:
                raise PsyrunError(f"where: the list of {key!r} is empty; list values.")
            continue
        if key in others:
            there = f"The parameters are {listed(list(map(str, parameters)))}."
            raise PsyrunError(
                f"where: {key!r} is a result, not a parameter. {there} Compare results "
                "once they are loaded."
            )
        raise PsyrunError(f"where: {unknown_parameter(key, parameters)}")
    return dict(where)


def _listed(wanted: Any) -> tuple[list[Any], bool]:
    """Return values as a list, and whether they were one."""
    if isinstance(wanted, list | tuple | range | set | frozenset):
        return list(wanted), True
    if isinstance(wanted, np.ndarray) and wanted.ndim:
        return list(wanted), True
    return [wanted], False


def _dimension_of(grid: Grid, key: str) -> int | None:
    for number, dimension in enumerate(grid.dimensions):
        if key in dimension.keys:
            return number
    return None


def matches(space: ParameterSpace, key: str, wanted: list[Any]) -> Indices:
    """Return the rows of a space in which a parameter has one of some values.

    Raises `PsyrunError` as `rows_with` does.
    """
    try:
        return rows_with(space, key, wanted)
    except PsyrunError as error:
        raise PsyrunError(f"where: {error}") from error.__cause__


def where_in_columns(columns: Mapping[str, Any], where: Mapping[str, Any]) -> Indices:
    """Return the rows of columns, of which axes are not known, with some values."""
    found: Indices | None = None
    for key, wanted in where.items():
        rows = matches(Param(**{key: columns[key]}), key, _listed(wanted)[0])
        found = rows if found is None else np.intersect1d(found, rows)
    return np.empty(0, np.int64) if found is None else found
