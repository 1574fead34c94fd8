"""HDF5 files through PyTables."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import tables
from numpy.typing import NDArray

from psyrun.errors import StoreError
from psyrun.store.arrays import NUMERIC, Indices, check_value
from psyrun.store.base import Store, Writer
from psyrun.store.h5.file import h5_explained, opened, trim
from psyrun.store.h5.layout import (
    arrays,
    check_key,
    count,
    pick_rows,
    read_rows,
    read_steps,
    recorded_count,
    results_group,
)
from psyrun.store.h5.metadata import read_metadata, write_metadata
from psyrun.store.h5.picking import SMALL_CACHE, OpenedArrays, PickingReader
from psyrun.store.h5.writing import GROWTH, H5Stream, extend, numeric_columns
from psyrun.store.picks import Picks
from psyrun.store.rows import (
    Columns,
    check_rows,
    chosen_keys,
    count_rows,
    row_slice,
)
from psyrun.utils.files import Filename, replacing
from psyrun.utils.typing import override

_NODE = re.compile(r"(/[A-Za-z][A-Za-z0-9_]*)+")


class H5Store(Store):
    """Keep rows in an HDF5 file, one extendable array per key.

    Holds bool, int, float and complex. Rows of different shapes are padded
    with nan, see `psyrun.store.arrays`. Rows are appended in place and read
    one by one without loading the file; what does not fit the arrays of a
    file (a new key, type or larger shape) makes `append` write it anew. The
    whole file belongs to the store.

    Parameters
    ----------
    node : str
        The path of the group that holds the arrays.

    Raises
    ------
    StoreError
        If `node` is not such a path.
    """

    ext: ClassVar[str] = ".h5"
    loads_slices: ClassVar[bool] = True
    merges_unloaded: ClassVar[bool] = True
    has_typed_columns: bool = True

    def __init__(self, node: str = "/psyrun") -> None:
        if not _NODE.fullmatch(node):
            raise StoreError(
                f"H5Store: node is {node!r}; give a path of identifiers such as "
                "'/psyrun' or '/results/first'."
            )
        self.node = node
        self.keeps_metadata = self._keeps_format_of(H5Store)

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        with self.writer(filename) as stream:
            stream.append(data)

    @override
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        """Read all or some rows, and only these."""
        with self._reading(filename) as group:
            found = arrays(group)
            n_rows = count(group, found, filename)
            wanted = row_slice(row, n_rows, filename)
            return {k: read_rows(array, wanted, n_rows) for k, array in found.items()}

    @override
    def pieces(self, filename: Filename) -> Iterator[Columns]:
        """Read all rows in pieces of about 1 MiB."""
        with self._reading(filename) as group:
            found = arrays(group)
            yield from read_steps(found, count(group, found, filename))

    @override
    def count(self, filename: Filename) -> int:
        """Return the number of rows that the file says it has."""
        with self._reading(filename) as group:
            recorded = recorded_count(group)
            return (
                count(group, arrays(group), filename) if recorded is None else recorded
            )

    @override
    def keys(self, filename: Filename) -> list[str]:
        with self._reading(filename) as group:
            return list(arrays(group))

    @override
    def load_scalars(self, filename: Filename, keys: Sequence[str]) -> dict[str, Any]:
        with self._reading(filename) as group:
            found = arrays(group)
            n_rows = count(group, found, filename)
            return {
                key: read_rows(array, slice(0, n_rows), n_rows)
                for key, array in found.items()
                if key in keys and len(array.shape) == 1
            }

    @override
    def pick(
        self,
        filename: Filename,
        keys: Sequence[str] | None = None,
        rows: Indices | None = None,
    ) -> dict[str, Any]:
        """Read some rows of some columns, and no more than the chunks they are in."""
        if not self._keeps_format_of(H5Store):
            return super().pick(filename, keys, rows)
        with self._reading(filename) as group:
            found = arrays(group)
            n_rows = count(group, found, filename)
            wanted = chosen_keys(keys, found, filename)
            if rows is None:
                every = slice(0, n_rows)
                return {k: read_rows(found[k], every, n_rows) for k in wanted}
            check_rows(rows, n_rows, filename)
            return {key: pick_rows(found[key], rows, n_rows) for key in wanted}

    @contextmanager
    def _reading(self, filename: Filename, **parameters: int) -> Iterator[tables.Group]:
        with (
            opened(filename, "r", filename, **parameters) as file,
            h5_explained(filename),
        ):
            yield results_group(file, self.node, filename)

    @override
    def write_metadata(
        self, filename: Filename, metadata: Mapping[str, NDArray[Any]]
    ) -> None:
        """Add arrays in a group of their own below that of the rows."""
        with opened(filename, "r+", filename) as file, h5_explained(filename):
            write_metadata(results_group(file, self.node, filename), metadata, filename)
        with h5_explained(filename):
            trim(filename)

    @override
    def read_metadata(
        self, filename: Filename, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        with self._reading(filename) as group:
            return read_metadata(group, names)

    @override
    def check(self, row: Mapping[str, Any]) -> None:
        """Raise an error if a key is no text or a value no number."""
        for key, value in row.items():
            check_key(key)
            check_value(key, value, NUMERIC, "H5Store")

    @override
    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        return self._streaming(filename)

    @contextmanager
    def _streaming(self, filename: Filename, expected: int = 0) -> Iterator[Writer]:
        with replacing(filename) as beside, opened(beside, "w", filename) as file:
            yield H5Stream(file, self.node, filename, expected)

    @override
    def merge(self, filename: Filename, sources: Sequence[Filename]) -> None:
        """Write the rows of some files into one, about 1 MiB at a time."""
        # Arrays that are laid out for all rows are not copied as they grow.
        with self._streaming(filename, sum(map(self.count, sources))) as writer:
            for source in sources:
                for piece in self.pieces(source):
                    writer.append(piece)

    @override
    def merge_rows(
        self,
        filename: Filename,
        sources: Sequence[Filename],
        origin: Indices,
        rows: Indices,
    ) -> None:
        """Write rows that are picked from some files, some MB at a time."""
        with (
            PickingReader(sources, self._opened_arrays) as reader,
            self._streaming(filename, len(rows)) as writer,
        ):
            for columns in reader.pieces(Picks(origin, rows)):
                writer.append(columns)

    @contextmanager
    def _opened_arrays(self, filename: Filename) -> Iterator[OpenedArrays]:
        with self._reading(filename, **SMALL_CACHE) as group:
            found = arrays(group)
            yield OpenedArrays(found, count(group, found, filename))

    @override
    def append(self, filename: Filename, data: Columns) -> None:
        """Add rows to a file in place if they fit."""
        if not Path(filename).exists():
            self.save(filename, data)
            return
        columns = numeric_columns(data)
        if count_rows(columns) and not self._extend(filename, columns):
            self._rewrite(filename, columns)

    def _extend(self, filename: Filename, columns: Mapping[str, NDArray[Any]]) -> bool:
        with opened(filename, "r+", filename) as file, h5_explained(filename):
            group = results_group(file, self.node, filename)
            return extend(group, columns, filename)

    def _rewrite(self, filename: Filename, columns: Columns) -> None:
        n_rows = self.count(filename) + count_rows(columns)
        with self._streaming(filename, n_rows * GROWTH) as writer:
            for piece in chain(self.pieces(filename), [columns]):
                writer.append(piece)
