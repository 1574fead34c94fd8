"""The axes of a parameter space: which grid its rows are the places of.

They follow from how the space was made, never from its values;
`psyrun.pspace.grid_layout` has the rules. A large grid of which less than one place
in a thousand has a row counts as none.

Places are computed from rows, and rows from places. Nothing is listed that is not
listed by the space itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Column, Indices
from psyrun.pspace.grid_layout import Axis, layout_of, one_axis
from psyrun.pspace.places import InOrder, Places
from psyrun.pspace.space import ParameterSpace

ASSIGNMENT = "assignment"
"""Name of the only dimension of a space that is no grid."""

_REPEAT = "repeat"  # of points, which no parameter tells apart
_MOST_PER_ROW = 1000  # places of a grid; with more it would mostly hold nothing
_FEW_PLACES = 1_000_000  # they do not matter
_EXACT = 2**53  # integers beyond are not all floats


@dataclass(frozen=True)
class Dimension:
    """One dimension of a grid.

    Attributes
    ----------
    name : str
        The parameter; of several parameters their names, joined by ``_``. It is
        ``assignment`` for the only dimension of a space that is no grid.
    space : ParameterSpace
        A point for each place along the dimension.
    """

    name: str
    space: ParameterSpace

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self.space)

    @property
    def keys(self) -> list[str]:
        """Names of the parameters that depend on the place: its coordinates."""
        return self.space.keys()

    def values(self, key: str) -> NDArray[Any]:
        """Return the values of a parameter along the dimension.

        Returns
        -------
        ndarray, shape (size,)
            Of numbers or text if all values are of one type, else of objects.
        """
        return values_of(self.space, key, np.arange(self.size))


@dataclass(frozen=True)
class Grid:
    """The grid that the rows of a space are places of.

    Attributes
    ----------
    space : ParameterSpace
        The space.
    dimensions : tuple of Dimension
        The dimensions; the last varies fastest. There are none for a single point.
    attributes : dict of str to object
        Parameters that have the same value everywhere.
    """

    space: ParameterSpace
    dimensions: tuple[Dimension, ...]
    attributes: Mapping[str, Any]
    _places: Places

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of places along each dimension."""
        return tuple(dimension.size for dimension in self.dimensions)

    @property
    def size(self) -> int:
        """Number of places."""
        return math.prod(self.shape)

    @property
    def is_in_order(self) -> bool:
        """Whether each row has the place of its number, and each place a row."""
        return isinstance(self._places, InOrder)

    def places(self, rows: Indices) -> Indices:
        """Return the places of rows, counted through the grid in C order.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Indices of points of the space, none of them negative.

        Returns
        -------
        ndarray of int64, shape (n,)
            Numbers from 0 to ``size - 1``.
        """
        return self._places.of_rows(rows)

    def rows(self, places: Indices) -> Indices:
        """Return the rows at some places.

        Parameters
        ----------
        places : ndarray of int64, shape (n,)
            Places, counted as `places` does.

        Returns
        -------
        ndarray of int64, shape (n,)
            Indices of points of the space, -1 where there is none.
        """
        return self._places.rows_at(places)

    def position(self, row: int) -> tuple[int, ...]:
        """Return where a row is, one index for each dimension.

        `row` is from 0 to ``len(space) - 1``.
        """
        (place,) = self.places(np.array([row]))
        return tuple(int(i) for i in np.unravel_index(place, self.shape))

    def point(self, position: Sequence[int]) -> dict[str, Any]:
        """Return what the coordinates say of a position, for all parameters.

        Parameters
        ----------
        position : sequence of int
            One index for each dimension, none of them negative.

        Returns
        -------
        dict of str to object
            The value of each parameter. No point of the space needs to be there.
        """
        found = dict(self.attributes)
        for dimension, index in zip(self.dimensions, position, strict=True):
            found |= dimension.space.point(index)
        return {key: found[key] for key in self.space.keys()}  # noqa: SIM118


def grid_of(space: ParameterSpace) -> Grid:
    """Return the axes of a space, and which row is where; see `psyrun.pspace.axes`.

    Parameters
    ----------
    space : ParameterSpace
        Any space, also one that was frozen. Its size does not matter.

    Returns
    -------
    Grid
        Its grid.

    Examples
    --------
    >>> from psyrun import Param
    >>> grid = grid_of(Param(x=[1, 2, 3], unit="mV") * Param(a=[1, 2], b=[3, 4]))
    >>> [(each.name, each.keys, each.size) for each in grid.dimensions]
    [('x', ['x'], 3), ('a_b', ['a', 'b'], 2)]
    >>> grid.attributes, grid.position(5)
    ({'unit': 'mV'}, (2, 1))
    """
    layout = layout_of(space)
    n_places = math.prod(layout.shape)
    if n_places > _FEW_PLACES and n_places > _MOST_PER_ROW * len(space):
        layout = one_axis(space, is_rest=True)
    large = [axis for axis in layout.axes if len(axis.space) != 1]
    names = _names(large, space.keys())
    attributes = dict[str, Any]()
    for axis in layout.axes:
        if axis not in large:
            attributes |= axis.space.point(0)
    dimensions = tuple(
        Dimension(name, axis.space) for name, axis in zip(names, large, strict=True)
    )
    return Grid(space, dimensions, attributes, layout.places)


def values_of(space: ParameterSpace, key: str, rows: Indices) -> NDArray[Any]:
    """Return the values of a key at some rows, as numbers or text if all are such.

    Parameters
    ----------
    space : ParameterSpace
        The space.
    key : str
        One of its keys.
    rows : ndarray of int64, shape (n,)
        Indices of points, none of them negative.

    Returns
    -------
    ndarray, shape (n,)
        Of numbers, text, or dates of NumPy if all values are of one such type, or are
        numbers that one type holds exactly; else of objects.
    """
    try:
        return space.gather(key, rows, _exact)
    except _NoNumbersError:
        pass
    values = space.gather(key, rows, _taken)
    kinds = set(map(type, values))
    if float in kinds and _are_integers_and_nan(values):
        return values.astype(np.float64)
    kind = kinds.pop() if len(kinds) == 1 else object
    # Neither text nor bytes of NumPy have null characters at their end.
    is_plain = kind is bool or issubclass(kind, np.number | np.bool_ | np.datetime64)
    if is_plain or (
        kind in (str, np.str_) and not any(value[-1:] == "\0" for value in values)
    ):
        return np.array(values.tolist())
    return values


def _are_integers_and_nan(values: NDArray[np.object_]) -> bool:
    """Whether values are integers of NumPy that floats have exactly, but for nan."""
    others = [
        value for value in values if not (isinstance(value, float) and value != value)
    ]
    return bool(others) and all(
        isinstance(value, np.integer) and abs(int(value)) <= _EXACT for value in others
    )


class _NoNumbersError(Exception):
    """Some values of a column are no numbers."""


def _exact(column: Column, rows: Indices) -> NDArray[Any]:
    numbers = None if _is_bool(column, rows) else column.numbers(rows)
    if numbers is None:
        raise _NoNumbersError
    return numbers


def _is_bool(column: Column, rows: Indices) -> bool:
    held = column.held()
    if held is None:
        # Others of its values may take long to compute, or be none.
        some = rows if column.n_places > 1 else rows[:1]
        return bool in set(map(type, column.take(some)))
    return held.dtype.kind not in "iuf"


def _taken(column: Column, rows: Indices) -> NDArray[np.object_]:
    return column.take(rows)


def _names(axes: Sequence[Axis], keys: Sequence[str]) -> list[str]:
    """Name the dimensions; none is called like a parameter of another one."""
    names: list[str] = []
    for axis in axes:
        own = axis.space.keys()
        is_alone = axis.is_rest and len(axes) == 1
        name = ASSIGNMENT if is_alone else "_".join(own) or _REPEAT
        while len(own) != 1 and (name in keys or name in names):
            name += "_"
        names.append(own[0] if len(own) == 1 else name)
    return names
