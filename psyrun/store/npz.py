"""NumPy's own format: one array per key in an uncompressed zip file.

Written and read as `numpy.savez` and `numpy.load` do, member by member, so
that every text without a null character can be a key. Format:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from psyrun.errors import StoreError, one_line
from psyrun.store.arrays import (
    NUMERIC,
    Array,
    check_value,
    column_array,
    join_parts,
)
from psyrun.store.base import Store
from psyrun.store.pickle import check_picklable
from psyrun.store.rows import Columns, count_rows, select_rows, with_rows
from psyrun.store.values import unstorable
from psyrun.utils.files import Filename, damaged, explained, replacing
from psyrun.utils.typing import override

_KINDS = NUMERIC + "SUMmV"
_MEMBER = ".npy"

# What reading a damaged zip file or a damaged array in it raises.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, ValueError)


class NpzStore(Store):
    """Keep rows in a NumPy NPZ file, one array per key.

    Holds numbers, text, bytes and NumPy dates. Rows of different shapes are
    padded with nan, see `psyrun.store.arrays`. Appending reads and rewrites
    the whole file.

    Parameters
    ----------
    allow_pickle : bool
        Whether to keep values of other types as pickled Python objects, and
        to load such files. Loading them can run code of whoever wrote them.
    """

    ext: ClassVar[str] = ".npz"

    def __init__(self, allow_pickle: bool = False) -> None:
        self.allow_pickle = allow_pickle
        self.has_typed_columns = not allow_pickle

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        columns = self._columns(data)
        with (
            replacing(filename) as beside,
            explained(filename),
            zipfile.ZipFile(beside, "w") as archive,
        ):
            for key, column in columns.items():
                self._write(archive, key, column)

    def _write(self, archive: zipfile.ZipFile, key: str, column: Array) -> None:
        with archive.open(key + _MEMBER, "w", force_zip64=True) as member:
            try:
                np.lib.format.write_array(member, column, allow_pickle=True)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                for value in column:
                    check_picklable(key, value)
                raise unstorable(key, one_line(error)) from error

    @override
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        with _opened(filename) as archive:
            columns = self._read_all(archive, _keys(archive), filename)
        return select_rows(columns, row, filename)

    def _read_all(
        self, archive: zipfile.ZipFile, keys: Sequence[str], filename: Filename
    ) -> dict[str, Array]:
        columns = {key: self._read(archive, key, filename) for key in keys}
        try:
            count_rows(columns)
        except StoreError as error:
            raise damaged(filename, "was not written by NpzStore") from error
        return columns

    def _read(self, archive: zipfile.ZipFile, key: str, filename: Filename) -> Array:
        try:
            with archive.open(key + _MEMBER) as member:
                array: Array = np.lib.format.read_array(
                    member, allow_pickle=self.allow_pickle
                )
                return array
        except ValueError as error:
            if "allow_pickle" not in str(error):
                raise
            raise StoreError(
                f"{filename}: key {key!r} holds pickled objects; if you trust who "
                "wrote the file, load it with NpzStore(allow_pickle=True)."
            ) from error

    @override
    def count(self, filename: Filename) -> int:
        """Return the number of rows in a file, reading its smallest array."""
        with _opened(filename) as archive:
            sizes = {key: archive.getinfo(key + _MEMBER) for key in _keys(archive)}
            if not sizes:
                return 0
            smallest = min(sizes, key=lambda key: sizes[key].file_size)
            return count_rows(self._read_all(archive, [smallest], filename))

    @override
    def keys(self, filename: Filename) -> list[str]:
        with _opened(filename) as archive:
            return _keys(archive)

    @override
    def check(self, row: Mapping[str, Any]) -> None:
        """Raise an error if no array holds a value."""
        for key, value in row.items():
            _check_key(key)
            if self.allow_pickle:
                check_picklable(key, value)
            else:
                check_value(key, value, _KINDS, "NpzStore")

    @override
    def concatenate(self, batches: Sequence[Columns]) -> dict[str, Any]:
        filled = [self._columns(batch) for batch in with_rows(batches)]
        keys = dict.fromkeys(key for batch in filled for key in batch)
        return {key: self._join(key, filled) for key in keys}

    def _join(self, key: str, batches: Sequence[Mapping[str, Array]]) -> Array:
        parts = [b[key] if key in b else count_rows(b) for b in batches]
        try:
            return join_parts(key, parts)
        except StoreError:
            if not self.allow_pickle:
                raise
        return _objects(
            row
            for part in parts
            for row in ([np.nan] * part if isinstance(part, int) else part)
        )

    def _columns(self, data: Columns) -> dict[str, Array]:
        count_rows(data)
        return {key: self._column(key, values) for key, values in data.items()}

    def _column(self, key: str, values: Any) -> Array:
        _check_key(key)
        try:
            return column_array(key, values)
        except StoreError:
            if not self.allow_pickle:
                raise
        return _objects(values)


def _objects(rows: Iterable[Any]) -> Array:
    values = list(rows)
    column = np.empty(len(values), dtype=object)
    # Assigning the whole list would unpack rows that are lists.
    for index, value in enumerate(values):
        column[index] = value
    return column


def _check_key(key: str) -> None:
    try:
        valid = "\0" not in key and key.encode()
    except (AttributeError, TypeError, UnicodeEncodeError):
        valid = False
    if valid is False:
        raise StoreError(
            f"key {key!r} cannot be a name in an NPZ file; use text without null "
            "characters, or PickleStore (.pkl)."
        )


def _keys(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(_MEMBER) for name in archive.namelist()]


@contextmanager
def _opened(filename: Filename) -> Iterator[zipfile.ZipFile]:
    with explained(filename):
        try:
            with zipfile.ZipFile(filename) as archive:
                yield archive
        except _BROKEN as error:
            raise damaged(
                filename, f"is not an NPZ file or not whole ({one_line(error)})"
            ) from error
