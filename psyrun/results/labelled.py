"""Results as labelled arrays of xarray."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Indices
from psyrun.results.columns import as_array, spread
from psyrun.results.where import Part
from psyrun.workdir.description import Description

if TYPE_CHECKING:
    import xarray

STATUS = "status"
"""Name of the coordinate that says what became of each assignment."""
COMPUTED, NOT_COMPUTED, FAILED, NOT_IN_SPACE = range(4)
MEANINGS = ("computed", "not_computed", "failed", "not_in_space")


@dataclass(frozen=True)
class Cells:
    """What there is at the places of a grid, or of a part of one.

    Attributes
    ----------
    part : Part
        The places.
    rows : ndarray of int64 or None
        The row of the result at each place, in C order, -1 where there is none. None
        if all are there, in order.
    failed : collection of int
        Assignments that failed.
    """

    part: Part
    rows: Indices | None = None
    failed: Collection[int] = ()

    @property
    def filled(self) -> NDArray[np.bool_] | None:
        """Which places have a row; None if all have."""
        if self.rows is None:
            return None
        filled: NDArray[np.bool_] = self.rows >= 0
        return None if filled.all() else filled

    @property
    def wanted(self) -> Indices | None:
        """The rows to read, in C order of their places; None for all, in order."""
        return None if self.rows is None else self.rows[self.rows >= 0]

    def status(self) -> NDArray[np.int8]:
        """Return what became of the assignment of each place."""
        filled, assignments = self.filled, self.part.rows
        found = np.full(self.part.shape, COMPUTED, np.int8).ravel()
        if filled is not None:
            found[~filled] = NOT_COMPUTED
            if assignments is None:
                assignments = np.arange(len(found))
            failed = np.isin(assignments, np.fromiter(self.failed, np.int64))
            found[~filled & failed] = FAILED
            found[assignments < 0] = NOT_IN_SPACE
        return found.reshape(self.part.shape)


def dataset(
    columns: Mapping[Any, Any], cells: Cells, description: Description
) -> xarray.Dataset:
    """Return columns as variables over the dimensions of a grid.

    Parameters
    ----------
    columns : mapping of str to sequence
        Results, one value for each place that has a row, in C order.
    cells : Cells
        The grid.
    description : Description
        Names of the axes of results that are arrays, and units.

    Raises
    ------
    PsyrunError
        If names or lengths of axes do not fit the results.
    """
    import xarray

    names = Names(cells.part, description)
    filled, shape = cells.filled, cells.part.shape
    variables = {}
    for key, column in columns.items():
        values = as_array(key, column)
        axes = names.axes_of(key, values.shape[1:])
        if filled is not None:
            values = spread(values, filled)
        values = values.reshape((*shape, *values.shape[1:]))
        variables[names.free(key)] = (
            (*names.dimensions, *axes),
            values,
            description.attrs.get(key),
        )
    coords = names.coordinates()
    if filled is not None:
        coords[names.free(STATUS)] = (names.dimensions, cells.status(), FLAGS)
    found = xarray.Dataset(variables, coords, dict(cells.part.attributes))
    return _with_odd_coordinates(found, names)


def _with_odd_coordinates(found: xarray.Dataset, names: Names) -> xarray.Dataset:
    """Add coordinates whose values cannot be looked up, such as arrays."""
    import xarray

    if not (odd := names.coordinates(odd=True)):
        return found
    return found.assign_coords(xarray.Coordinates(odd, indexes={}))


FLAGS = {
    "long_name": "what became of each assignment",
    "flag_values": np.arange(len(MEANINGS), dtype=np.int8),
    "flag_meanings": " ".join(MEANINGS),
}


@dataclass
class Names:
    """The names of dimensions and variables, each used once."""

    part: Part
    description: Description
    lengths: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Length of each axis of results, and the result that has it."""

    def __post_init__(self) -> None:
        self.dimensions = tuple(each.name for each in self.part.dimensions)
        self._taken = {*self.dimensions}
        self._taken.update(key for each in self.part.dimensions for key in each.keys)
        for axes in self.description.dims.values():
            self._taken.update(axes)

    def free(self, key: Any) -> Any:
        """Return a name that nothing else has: a key, with ``_`` where it is taken."""
        name = key
        while name in self._taken:
            name = f"{name}_"
        self._taken.add(name)
        return name

    def axes_of(self, key: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
        """Return the names of the axes of a result."""
        axes = axes_of(self.description, key, shape)
        for axis, length in zip(axes, shape, strict=True):
            if axis in self.dimensions:
                raise PsyrunError(
                    f"dims: {axis!r} is an axis of the result {key!r}, but a dimension "
                    "of the space, too. Choose another name in the task file, then "
                    "'psy run' it."
                )
            known, other = self.lengths.setdefault(axis, (length, key))
            if known != length:
                raise PsyrunError(
                    f"dims: the axis {axis!r} has {known} places in {other!r}, but "
                    f"{length} in {key!r}. Give them two names in the task file, then "
                    "'psy run' it."
                )
        return axes

    def coordinates(self, *, odd: bool = False) -> dict[Any, Any]:
        """Return the coordinates, or those whose values cannot be looked up."""
        found: dict[Any, Any] = {}
        for dimension in self.part.dimensions:
            for key in dimension.keys:
                values = dimension.values(key)
                if _is_odd(values) == odd:
                    attrs = self.description.attrs.get(key)
                    found[key] = (dimension.name, values, attrs)
        if not odd:
            for axis, values in self.description.coords.items():
                if axis in self.lengths:
                    check_length(self.description, axis, *self.lengths[axis])
                    found[axis] = (axis, values, self.description.attrs.get(axis))
        return found


def axes_of(
    description: Description, key: Any, shape: tuple[int, ...]
) -> tuple[str, ...]:
    """Return the names of the axes of a result, such as ``wave_0`` without others.

    Raises `PsyrunError` if the task file names more or fewer.
    """
    axes = description.dims.get(key)
    if axes is None:
        return tuple(f"{key}_{number}" for number in range(len(shape)))
    if len(axes) != len(shape):
        has = f"has {len(shape)} axes" if len(shape) != 1 else "has 1 axis"
        raise PsyrunError(
            f"dims: {key!r} {has}, but {len(axes)} are named: {', '.join(axes)}. "
            "Correct it in the task file, then 'psy run' it."
        )
    return axes


def check_length(description: Description, axis: str, length: int, key: Any) -> None:
    """Raise `PsyrunError` if an axis has more or fewer values than places."""
    values = description.coords.get(axis)
    if values is not None and len(values) != length:
        raise PsyrunError(
            f"coords: {axis!r} has {len(values)} values, but {key!r} has {length} "
            "places along it. Correct it in the task file, then 'psy run' it."
        )


def _is_odd(values: NDArray[Any]) -> bool:
    if values.dtype != object:
        return False
    try:
        for value in values:
            hash(value)
    except TypeError:
        return True
    return False
