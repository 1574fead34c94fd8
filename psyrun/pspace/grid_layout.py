"""How the points of a space lie on its axes, by how the space was made.

`psyrun.pspace.axes` makes a grid of that, in which axes of one place are no dimensions.

- Each factor of a product is a dimension, in the order of the product.
- Parameters of one `Param` are one dimension with several coordinates. Those that
  are given as a scalar are no part of it.
- What has the same value everywhere, such as a factor of one point, is no dimension
  but an attribute.
- A sum whose terms differ in one factor only is one longer axis.
- A difference is the grid of its minuend, in which some places have no row. If that
  has one dimension only, it is a shorter one.
- A shuffled space has the grid of the space, with its rows at other places; points for
  which a condition is true are like a difference. Points drawn at random are no grid.
- Points side by side, and parameters computed from those of one axis, are coordinates
  of one dimension. What is computed is nan at places of which no point has a row. The
  repeats of each point are a dimension without coordinates.
- A slice is a grid if it takes the same places of each axis at all places of the
  others.
- Anything else is one dimension with all parameters as coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import ConstantColumn, RangeColumn
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


class Axis(NamedTuple):
    """A future dimension, also one of a single place.

    `is_rest` is true for what no structure is known of.
    """

    space: ParameterSpace
    is_rest: bool = False


class Layout(NamedTuple):
    """The axes of a space, of which the last varies fastest, and which row is where."""

    axes: tuple[Axis, ...]
    places: Places

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of places along each axis."""
        return tuple(len(axis.space) for axis in self.axes)

    @property
    def is_in_order(self) -> bool:
        """Whether each row has the place of its number, and each place a row."""
        return isinstance(self.places, InOrder)


def layout_of(space: ParameterSpace) -> Layout:
    """Return the axes of a space, and at which place of them each row is."""
    # A class of the user's own may have other points than that it is derived from.
    found: Any = _LAYOUTS.get(type(space).gather)
    return one_axis(space) if found is None else found(space)


def one_axis(space: ParameterSpace, is_rest: bool = False) -> Layout:
    """Return the layout in which all points lie along one axis."""
    return Layout((Axis(space, is_rest),), InOrder())


def _of_table(space: Table) -> Layout:
    columns = space._columns.items()
    shared = {k: c for k, c in columns if isinstance(c, ConstantColumn)}
    along = {k: c for k, c in columns if k not in shared}
    if not along and len(space) != 1:
        return one_axis(space, is_rest=not space._keys and not len(space))
    axes = [Axis(Table(along, len(space)))] if along else []
    axes += [Axis(Table({key: shared[key]}, 1)) for key in sorted(shared)]
    return Layout(tuple(axes), InOrder())


def _of_product(space: Product) -> Layout:
    layouts = [layout_of(factor) for factor in space.operands]
    axes = tuple(axis for layout in layouts for axis in layout.axes)
    if all(layout.is_in_order for layout in layouts):
        return Layout(axes, InOrder())
    parts = map(_part, space.operands, layouts)
    return Layout(axes, Crossed(tuple(parts)))


def _part(space: ParameterSpace, layout: Layout) -> Part:
    return Part(layout.places, len(space), layout.shape)


def _of_sum(space: Sum) -> Layout:
    n_rows, joined = len(space.operands[0]), layout_of(space.operands[0])
    rest = [(term, layout_of(term)) for term in space.operands[1:]]
    while rest:
        joined = _arranged(joined, rest[0][1]) or joined
        found = _arranged(rest[0][1], joined)
        axis = None if found is None else _longer_axis(joined, found)
        if axis is None:
            return one_axis(space, is_rest=True)
        parts, layouts = [Part(joined.places, n_rows, joined.shape)], [joined]
        while rest and (found := _arranged(rest[0][1], joined)) is not None:
            if not _differ_in(joined, found, {axis}):
                break
            layouts.append(found)
            parts.append(_part(rest.pop(0)[0], found))
        joined = _appended(parts, layouts, axis)
        n_rows = sum(part.n_rows for part in parts)
    return joined


def _arranged(layout: Layout, like: Layout) -> Layout | None:
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


def _longer_axis(one: Layout, other: Layout) -> int | None:
    """Return the only axis in which two layouts differ; None if there is no such."""
    if len(one.axes) == 1:
        return 0
    for axis in range(len(one.axes)):
        if not _are_same(one.axes[axis], other.axes[axis]):
            return axis if _differ_in(one, other, {axis}) else None
    # Repeated points lengthen the only axis that there is.
    large = [i for i, size in enumerate(one.shape) if size != 1]
    return large[0] if len(large) == 1 else None


def _differ_in(one: Layout, other: Layout, axes: set[int]) -> bool:
    """Whether two layouts have the same axes but for some."""
    pairs = zip(one.axes, other.axes, strict=True)
    return all(i in axes or _are_same(*pair) for i, pair in enumerate(pairs))


def _are_same(one: Axis, other: Axis) -> bool:
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


def _appended(parts: list[Part], layouts: list[Layout], axis: int) -> Layout:
    spaces = [layout.axes[axis].space for layout in layouts]
    longer = Axis(Sum(*spaces), any(each.axes[axis].is_rest for each in layouts))
    axes = layouts[0].axes[:axis], layouts[0].axes[axis + 1 :]
    in_order = all(layout.is_in_order for layout in layouts)
    if in_order and math.prod(parts[0].shape[:axis]) == 1:
        return Layout((*axes[0], longer, *axes[1]), InOrder())
    places = Appended(tuple(parts), axis)
    return Layout((*axes[0], longer, *axes[1]), places)


def _of_selection(space: Selection) -> Layout:
    whole, rows = space.selected()
    layout = layout_of(whole)
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
    return one_axis(space, is_rest=True)


def _of_derived(space: Derived) -> Layout:
    layout = layout_of(space._space)
    place = _only_axis(layout)
    if place is None:
        # What depends on several axes is a coordinate of none.
        return one_axis(space, is_rest=True)
    axes = list(layout.axes)
    own = Derived(axes[place].space, space._columns)
    axes[place] = axes[place]._replace(space=own)
    return Layout(tuple(axes), InOrder())


def _of_zip(space: Zip) -> Layout:
    layouts = [layout_of(operand) for operand in space.operands]
    places = [_only_axis(layout) for layout in layouts]
    if None in places:
        return one_axis(space)
    pairs = [*zip(layouts, places, strict=True)]
    along = [layout.axes[i] for layout, i in pairs if i is not None]
    shared = [a for layout, i in pairs for k, a in enumerate(layout.axes) if k != i]
    joined = Axis(Zip(*(axis.space for axis in along)))
    return Layout((joined, *shared), InOrder())


def _only_axis(layout: Layout) -> int | None:
    """Return the only axis along which there are several places, if it is in order."""
    large = [i for i, size in enumerate(layout.shape) if size != 1]
    return large[0] if layout.is_in_order and len(large) == 1 else None


def _narrowed(layout: Layout, chosen: Mapping[int, AnyRows]) -> Layout:
    """Return a layout in order with some of the places of its axes."""
    axes = list(layout.axes)
    for i, places in chosen.items():
        axis = axes[i]
        if places != range(len(axis.space)) if isinstance(places, range) else True:
            axes[i] = axis._replace(space=Selection(axis.space, places))
    return Layout(tuple(axes), InOrder())


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


_LAYOUTS: dict[Any, Callable[[Any], Layout]] = {
    Table.gather: _of_table,
    Product.gather: _of_product,
    Sum.gather: _of_sum,
    Selection.gather: _of_selection,
    Derived.gather: _of_derived,
    Zip.gather: _of_zip,
}
