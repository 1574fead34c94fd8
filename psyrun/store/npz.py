"""NumPy's own format: one array per key in an uncompressed zip file.

Written and read as `numpy.savez` and `numpy.load` do, member by member, so
that every text without a null character can be a key. For texts of very
different lengths, see `psyrun.store.npz_text`. Format:
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from psyrun.errors import StoreError, one_line
from psyrun.store.arrays import (
    NUMERIC,
    Array,
    Indices,
    check_value,
    column_array,
    common_row_type,
    join_parts,
    take,
)
from psyrun.store.base import Store, Writer
from psyrun.store.npz_file import MEMBER, created, opened, read_header
from psyrun.store.npz_merging import (
    Content,
    StoredArray,
    is_uneven_text,
    write_joined,
    write_picked,
)
from psyrun.store.npz_metadata import read_metadata, write_metadata
from psyrun.store.npz_pieces import pieces
from psyrun.store.npz_spilling import Spilled, Spilling
from psyrun.store.npz_text import (
    count_texts,
    is_text,
    join_texts,
    key_of_text,
    offsets_name,
    read_text,
    text_column,
    write_text,
)
from psyrun.store.pickle import check_picklable
from psyrun.store.picks import Picks
from psyrun.store.rows import (
    Columns,
    check_rows,
    chosen_keys,
    count_rows,
    select_rows,
    with_rows,
)
from psyrun.store.values import unstorable
from psyrun.utils.files import Filename, damaged, explained, replacing
from psyrun.utils.typing import override

_KINDS = NUMERIC + "SUMmV"


class NpzStore(Store):
    """Keep rows in a NumPy NPZ file, one array per key.

    Holds numbers, text, bytes and NumPy dates. Rows of different shapes are
    padded with nan, see `psyrun.store.arrays`. Appending reads and rewrites
    the whole file.

    Parameters
    ----------
    allow_pickle : bool, default False
        Whether to keep values of other types as pickled Python objects, and
        to load such files. Loading them can run code of whoever wrote them.
    """

    ext: ClassVar[str] = ".npz"
    merges_unloaded: ClassVar[bool] = True

    def __init__(self, allow_pickle: bool = False) -> None:
        self.allow_pickle = allow_pickle
        self.has_typed_columns = not allow_pickle
        self.keeps_metadata = self._keeps_format_of(NpzStore)

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        columns = self._columns(data)
        with replacing(filename) as beside:
            self.write_columns(beside, columns, filename)

    def write_columns(
        self, path: Path, columns: Mapping[str, Array], name: Filename
    ) -> None:
        """Write a new file, which errors call by `name`."""
        with created(path, name) as archive:
            for key, column in columns.items():
                self._write(archive, key, column)

    def _write(self, archive: zipfile.ZipFile, key: str, column: Array) -> None:
        if is_text(column):
            write_text(archive, key, column)
            return
        with archive.open(key + MEMBER, "w", force_zip64=True) as member:
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
        with opened(filename) as archive:
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
        if (offsets := offsets_name(archive, key)) is not None:
            return read_text(archive, offsets)
        try:
            with archive.open(key + MEMBER) as member:
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
    def pieces(self, filename: Filename) -> Iterator[Columns]:
        """Read all rows in pieces of about 8 MiB.

        All values of a key are in memory if they are compressed, Python objects, or
        texts of very different lengths.
        """
        if not self._keeps_format_of(NpzStore):
            yield from super().pieces(filename)
            return
        content = self._content(filename)
        yield from pieces(
            content.arrays, content.n_rows, lambda key: self._load_key(filename, key)
        )

    @override
    def count(self, filename: Filename) -> int:
        """Return the number of rows in a file, reading no more than a header."""
        with opened(filename) as archive:
            lengths = (self._n_rows(archive, k, filename) for k in _keys(archive))
            return next(lengths, 0)

    def _n_rows(self, archive: zipfile.ZipFile, key: str, filename: Filename) -> int:
        offsets = offsets_name(archive, key)
        header = read_header(archive, offsets or key + MEMBER)
        if header and offsets:
            return count_texts(offsets, header.shape)
        shape = header.shape if header else self._read(archive, key, filename).shape
        if not shape:
            raise damaged(filename, "was not written by NpzStore")
        return shape[0]

    @override
    def keys(self, filename: Filename) -> list[str]:
        with opened(filename) as archive:
            return _keys(archive)

    @override
    def load_scalars(self, filename: Filename, keys: Sequence[str]) -> dict[str, Any]:
        with opened(filename) as archive:
            return {
                key: self._read(archive, key, filename)
                for key in _keys(archive)
                if key in keys and _holds_scalars(archive, key)
            }

    @override
    def pick(
        self,
        filename: Filename,
        keys: Sequence[str] | None = None,
        rows: Indices | None = None,
    ) -> dict[str, Any]:
        """Read some columns and no others, and return some rows of them."""
        if not self._keeps_format_of(NpzStore):
            return super().pick(filename, keys, rows)
        with opened(filename) as archive:
            wanted = chosen_keys(keys, _keys(archive), filename)
            columns = self._read_all(archive, wanted, filename)
        if rows is None:
            return dict(columns)
        check_rows(rows, count_rows(columns), filename)
        return take(columns, rows)

    @override
    def write_metadata(self, filename: Filename, metadata: Mapping[str, Array]) -> None:
        """Add arrays as members ``metadata/...``, of which no key has the name."""
        with explained(filename), zipfile.ZipFile(filename, "a") as archive:
            write_metadata(archive, metadata)

    @override
    def read_metadata(
        self, filename: Filename, names: Collection[str] | None = None
    ) -> dict[str, Array]:
        with opened(filename) as archive:
            return read_metadata(archive, names)

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
    def merge(self, filename: Filename, sources: Sequence[Filename]) -> None:
        """Write the rows of some files into one, a piece of a key at a time.

        The values of one key are in memory together if they are compressed,
        Python objects or structured.
        """
        if not self._keeps_format_of(NpzStore):
            super().merge(filename, sources)
            return
        found = [self._content(source) for source in sources]
        files = [file for file in found if file.n_rows] or found[-1:]
        self._merge(filename, files, None)

    @override
    def merge_rows(
        self,
        filename: Filename,
        sources: Sequence[Filename],
        origin: Indices,
        rows: Indices,
    ) -> None:
        """Write rows that are picked from some files, some MB of a key at a time."""
        if not self._keeps_format_of(NpzStore):
            super().merge_rows(filename, sources, origin, rows)
            return
        files = [self._content(source) for source in sources]
        self._merge(filename, files, Picks(origin, rows))

    def _merge(
        self, filename: Filename, files: Sequence[Content], picks: Picks | None
    ) -> None:
        keys = dict.fromkeys(key for file in files for key in file.arrays)
        with replacing(filename) as beside, created(beside, filename) as archive:
            for key in keys:
                self._merge_key(archive, key, files, picks)

    def _content(self, filename: Filename) -> Content:
        with opened(filename) as archive:
            arrays = {
                key: None
                if offsets_name(archive, key)
                else StoredArray.find(filename, archive, key + MEMBER)
                for key in _keys(archive)
            }
            n_rows = {
                self._n_rows(archive, key, filename) if array is None else array.n_rows
                for key, array in arrays.items()
            }
        if len(n_rows) > 1:
            raise damaged(filename, "was not written by NpzStore")
        return Content(filename, next(iter(n_rows), 0), arrays)

    def _merge_key(
        self,
        archive: zipfile.ZipFile,
        key: str,
        files: Sequence[Content],
        picks: Picks | None,
        is_read: Callable[[Filename], object] = lambda path: None,
    ) -> None:
        parts = [part for file in files if (part := file.part(key)) is not None]
        arrays = [part for part in parts if isinstance(part, StoredArray)]
        types = dict.fromkeys(array.row_type for array in arrays)
        missing = len(arrays) < len(parts)
        is_even = len(types) == 1 and not missing
        if (
            len(parts) < len(files)
            or (self.allow_pickle and not is_even)
            or (not missing and is_uneven_text(arrays))
        ):
            column = self._join(key, self._loaded(key, files))
            order = None if picks is None else picks.joined([f.n_rows for f in files])
            self._write(archive, key, column if order is None else column[order])
            for file in files:
                if key in file.arrays:
                    is_read(file.filename)
            return
        target = common_row_type(key, types, missing)
        with archive.open(key + MEMBER, "w", force_zip64=True) as member:
            if picks is None:
                write_joined(member, key, parts, target, is_read)
            else:
                write_picked(member, key, parts, target, picks)

    def _loaded(self, key: str, files: Sequence[Content]) -> list[Array | int]:
        """Return the column of each file, or its number of rows if it has none."""
        return [
            self._load_key(file.filename, key) if key in file.arrays else file.n_rows
            for file in files
        ]

    def _load_key(self, filename: Filename, key: str) -> Array:
        with opened(filename) as archive:
            return self._read(archive, key, filename)

    @override
    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        """Write a file piece by piece.

        About 8 MiB of rows are in memory; more are written to a hidden folder
        beside the file until all are there. What is in the file is removed there.
        """
        if not self._keeps_format_of(NpzStore):
            return super().writer(filename)
        return self._spilling(filename)

    @contextmanager
    def _spilling(self, filename: Filename) -> Iterator[Writer]:
        with closing(Spilling(self, filename)) as rows:
            yield rows
            if not rows.parts:
                self.save(filename, rows.rows())
                return
            rows.spill()
            self._collect(filename, rows)

    def _collect(self, filename: Filename, rows: Spilling) -> None:
        parts = [part for part in rows.parts if part.n_rows] or rows.parts[-1:]
        with replacing(filename) as beside, created(beside, filename) as archive:
            for key in dict.fromkeys(key for part in parts for key in part.files):
                files = [self._spilled(part, key) for part in parts]
                self._merge_key(archive, key, files, None, rows.is_read)

    def _spilled(self, part: Spilled, key: str) -> Content:
        path = part.files.get(key)
        if path is None:
            return Content("", part.n_rows, {})
        return self._content(path)

    @override
    def concatenate(self, batches: Sequence[Columns]) -> dict[str, Any]:
        filled = [self._columns(batch) for batch in with_rows(batches)]
        keys = dict.fromkeys(key for batch in filled for key in batch)
        return {
            key: self._join(
                key, [b[key] if key in b else count_rows(b) for b in filled]
            )
            for key in keys
        }

    def _join(self, key: str, parts: Sequence[Array | int]) -> Array:
        arrays = [part for part in parts if not isinstance(part, int)]
        if len(arrays) == len(parts) and (texts := join_texts(key, arrays)) is not None:
            return texts
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
            texts = text_column(key, values)
            return column_array(key, values) if texts is None else texts
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
    keys = (
        name.removesuffix(MEMBER) if name.endswith(MEMBER) else key_of_text(name)
        for name in archive.namelist()
    )
    return list(dict.fromkeys(key for key in keys if key is not None))


def _holds_scalars(archive: zipfile.ZipFile, key: str) -> bool:
    if offsets_name(archive, key) is not None:
        return True
    header = read_header(archive, key + MEMBER)
    return header is not None and len(header.shape) == 1 and not header.dtype.hasobject
