"""Results as files with the dimensions of the space: netCDF and Zarr.

Results, which may not fit into memory, are written a chunk at a time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.results.columns import as_array
from psyrun.results.export.encoding import (
    TRUTH_WITH_GAPS,
    Encoding,
    as_counted,
    attribute,
    truth_with_gaps,
)
from psyrun.results.export.metadata import KEY
from psyrun.results.forms import Request, labelled_cells
from psyrun.results.frames import UnsuitableError
from psyrun.results.labelled import FLAGS, STATUS, Cells, Names
from psyrun.results.sources import Source
from psyrun.store.arrays import Indices
from psyrun.store.rows import count_rows
from psyrun.workdir.consistent_reads import ConcurrentChangeError

_ADVICE = {
    True: "Leave the coordinate out by naming other columns with --columns "
    "(columns=[...]), or export to .csv.",
    False: "Leave it out with --columns (columns=[...]), or export to another format.",
}


@dataclass(frozen=True)
class Variable:
    """A result in a file.

    Attributes
    ----------
    name : str
        Its name.
    dims : tuple of str
        Its dimensions.
    shape : tuple of int
        Their lengths.
    chunks : tuple of int
        The shape of what is written at once.
    encoding : Encoding
        The type of its values in the file.
    attrs : dict of str to object
        Its attributes.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    encoding: Encoding
    attrs: Mapping[str, Any]


class GridFile(Protocol):
    """A file that labelled arrays are written to.

    Attributes
    ----------
    format : str
        What it is called in messages.
    chunk_bytes : int
        About how large a chunk should be.
    has_all_numbers : bool
        Whether it holds complex numbers, half precision and truth values.
    """

    format: ClassVar[str]
    chunk_bytes: ClassVar[int]
    has_all_numbers: ClassVar[bool]

    def begin(self, attrs: Mapping[str, Any]) -> None:
        """Create the file with some attributes."""

    def create(self, variable: Variable) -> Any:
        """Create a variable, which takes values at an index."""

    def end(self) -> None:
        """Write what is left, and close the file."""

    def close(self) -> None:
        """Close the file, whatever is in it."""


def write_grid(
    file: GridFile,
    name: str,
    source: Source,
    request: Request,
    keys: Sequence[str] | None,
    metadata: Mapping[str, Any],
) -> int:
    """Write labelled arrays to a file, and return the number of rows.

    `name` is what errors call the file.
    """
    cells, wanted, rows = labelled_cells(source, request, keys)
    writing = _Writing(file, name, cells, Names(cells.part, source.description))
    expected = math.prod(cells.part.shape) if rows is None else len(rows)
    try:
        n_rows = writing.write_all(
            _pieces(source, wanted, rows), keys, source.description.attrs, metadata
        )
        if wanted and n_rows != expected:
            raise ConcurrentChangeError(
                f"{source.name}: changed while it was read. Try again."
            )
        file.end()
    except UnsuitableError as error:
        is_coordinate = error.key in writing.coordinate_keys
        raise error.refusal(name, file.format, _ADVICE[is_coordinate]) from error
    finally:
        _close_quietly(file)
    return expected


def _close_quietly(file: GridFile) -> None:
    # Else it says again what went wrong before.
    with suppress(OSError, RuntimeError):
        file.close()


def _pieces(
    source: Source, keys: list[str], rows: Indices | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows in pieces; in one if they do not ascend."""
    if not keys:
        return
    if rows is None or (np.diff(rows) > 0).all():
        yield from source.pieces(keys, rows)
    else:
        yield source.read(keys, rows)


@dataclass
class _Writing:
    """What is written to a file.

    Attributes
    ----------
    file : GridFile
        The file.
    name : str
        What errors call it.
    cells : Cells
        The grid.
    names : Names
        The names of dimensions and variables.
    """

    file: GridFile
    name: str
    cells: Cells
    names: Names
    coordinate_keys: set[str] = field(default_factory=set)
    _columns: dict[str, _Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        filled = self.cells.filled
        self._filled = None if filled is None else np.flatnonzero(filled)

    def write_all(
        self,
        pieces: Iterator[Mapping[str, Any]],
        keys: Sequence[str] | None,
        attrs: Mapping[str, Mapping[str, Any]],
        metadata: Mapping[str, Any],
    ) -> int:
        """Write rows with their coordinates, and return how many there are."""
        # Its types are those of all others.
        first = {key: _values(key, col) for key, col in next(pieces, {}).items()}
        planned = {
            key: self.planned(key, column, attrs.get(key, {}))
            for key, column in first.items()
        }
        coordinates = self.coordinates(keys)
        self.file.begin(self._attributes(coordinates, metadata))
        for variable, values in coordinates:
            self._write_coordinate(variable, values)
        for key, variable in planned.items():
            self.create(key, variable)
        return self.write(first, pieces)

    def _write_coordinate(self, variable: Variable, values: NDArray[Any]) -> None:
        target = self.file.create(variable)
        if values.size:
            target[...] = variable.encoding.encoded(variable.name, values)

    def _attributes(
        self,
        coordinates: Sequence[tuple[Variable, Any]],
        metadata: Mapping[str, Any],
    ) -> dict[str, Any]:
        constants = self.cells.part.attributes
        found = {key: attribute(value) for key, value in constants.items()}
        # Those that are no dimensions are told from results by this.
        names = [each.name for each, _ in coordinates if each.dims != (each.name,)]
        if names:
            found["coordinates"] = " ".join(names)
        return found | {KEY: json.dumps(metadata)}

    def planned(
        self, key: str, column: NDArray[Any], attrs: Mapping[str, Any]
    ) -> Variable:
        """Return the variable that a column becomes."""
        shape = self.cells.part.shape
        axes = self.names.axes_of(key, column.shape[1:])
        encoding = Encoding.of(
            key,
            column,
            has_gaps=self.cells.filled is not None,
            has_all_numbers=self.file.has_all_numbers,
        )
        size = max(1, encoding.n_bytes * math.prod(column.shape[1:]))
        chunks = chunk_of(shape, max(1, self.file.chunk_bytes // size))
        about = {str(each): attribute(value) for each, value in attrs.items()}
        return Variable(
            self._checked(self.names.free(key)),
            (*self.names.dimensions, *axes),
            (*shape, *column.shape[1:]),
            (*chunks, *(max(1, length) for length in column.shape[1:])),
            encoding,
            {**about, **encoding.attrs},
        )

    def _checked(self, name: Any) -> str:
        if not isinstance(name, str) or "/" in name or not name.strip():
            raise PsyrunError(
                f"{self.name}: {name!r} cannot be the name of a variable of "
                f"{self.file.format}. Leave it out with --columns (columns=[...])."
            )
        return name

    def coordinates(
        self, keys: Sequence[str] | None
    ) -> list[tuple[Variable, NDArray[Any]]]:
        """Return the coordinates with their values; `keys` are the columns named."""
        known = self.names.coordinates() | self.names.coordinates(odd=True)
        self.coordinate_keys = set(known)
        found = []
        for key, (dimension, own_values, attrs) in known.items():
            values = as_counted(own_values)
            truth = truth_with_gaps(values)
            try:
                encoding = (
                    self._encoding(key, values) if truth is None else TRUTH_WITH_GAPS
                )
            except UnsuitableError:
                if keys is None or key in keys:
                    raise
                continue
            own = {str(k): attribute(v) for k, v in (attrs or {}).items()}
            own = {**own, **encoding.attrs}
            shape = (len(values),)
            name = self._checked(key)
            variable = Variable(name, (dimension,), shape, shape, encoding, own)
            found.append((variable, values if truth is None else truth))
        if self.cells.filled is not None:
            found.append(self._status())
        return found

    def _encoding(self, key: str, values: NDArray[Any]) -> Encoding:
        if values.ndim != 1:
            raise UnsuitableError(key, "array")
        return Encoding.of(
            key, values, has_gaps=False, has_all_numbers=self.file.has_all_numbers
        )

    def _status(self) -> tuple[Variable, NDArray[Any]]:
        values = self.cells.status()
        name, encoding = self.names.free(STATUS), Encoding(values.dtype)
        dims, shape = self.names.dimensions, values.shape
        return Variable(name, dims, shape, shape, encoding, FLAGS), values

    def create(self, key: str, variable: Variable) -> None:
        """Create a variable in the file."""
        places = self.cells.part.shape
        place_chunk = variable.chunks[: len(places)]
        target = self.file.create(variable)
        self._columns[key] = _Column(
            key, target, variable.encoding, places, place_chunk
        )

    def write(
        self,
        first: Mapping[str, NDArray[Any]],
        others: Iterator[Mapping[str, Any]],
    ) -> int:
        """Write all rows, and return how many there are."""
        n_rows, piece = 0, first
        while piece:
            begin, n_rows = n_rows, n_rows + count_rows(piece)
            for key, column in piece.items():
                array = _values(key, column)
                self._columns[key].append(*self._spread(array, begin, n_rows))
            piece = next(others, {})
        for column_ in self._columns.values():
            column_.end()
        return n_rows

    def _spread(
        self, values: NDArray[Any], begin: int, end: int
    ) -> tuple[NDArray[Any], NDArray[np.int64] | None, int]:
        """Return the values, at which places they are, and the place after them."""
        if self._filled is None:
            return values, None, end
        places = self._filled[begin:end]
        return values, places, int(places[-1]) + 1 if len(places) else 0


def _values(key: str, column: Any) -> NDArray[Any]:
    return as_counted(as_array(key, column))


class _Column:
    """Collects the values of a variable, and writes those of a chunk at once."""

    def __init__(
        self,
        key: str,
        target: Any,
        encoding: Encoding,
        shape: tuple[int, ...],
        chunk: tuple[int, ...],
    ) -> None:
        self._key, self._target, self._encoding = key, target, encoding
        self._shape, self._chunk = shape, chunk
        self._size = math.prod(shape)
        self._begin = 0  # place of what is collected
        self._n_collected = 0
        self._collected: list[NDArray[Any]] = []
        self._row_shape: tuple[int, ...] = ()

    def append(
        self, values: NDArray[Any], places: NDArray[np.int64] | None, end: int
    ) -> None:
        """Add values at some places; there are none at others up to `end`."""
        self._row_shape = values.shape[1:]
        encoded = self._encoding.encoded(self._key, values)
        if places is not None and len(places):
            first = self._begin + self._n_collected
            spread = self._nothing(end - first)
            spread[places - first] = encoded
            encoded = spread
        self._add(encoded)

    def _nothing(self, n_places: int) -> NDArray[Any]:
        return self._encoding.nothing((n_places, *self._row_shape))

    def _add(self, encoded: NDArray[Any]) -> None:
        if not self._size:
            return
        self._collected.append(encoded)
        self._n_collected += len(encoded)
        index, end = box(self._shape, self._chunk, self._begin)
        if self._n_collected < end - self._begin:
            return
        values = np.concatenate(self._collected)
        done = 0
        while done < len(values) and len(values) - done >= end - self._begin:
            part = values[done : done + end - self._begin]
            self._write(index, part)
            done, self._begin = done + len(part), end
            if end < self._size:
                index, end = box(self._shape, self._chunk, end)
        self._collected = [values[done:].copy()]
        self._n_collected = len(values) - done

    def _write(self, index: tuple[Any, ...], values: NDArray[Any]) -> None:
        if values.size:
            lengths = [each.stop - each.start for each in index if _is_slice(each)]
            every = (slice(None),) * len(self._row_shape)
            shaped = values.reshape((*lengths, *self._row_shape))
            self._target[(*index, *every) or ...] = shaped

    def end(self) -> None:
        """Write what is missing up to the last place."""
        missing = self._size - self._begin - self._n_collected
        if missing:
            self._add(self._nothing(missing))


def _is_slice(part: int | slice) -> bool:
    return isinstance(part, slice)


def chunk_of(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """Return the shape of chunks of at most `most` places, one after the other.

    Each is a part of one dimension, with all of those that vary faster, and one place
    of those that vary slower.
    """
    chunk = list[int]()
    for length in reversed(shape):
        chunk.append(max(1, min(length, most)))
        most = most // length if length and most >= length else 0
    return tuple(reversed(chunk))


def box(
    shape: tuple[int, ...], chunk: tuple[int, ...], begin: int
) -> tuple[tuple[Any, ...], int]:
    """Return the index of the chunk that begins at a place, and the place after it."""
    along = next((d for d, length in enumerate(chunk) if length > 1), len(shape) - 1)
    if along < 0:
        return (), 1
    step = math.prod(shape[along + 1 :])
    prefix, rest = divmod(begin, shape[along] * step) if step else (0, 0)
    first = rest // step if step else 0
    last = min(first + chunk[along], shape[along])
    before = np.unravel_index(prefix, shape[:along]) if along else ()
    index = (
        *map(int, before),
        slice(first, last),
        *(slice(0, length) for length in shape[along + 1 :]),
    )
    return index, begin + (last - first) * step
