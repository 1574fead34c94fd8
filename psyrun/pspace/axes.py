"""The axes of a parameter space: which grid its rows are the places of.

They follow from how the space was made, never from its values:

- Each factor of a product is a dimension, in the order of the product.
- Parameters of one `Param` are one dimension with several coordinates. Those that
  are given as a scalar are no part of it.
- What has the same value everywhere, such as a factor of one point, is no dimension
  but an attribute.
- A sum whose terms differ in one factor only is one longer axis.
- A difference is the grid of its minuend, in which some places have no row. If that
  has one dimension only, it is a shorter one. A large grid of which less than one place
  in a thousand has a row counts as none.
- A shuffled space has the grid of the space, with its rows at other places; points for
  which a condition is true are like a difference. Points drawn at random are no grid.
- Points side by side, and parameters computed from those of one axis, are coordinates
  of one dimension. What is computed is nan at places of which no point has a row. The
  repeats of each point are a dimension without coordinates.
- A slice is a grid if it takes the same places of each axis at all places of the
  others.
- Anything else is one dimension with all parameters as coordinates.

Places are computed from rows, and rows from places. Nothing is listed that is not
listed by the space itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Column, ConstantColumn, Indices, RangeColumn
from psyrun.pspace.derived import Derived, Zip
from psyrun.pspace.equality import equal_rows
from psyrun.pspace.places import Appended, Crossed, InOrder, Part, Picked, Places
from psyrun.pspace.rows import AnyRows, Rows, have_places
from psyrun.pspace.space import (
    ParameterSpace,
    Product,
    Selection,
    Sum,
    Table,
)

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
        """
        return self._places.of_rows(rows)

    def rows(self, places: Indices) -> Indices:
        """Return the rows at some places, -1 where there is none."""
        return self._places.rows_at(places)

    def position(self, row: int) -> tuple[int, ...]:
        """Return where a row is, one index for each dimension."""
        (place,) = self.places(np.array([row]))
        return tuple(int(i) for i in np.unravel_index(place, self.shape))

    def point(self, position: Sequence[int]) -> dict[str, Any]:
        """Return what the coordinates say of a position, for all parameters."""
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
    layout = _layout(space)
    n_places = math.prod(layout.shape)
    if n_places > _FEW_PLACES and n_places > _MOST_PER_ROW * len(space):
        layout = _one_axis(space, is_rest=True)
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
    """Return the values of a key at some rows, as numbers or text if all are such."""
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


class _Axis(NamedTuple):
    """A future dimension, also one of a single place.

    `is_rest` is true for what no structure is known of.
    """

    space: ParameterSpace
    is_rest: bool = False


class _Layout(NamedTuple):
    axes: tuple[_Axis, ...]
    places: Places

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis.space) for axis in self.axes)

    @property
    def is_in_order(self) -> bool:
        return isinstance(self.places, InOrder)


def _layout(space: ParameterSpace) -> _Layout:
    # A class of the user's own may have other points than that it is derived from.
    found: Any = _LAYOUTS.get(type(space).gather)
    return _one_axis(space) if found is None else found(space)


def _one_axis(space: ParameterSpace, is_rest: bool = False) -> _Layout:
    return _Layout((_Axis(space, is_rest),), InOrder())


def _of_table(space: Table) -> _Layout:
    columns = space._columns.items()
    shared = {k: c for k, c in columns if isinstance(c, ConstantColumn)}
    along = {k: c for k, c in columns if k not in shared}
    if not along and len(space) != 1:
        return _one_axis(space, is_rest=not space._keys and not len(space))
    axes = [_Axis(Table(along, len(space)))] if along else []
    axes += [_Axis(Table({key: shared[key]}, 1)) for key in sorted(shared)]
    return _Layout(tuple(axes), InOrder())


def _of_product(space: Product) -> _Layout:
    layouts = [_layout(factor) for factor in space.operands]
    axes = tuple(axis for layout in layouts for axis in layout.axes)
    if all(layout.is_in_order for layout in layouts):
        return _Layout(axes, InOrder())
    parts = map(_part, space.operands, layouts)
    return _Layout(axes, Crossed(tuple(parts)))


def _part(space: ParameterSpace, layout: _Layout) -> Part:
    return Part(layout.places, len(space), layout.shape)


def _of_sum(space: Sum) -> _Layout:
    n_rows, joined = len(space.operands[0]), _layout(space.operands[0])
    rest = [(term, _layout(term)) for term in space.operands[1:]]
    while rest:
        joined = _arranged(joined, rest[0][1]) or joined
        found = _arranged(rest[0][1], joined)
        axis = None if found is None else _longer_axis(joined, found)
        if axis is None:
            return _one_axis(space, is_rest=True)
        parts, layouts = [Part(joined.places, n_rows, joined.shape)], [joined]
        while rest and (found := _arranged(rest[0][1], joined)) is not None:
            if not _differ_in(joined, found, {axis}):
                break
            layouts.append(found)
            parts.append(_part(rest.pop(0)[0], found))
        joined = _appended(parts, layouts, axis)
        n_rows = sum(part.n_rows for part in parts)
    return joined


def _arranged(layout: _Layout, like: _Layout) -> _Layout | None:
    """Return a layout with its axes in the order of another one.

    Only axes of one place can be moved. None if the layouts have other axes.
    """
    by_keys = {frozenset(axis.space._keys): axis for axis in layout.axes}
    wanted = [frozenset(axis.space._keys) for axis in like.axes]
    if len(by_keys) != len(wanted) or not by_keys.keys() >= set(wanted):
        return None
    axes = tuple(by_keys[keys] for keys in wanted)
    large = [axis for axis in axes if len(axis.space) != 1]
    if large != [axis for axis in layout.axes if len(axis.space) != 1]:
        return None
    return layout._replace(axes=axes)


def _longer_axis(one: _Layout, other: _Layout) -> int | None:
    """Return the only axis in which two layouts differ; None if there is no such."""
    if len(one.axes) == 1:
        return 0
    for axis in range(len(one.axes)):
        if not _are_same(one.axes[axis], other.axes[axis]):
            return axis if _differ_in(one, other, {axis}) else None
    # Repeated points lengthen the only axis that there is.
    large = [i for i, size in enumerate(one.shape) if size != 1]
    return large[0] if len(large) == 1 else None


def _differ_in(one: _Layout, other: _Layout, axes: set[int]) -> bool:
    """Whether two layouts have the same axes but for some."""
    pairs = zip(one.axes, other.axes, strict=True)
    return all(i in axes or _are_same(*pair) for i, pair in enumerate(pairs))


def _are_same(one: _Axis, other: _Axis) -> bool:
    """Whether two axes with the same keys have equal values in the same order."""
    left, right = one.space, other.space
    if left is right or len(left) != len(right):
        return left is right
    if _have_same_ranges(left, right):
        return True
    try:
        numbers = equal_rows([left, right], left.keys())
    except PsyrunError:
        return False
    return np.array_equal(numbers[0], numbers[1])


def _have_same_ranges(one: ParameterSpace, other: ParameterSpace) -> bool:
    """Whether all values are known to be the same without looking at each."""
    if not (isinstance(one, Table) and isinstance(other, Table)):
        return False
    if {type(one).gather, type(other).gather} != {Table.gather}:
        return False
    pairs = [(one._columns[key], other._columns[key]) for key in one._columns]
    return all(
        a is b
        or (
            isinstance(a, RangeColumn)
            and isinstance(b, RangeColumn)
            and a.literal() == b.literal()
        )
        for a, b in pairs
    )


def _appended(parts: list[Part], layouts: list[_Layout], axis: int) -> _Layout:
    spaces = [layout.axes[axis].space for layout in layouts]
    longer = _Axis(Sum(*spaces), any(each.axes[axis].is_rest for each in layouts))
    axes = layouts[0].axes[:axis], layouts[0].axes[axis + 1 :]
    in_order = all(layout.is_in_order for layout in layouts)
    if in_order and math.prod(parts[0].shape[:axis]) == 1:
        return _Layout((*axes[0], longer, *axes[1]), InOrder())
    places = Appended(tuple(parts), axis)
    return _Layout((*axes[0], longer, *axes[1]), places)


def _of_selection(space: Selection) -> _Layout:
    whole, rows = space.selected()
    layout = _layout(whole)
    large = [i for i, size in enumerate(layout.shape) if size != 1]
    if layout.is_in_order and len(large) <= 1 and layout.axes:
        return _narrowed(layout, {large[0] if large else 0: rows})
    if isinstance(rows, range):
        if rows == range(len(whole)):
            return layout
        ranges = _as_ranges(rows, layout.shape) if layout.is_in_order else None
        if ranges is not None:
            return _narrowed(layout, dict(enumerate(ranges)))
    elif have_places(rows):
        is_all = not isinstance(rows, Rows) and len(rows) == len(whole)
        return layout if is_all else layout._replace(places=Picked(rows, layout.places))
    return _one_axis(space, is_rest=True)


def _of_derived(space: Derived) -> _Layout:
    layout = _layout(space._space)
    place = _only_axis(layout)
    if place is None:
        # What depends on several axes is a coordinate of none.
        return _one_axis(space, is_rest=True)
    axes = list(layout.axes)
    own = Derived(axes[place].space, space._columns)
    axes[place] = axes[place]._replace(space=own)
    return _Layout(tuple(axes), InOrder())


def _of_zip(space: Zip) -> _Layout:
    layouts = [_layout(operand) for operand in space.operands]
    places = [_only_axis(layout) for layout in layouts]
    if None in places:
        return _one_axis(space)
    pairs = [*zip(layouts, places, strict=True)]
    along = [layout.axes[i] for layout, i in pairs if i is not None]
    shared = [a for layout, i in pairs for k, a in enumerate(layout.axes) if k != i]
    joined = _Axis(Zip(*(axis.space for axis in along)))
    return _Layout((joined, *shared), InOrder())


def _only_axis(layout: _Layout) -> int | None:
    """Return the only axis along which there are several places, if it is in order."""
    large = [i for i, size in enumerate(layout.shape) if size != 1]
    return large[0] if layout.is_in_order and len(large) == 1 else None


def _narrowed(layout: _Layout, chosen: Mapping[int, AnyRows]) -> _Layout:
    """Return a layout in order with some of the places of its axes."""
    axes = list(layout.axes)
    for i, places in chosen.items():
        axis = axes[i]
        if places != range(len(axis.space)) if isinstance(places, range) else True:
            axes[i] = axis._replace(space=Selection(axis.space, places))
    return _Layout(tuple(axes), InOrder())


def _as_ranges(rows: range, shape: tuple[int, ...]) -> list[range] | None:
    """Return the places along each axis that rows are all combinations of.

    None if they are no grid.
    """
    if rows.step < 0:
        found = _as_ranges(rows[::-1], shape)
        return None if found is None else [places[::-1] for places in found]
    if not shape:
        return [] if len(rows) == 1 else None
    if not rows:
        return None
    inner = math.prod(shape[1:])
    (first, begin), last = divmod(rows[0], inner), rows[-1] // inner
    if first == last:
        rest = _as_ranges(_moved(rows, -first * inner), shape[1:])
        return None if rest is None else [range(first, first + 1), *rest]
    if rows.step % inner == 0:
        rest = _as_ranges(range(begin, begin + 1), shape[1:])
        outer = range(first, last + 1, rows.step // inner)
        return None if rest is None else [outer, *rest]
    of_each = range(begin, inner, rows.step)
    is_whole = inner % rows.step == 0 and begin < rows.step
    if not is_whole or len(rows) % len(of_each):
        return None
    rest = _as_ranges(of_each, shape[1:])
    return None if rest is None else [range(first, last + 1), *rest]


def _moved(rows: range, by: int) -> range:
    return range(rows.start + by, rows.stop + by, rows.step)


def _names(axes: Sequence[_Axis], keys: Sequence[str]) -> list[str]:
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


_LAYOUTS: dict[Any, Callable[[Any], _Layout]] = {
    Table.gather: _of_table,
    Product.gather: _of_product,
    Sum.gather: _of_sum,
    Selection.gather: _of_selection,
    Derived.gather: _of_derived,
    Zip.gather: _of_zip,
}
