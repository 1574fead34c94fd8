"""The contract between psyrun and a data store."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from psyrun.errors import StoreError
from psyrun.store.rows import (
    Columns,
    check_rows,
    chosen_keys,
    count_rows,
    with_rows,
)
from psyrun.utils.files import Filename
from psyrun.utils.former import former_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from psyrun.store.arrays import Indices

__getattr__ = former_names(
    __name__, {"AutodetectStore": "psyrun.store:AutodetectStore"}
)


class Writer(Protocol):
    """What `Store.writer` hands out."""

    def append(self, columns: Columns) -> None:
        """Add rows.

        Parameters
        ----------
        columns : mapping of str to sequence
            The rows; all sequences have the same length. They must not be
            changed before the writer is left.

        Raises
        ------
        StoreError
            If the lengths differ, or the format cannot hold a value. Some formats
            see the latter only when the writer is left.
        """


class Store(ABC):
    """A file format for rows of data.

    Data are mappings from key to a sequence with one value per row. A
    subclass names its extension and implements `save` and `load`; the other
    methods have defaults on top of these two, which a format that can do
    better overrides. `psyrun.testing.StoreContract` tests a store against
    this contract.

    Attributes
    ----------
    ext : str
        File name extension with its full stop, for example ``".npz"``.
    loads_slices : bool
        Whether `load` with a slice reads only these rows, so that it is
        cheaper to load a file piece by piece than to keep it in memory.
    merges_unloaded : bool
        Whether `merge` and `merge_rows` handle little of their files at a time and
        `count` reads no rows, so that this is cheaper than to load rows and write
        them.
    has_typed_columns : bool
        Whether all values of a key have to go together in one array, see
        `psyrun.store.arrays`. Rows whose values do not are then refused as
        soon as they are computed.
    keeps_metadata : bool
        Whether files have room for more than rows: `write_metadata` and
        `read_metadata`. psyrun puts that into a file beside it otherwise.
    """

    ext: ClassVar[str]
    loads_slices: ClassVar[bool] = False
    merges_unloaded: ClassVar[bool] = False
    has_typed_columns: bool = False
    keeps_metadata: bool = False

    @abstractmethod
    def save(self, filename: Filename, data: Columns) -> None:
        """Create or replace a file; it appears whole or not at all.

        Parameters
        ----------
        filename : path-like
            The file.
        data : mapping of str to sequence
            The rows; all sequences have the same length.

        Raises
        ------
        StoreError
            If the lengths differ, the format cannot hold a value, or the file
            cannot be written. A previous file is then left as it was.
        """

    @abstractmethod
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        """Read all or some rows.

        Parameters
        ----------
        filename : path-like
            The file.
        row : int or slice, optional
            The row to read, counted from the end if negative, or a range of
            rows. All rows without it.

        Returns
        -------
        dict of str to sequence
            The rows; sequences of length one if `row` is an integer.

        Raises
        ------
        StoreError
            If the file does not exist, is not whole, was not written by this
            store, or has no such row.
        """

    def append(self, filename: Filename, data: Columns) -> None:
        """Add rows to a file, which is created if it does not exist.

        Keys that only some of the rows have are filled with the missing
        value. Appending no rows leaves the file as it is; a file without rows
        gives way to the first rows that are appended.

        Parameters
        ----------
        filename : path-like
            The file.
        data : mapping of str to sequence
            The rows; all sequences have the same length.

        Raises
        ------
        StoreError
            As `save` and `load` do. The file is then left as it was.
        """
        if not Path(filename).exists():
            self.save(filename, data)
        elif count_rows(data):
            self.save(filename, self.concatenate([self.load(filename), data]))

    def pieces(self, filename: Filename) -> Iterator[Columns]:
        """Read all rows in pieces of a size that fits into memory.

        The default reads the file in one piece.

        Parameters
        ----------
        filename : path-like
            The file.

        Yields
        ------
        dict of str to sequence
            The next rows.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        yield self.load(filename)

    def merge(self, filename: Filename, sources: Sequence[Filename]) -> None:
        """Write the rows of some files, one after the other, into one.

        The default reads the files with `pieces` and writes the rows with
        `writer`.

        Parameters
        ----------
        filename : path-like
            The file to create or replace. It may be one of the sources.
        sources : sequence of path-like
            Files of this store.

        Raises
        ------
        StoreError
            If a file cannot be read or written, or the rows do not go
            together. A previous file is then left as it was.
        """
        with self.writer(filename) as writer:
            for source in sources:
                for piece in self.pieces(source):
                    writer.append(piece)
                    # Else it would stay in memory while the next one is read.
                    del piece

    def _keeps_format_of(self, store: type[Store]) -> bool:
        """Whether this writes and reads files as a store that it is derived from."""
        return (type(self).save, type(self).load) == (store.save, store.load)

    def merge_rows(
        self,
        filename: Filename,
        sources: Sequence[Filename],
        origin: Indices,
        rows: Indices,
    ) -> None:
        """Write rows that are picked from some files into one.

        The default loads all files.

        Parameters
        ----------
        filename : path-like
            The file to create or replace. It may be one of the sources.
        sources : sequence of path-like
            Files of this store.
        origin : array of int64, shape (n_rows,)
            For each row to write, the position of its file in `sources`.
        rows : array of int64, shape (n_rows,)
            Which row of that file it is.

        Raises
        ------
        StoreError
            If a file cannot be read or written, or the rows do not go
            together. A previous file is then left as it was.
        """
        batches = [self.load(source) for source in sources]
        begins = list(accumulate(map(count_rows, batches), initial=0))
        order = [begins[o] + row for o, row in zip(origin, rows, strict=True)]
        columns = self.concatenate(batches)
        picked = {key: [column[i] for i in order] for key, column in columns.items()}
        self.save(filename, picked)

    def count(self, filename: Filename) -> int:
        """Return the number of rows in a file.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        int
            The number of rows.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        return count_rows(self.load(filename))

    def keys(self, filename: Filename) -> list[str]:
        """Return the keys in a file in the order in which they were saved.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        list of str
            The keys.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        return list(self.load(filename))

    def load_scalars(self, filename: Filename, keys: Sequence[str]) -> dict[str, Any]:
        """Read columns that hold one number or text for each row.

        psyrun compares parameters with this before it merges files. The default finds
        none, so that nothing is compared.

        Parameters
        ----------
        filename : path-like
            The file.
        keys : sequence of str
            The keys to read; others are left alone.

        Returns
        -------
        dict of str to sequence
            The columns of these keys that the file has, without those that hold
            anything larger.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        return {}

    def pick(
        self,
        filename: Filename,
        keys: Sequence[str] | None = None,
        rows: Indices | None = None,
    ) -> dict[str, Any]:
        """Read some columns, and some rows of them.

        The default loads the file.

        Parameters
        ----------
        filename : path-like
            The file.
        keys : sequence of str, optional
            The columns to read, in this order. All of them without it.
        rows : array of int64, shape (n_rows,), optional
            The rows to read, in this order, none of them negative. All of them
            without it.

        Returns
        -------
        dict of str to sequence
            The columns.

        Raises
        ------
        StoreError
            If the file cannot be read, or has no such column or row.
        """
        columns = self.load(filename)
        wanted = chosen_keys(keys, columns, filename)
        if rows is None:
            return {key: columns[key] for key in wanted}
        from psyrun.store.arrays import take

        check_rows(rows, count_rows(columns), filename)
        return take({key: columns[key] for key in wanted}, rows)

    def write_metadata(
        self, filename: Filename, metadata: Mapping[str, NDArray[Any]]
    ) -> None:
        """Add to a file what is to be known of its rows.

        It is no part of the rows: the other methods pass over it, and need not
        keep it when they write a file anew. The default has no room for it.

        Parameters
        ----------
        filename : path-like
            A file of this store without metadata, which nobody else uses.
        metadata : dict of str to ndarray
            Arrays of numbers, none of them empty. The names are of lower case
            letters and underscores.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        raise StoreError(f"{filename}: files {self.ext!r} have no room for metadata.")

    def read_metadata(
        self, filename: Filename, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Read what `write_metadata` has added to a file.

        Parameters
        ----------
        filename : path-like
            The file.
        names : collection of str, optional
            The arrays to read, as far as they are there; all of them without it.

        Returns
        -------
        dict of str to ndarray
            The arrays; none at all of a file without metadata.

        Raises
        ------
        StoreError
            If the file cannot be read.
        """
        return {}

    def check(self, row: Mapping[str, Any]) -> None:  # noqa: B027
        """Raise an error if this store cannot hold the values of one row.

        psyrun calls this after every evaluation, so that a value that cannot
        be saved is reported when and where it was computed. The default
        accepts everything.

        Parameters
        ----------
        row : mapping of str to object
            One value per key.

        Raises
        ------
        StoreError
            Naming the key, the type of its value and a store that holds it.
        """

    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        """Write a file piece by piece; it appears when the body has ended.

        The default keeps the pieces in memory and saves them together.

        Parameters
        ----------
        filename : path-like
            The file.

        Returns
        -------
        context manager
            Its value has a method ``append(columns)``. If the body raises, a
            previous file is left as it was.

        Raises
        ------
        StoreError
            As `save` does.
        """
        return self._collecting(filename)

    @contextmanager
    def _collecting(self, filename: Filename) -> Iterator[Writer]:
        collected = _Collected()
        yield collected
        data = self.concatenate(collected.batches)
        # Else all lists of rows would be in memory twice while they are written.
        collected.batches.clear()
        self.save(filename, data)

    def concatenate(self, batches: Sequence[Columns]) -> dict[str, Any]:
        """Put batches of rows one after the other, as `append` does.

        The default returns lists in which missing values are nan.

        Parameters
        ----------
        batches : sequence of mappings
            The rows of each batch.

        Returns
        -------
        dict of str to sequence
            All rows, with the keys of all batches that have rows.

        Raises
        ------
        StoreError
            If the lengths within a batch differ.
        """
        filled = with_rows(batches)
        keys = dict.fromkeys(key for batch in filled for key in batch)
        return {key: [v for b in filled for v in _values(b, key)] for key in keys}


class _Collected:
    """Batches of rows, kept in memory."""

    def __init__(self) -> None:
        self.batches: list[Columns] = []

    def append(self, columns: Columns) -> None:
        count_rows(columns)
        self.batches.append(dict(columns))


def _values(batch: Columns, key: str) -> Any:
    return batch[key] if key in batch else [math.nan] * count_rows(batch)
