"""Results as tables of pandas, polars and Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, did_you_mean, one_line
from psyrun.pspace.columns import as_objects
from psyrun.results.columns import as_array, one_per_row
from psyrun.results.labelled import axes_of, check_length
from psyrun.store.rows import count_rows
from psyrun.utils.text import listed
from psyrun.workdir.description import Description


def to_pandas(
    columns: Mapping[Any, Any], description: Description, tidy: str | None = None
) -> Any:
    """Return a data frame of pandas; values that are arrays are objects.

    With the name of an axis of some results, `tidy` has a row for each place along it.
    What is to be known of columns is in ``attrs``, by their names.
    """
    import pandas

    if tidy is not None:
        columns = _long(columns, description, tidy)
    arrays = {key: one_per_row(key, column) for key, column in columns.items()}
    frame = pandas.DataFrame(arrays)
    known = {key: dict(description.attrs.get(key, {})) for key in arrays}
    frame.attrs = {key: attrs for key, attrs in known.items() if attrs}
    return frame


def _long(
    columns: Mapping[Any, Any], description: Description, axis: str
) -> dict[Any, NDArray[Any]]:
    """Repeat rows for each place along an axis of some results."""
    arrays = {key: as_array(key, column) for key, column in columns.items()}
    axes = {k: axes_of(description, k, a.shape[1:]) for k, a in arrays.items()}
    long = {key: names.index(axis) for key, names in axes.items() if axis in names}
    if not long:
        known = list(dict.fromkeys(name for names in axes.values() for name in names))
        there = f"The axes are {listed(known)}." if known else "No result is an array."
        raise PsyrunError(
            f"tidy: no result has an axis {axis!r}.{did_you_mean(axis, known)} {there}"
        )
    if axis in arrays:
        raise PsyrunError(
            f"tidy: there is a column {axis!r} already. Give the axis another name in "
            "dims of the task file, then 'psy run' it."
        )
    length = _length_along(axis, arrays, long, description)
    along = description.coords.get(axis, np.arange(length))
    n_rows = count_rows(arrays)
    found: dict[Any, NDArray[Any]] = {}
    for key, array in arrays.items():
        if key in long:
            # A row for each place along the axis, one after the other.
            moved = np.moveaxis(array, 1 + long[key], 1)
            array = moved.reshape(n_rows * length, *moved.shape[2:])
            array = array if array.ndim == 1 else as_objects(array)
        else:
            array = np.repeat(one_per_row(key, array), length)
        found[key] = array
        if key == max(long, key=list(arrays).index):
            found[axis] = np.tile(along, n_rows)
    return found


def _length_along(
    axis: str,
    arrays: Mapping[Any, NDArray[Any]],
    long: Mapping[Any, int],
    description: Description,
) -> int:
    """Return how many places an axis has in all results; `long` has where it is."""
    lengths = {arrays[key].shape[1 + place]: key for key, place in long.items()}
    if len(lengths) > 1:
        raise PsyrunError(
            f"tidy: the axis {axis!r} has {' and '.join(map(str, lengths))} places in "
            f"{' and '.join(map(repr, lengths.values()))}. Choose one of them with "
            "columns=[...]."
        )
    ((length, key),) = lengths.items()
    check_length(description, axis, length, key)
    return int(length)


def to_polars(columns: Mapping[Any, Any], description: Description) -> Any:
    """Return a data frame of polars; values that are arrays are lists."""
    import polars

    return polars.DataFrame(
        [_polars_series(polars, str(k), column) for k, column in columns.items()]
    )


def _polars_series(polars: Any, key: str, column: Any) -> Any:
    values = _nested(key, column)
    try:
        return polars.Series(key, values)
    except (TypeError, polars.exceptions.PolarsError):
        return polars.Series(key, list(values), dtype=polars.Object)


def to_arrow(columns: Mapping[Any, Any], description: Description) -> Any:
    """Return a table of Arrow; values that are arrays are lists.

    What is to be known of columns is the metadata of their fields.
    """
    import pyarrow

    arrays, fields = [], []
    for key, column in columns.items():
        try:
            array = arrow_array(key, column)
        except UnsuitableError as error:
            advice = "Leave it out with columns=[...], or use as_='pandas'."
            raise error.refusal("as_='arrow'", "Arrow", advice) from error
        attrs = description.attrs.get(key, {})
        metadata = {str(name): str(value) for name, value in attrs.items()}
        arrays.append(array)
        fields.append(pyarrow.field(str(key), array.type, metadata=metadata or None))
    return pyarrow.table(arrays, schema=pyarrow.schema(fields))


def arrow_array(key: Any, column: Any) -> Any:
    """Return a column as an array of Arrow; values that are arrays are lists.

    Raises `UnsuitableError` if Arrow cannot hold it.
    """
    import pyarrow

    values = _nested(key, column)
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UnsuitableError(key, kinds_of(values), one_line(error)) from error


class UnsuitableError(Exception):
    """A column has values that a format cannot hold.

    Attributes
    ----------
    key : object
        The name of the column.
    kinds : str
        The types of its values.
    cause : str
        What the library of the format says, if anything.
    """

    def __init__(self, key: Any, kinds: str, cause: str = "") -> None:
        super().__init__(key, kinds, cause)
        self.key, self.kinds, self.cause = key, kinds, cause

    def refusal(self, where: str, name: str, advice: str) -> PsyrunError:
        """Return the error for users; `name` is that of the format."""
        cause = f" ({self.cause})" if self.cause else ""
        return PsyrunError(
            f"{where}: {self.key!r} has values of type {self.kinds}, which {name} "
            f"cannot hold{cause}. {advice}"
        )


def kinds_of(values: Any) -> str:
    """Return the names of the types of some values."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return str(values.dtype)
    return listed(sorted({type(value).__name__ for value in values}))


def _nested(key: Any, column: Any) -> Any:
    """Return a column as an array with one axis, or as lists in a list."""
    array = as_array(key, column)
    if array.ndim == 1 and array.dtype != object:
        return array
    if isinstance(column, np.ndarray):
        return column.tolist()
    # What a list holds is not padded.
    return [v.tolist() if isinstance(v, np.ndarray | np.generic) else v for v in column]
