"""The axes of a space, as they are kept in a result file: numbers and JSON, no pickle.

So a file that was mailed on has them, and nothing is run to read it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace import ParameterSpace
from psyrun.pspace.axes import Dimension, Grid, grid_of
from psyrun.pspace.columns import Column, ConstantColumn, Indices, listed
from psyrun.pspace.places import InOrder, Places
from psyrun.pspace.space import Product, Selection, Table
from psyrun.store.metadata import Metadata
from psyrun.utils.typing import override

PREFIX = "axis_"
"""How the names of the arrays begin."""
_PLACES, _LACKS = "axis_places", "axis_lacks"


class UnrecordableError(ValueError):
    """Something that is kept neither as numbers nor in JSON."""


@dataclass(frozen=True, eq=False)
class RecordedAxes:
    """Which assignments the rows of a file are of.

    Attributes
    ----------
    grid : Grid
        The axes of the space, and the space.
    lacks : ndarray of int64
        Assignments without a row.
    n_former : int
        How many rows come after those of the space.
    compared : tuple of str
        Parameters that have the values of the assignments in the rows.
    """

    grid: Grid
    lacks: Indices
    n_former: int = 0
    compared: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        space: ParameterSpace,
        lacks: Indices,
        n_former: int,
        compared: Sequence[str],
    ) -> RecordedAxes:
        """Return those of a space."""
        return cls(grid_of(space), lacks, n_former, tuple(compared))

    @property
    def n_rows(self) -> int:
        """Number of rows that the file has."""
        return len(self.grid.space) - len(self.lacks) + self.n_former

    def metadata(self) -> Metadata:
        """Return them as they are kept.

        Raises `UnrecordableError` if a parameter has values that are not kept.
        """
        grid, arrays = self.grid, dict[str, NDArray[Any]]()
        is_listed = not (
            len(grid.dimensions) == 1
            and grid.is_in_order
            and not len(self.lacks)
            and not self.n_former
        )
        dimensions = []
        for i, dimension in enumerate(grid.dimensions):
            values = {
                # What stands in the rows as it is need not be there twice.
                key: {"column": key}
                if not is_listed and key in self.compared
                else _recorded(dimension.values(key), f"{PREFIX}{i}_{j}", arrays)
                for j, key in enumerate(dimension.keys)
            }
            each = {"name": dimension.name, "size": dimension.size, "values": values}
            dimensions.append(each)
        if not grid.is_in_order:
            arrays[_PLACES] = grid.places(np.arange(len(grid.space)))
        if len(self.lacks):
            arrays[_LACKS] = self.lacks
        about = {
            "n_assignments": len(grid.space),
            "dimensions": dimensions,
            "attributes": _attributes(grid.attributes),
            "n_former": self.n_former,
            "compared": list(self.compared),
            "arrays": list(arrays),
        }
        return Metadata({"axes": about}, arrays)

    @classmethod
    def of_metadata(
        cls, metadata: Metadata, columns: Mapping[str, Any]
    ) -> RecordedAxes | None:
        """Return what is kept with a file, None if no axes are.

        `columns` has those that `columns_for` has named. Raises `ValueError`,
        `TypeError` or `KeyError` if it is damaged.
        """
        axes, arrays = metadata.about.get("axes"), metadata.arrays
        if axes is None:
            return None
        n_assignments = int(axes["n_assignments"])
        dimensions = tuple(
            _dimension(each, arrays, columns) for each in axes["dimensions"]
        )
        attributes = dict(axes["attributes"])
        places = arrays.get(_PLACES)
        space = _space(dimensions, attributes, places)
        if len(space) != n_assignments:
            raise ValueError("the axes have another size")
        order: Places = InOrder() if places is None else Listed(places)
        lacks = np.asarray(arrays.get(_LACKS, []), np.int64)
        compared = tuple(map(str, axes["compared"]))
        grid = Grid(space, dimensions, attributes, order)
        return cls(grid, lacks, int(axes["n_former"]), compared)


def arrays_for(about: Mapping[str, Any]) -> list[str]:
    """Return the names of the arrays in metadata that axes are made from."""
    return [str(name) for name in (about.get("axes") or {}).get("arrays", ())]


def columns_for(about: Mapping[str, Any]) -> list[str]:
    """Return the columns of the file that axes are made from."""
    return [
        str(record["column"])
        for each in (about.get("axes") or {}).get("dimensions", ())
        for record in each["values"].values()
        if "column" in record
    ]


@dataclass(frozen=True)
class Listed(Places):
    """The place of each row in a list, in any order."""

    places: Indices

    @override
    def of_rows(self, rows: Indices) -> Indices:
        return self.places[rows]

    @override
    def rows_at(self, places: Indices) -> Indices:
        order = np.argsort(self.places, kind="stable")
        if not len(order):
            return np.full_like(places, -1)
        found = np.searchsorted(self.places, places, sorter=order)
        rows: Indices = order[np.minimum(found, len(order) - 1)]
        return np.where(self.places[rows] == places, rows, -1)


def _recorded(
    values: NDArray[Any], name: str, arrays: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    kind, is_usual = values.dtype.kind, values.dtype.itemsize <= 8
    if kind in "biufmM" and values.ndim == 1 and values.size and is_usual:
        arrays[name] = values.view("i8") if kind in "mM" else values
        return {"array": name, "dtype": values.dtype.str}
    listed_values = values.tolist()
    return {"values": _as_json(listed_values)}


def _as_json(value: Any) -> Any:
    """Return what JSON keeps as it is."""
    try:
        same = json.loads(json.dumps(value))
        # No nan is equal to another one.
        if same == value or repr(same) == repr(value):
            return value
    except (TypeError, ValueError, RecursionError):
        pass
    raise UnrecordableError(type(value).__name__)


def _attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that can be kept; nothing else depends on them."""
    found = {}
    for key, value in attributes.items():
        plain = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        try:
            found[key] = _as_json(plain)
        except UnrecordableError:
            continue
    return found


def _dimension(
    record: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    columns: Mapping[str, Any],
) -> Dimension:
    size = int(record["size"])
    held = {
        str(key): _column(each, arrays, columns)
        for key, each in record["values"].items()
    }
    if any(column.n_places != size for column in held.values()):
        raise ValueError("an axis has another size")
    return Dimension(str(record["name"]), Table(held, size))


def _column(
    record: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    columns: Mapping[str, Any],
) -> Column:
    if "column" in record:
        return listed(columns[record["column"]])
    if "values" in record:
        return listed(record["values"])
    array, dtype = arrays[record["array"]], np.dtype(record["dtype"])
    if dtype.hasobject:
        raise ValueError(record["dtype"])
    return listed(array.view(dtype) if dtype.kind in "mM" else array.astype(dtype))


def _space(
    dimensions: Sequence[Dimension],
    attributes: Mapping[str, Any],
    places: Indices | None,
) -> ParameterSpace:
    factors: list[ParameterSpace] = [each.space for each in dimensions]
    shared = {key: ConstantColumn(value) for key, value in attributes.items()}
    factors.append(Table(shared, 1))
    space = Product(*factors)
    return space if places is None else Selection(space, places)
