"""Python's own format: holds everything that can be pickled."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from psyrun.errors import StoreError, one_line
from psyrun.store.base import Store, Writer
from psyrun.store.pickle_stream import OLDEST_PROTOCOL, PickledColumns
from psyrun.store.rows import Columns, count_rows, select_rows
from psyrun.utils import unpickling
from psyrun.utils.files import Filename, damaged, explained, opened, replacing
from psyrun.utils.typing import override

if TYPE_CHECKING:
    from psyrun.store.arrays import Indices

# Spoils of a broken pickle can be of nearly any type; these two say that the
# file is whole and that a class it needs is not there.
_NOT_IMPORTABLE = (AttributeError, ImportError)

# Rows that are written with the protocol that was asked for if there are no more.
_SMALL_BYTES = 1 << 20


class PickleStore(Store):
    """Keep rows in a pickle of one dictionary of lists.

    Values come back as the objects that they were. Rows may hold values of
    different types and shapes; a key that a row lacks is filled with nan.
    Appending reads and rewrites the whole file. As with every pickle, loading
    a file from someone you do not trust can run their code.

    Parameters
    ----------
    protocol : int, optional
        Pickle protocol of the files that are written; by default the newest.
        Files of more than 1 MiB that are written in pieces have protocol 3 at
        most, which every Python 3 reads.
    """

    ext: ClassVar[str] = ".pkl"
    merges_unloaded: ClassVar[bool] = True

    protocol: int = pickle.HIGHEST_PROTOCOL

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        self.protocol = protocol

    @override
    def save(self, filename: Filename, data: Columns) -> None:
        count_rows(data)
        with replacing(filename) as beside, explained(filename), beside.open("wb") as f:
            self.dump(f, data, filename)

    def dump(self, file: IO[bytes], data: Columns, name: Filename) -> None:
        """Write rows to a file, which errors call by `name`."""
        columns = {key: list(column) for key, column in data.items()}
        try:
            pickle.dump(columns, file, protocol=self.protocol)
        except OSError:
            raise
        except Exception as error:
            _check_all(columns)
            raise StoreError(f"{name}: {one_line(error)}") from error

    @override
    def load(
        self, filename: Filename, row: int | slice | None = None
    ) -> dict[str, Any]:
        return select_rows(_columns_in(filename, unpickling.load), row, filename)

    @override
    def count(self, filename: Filename) -> int:
        """Return the number of rows in a file, of which little is in memory."""
        if not self._keeps_format_of(PickleStore):
            return super().count(filename)
        from psyrun.store.pickle_count import without_values

        return count_rows(_columns_in(filename, without_values))

    @override
    def load_scalars(self, filename: Filename, keys: Sequence[str]) -> dict[str, Any]:
        from psyrun.store.pickle_count import Scalars, with_scalars

        columns = _columns_in(filename, partial(with_scalars, keys=keys))
        found = {k: v.values() for k, v in columns.items() if isinstance(v, Scalars)}
        return {key: values for key, values in found.items() if values is not None}

    @override
    def writer(self, filename: Filename) -> AbstractContextManager[Writer]:
        """Write a file piece by piece, of which only the last is in memory."""
        if (
            not self._keeps_format_of(PickleStore)
            or 0 <= self.protocol < OLDEST_PROTOCOL
        ):
            return super().writer(filename)
        return self._streaming(filename)

    @override
    def merge_rows(
        self,
        filename: Filename,
        sources: Sequence[Filename],
        origin: Indices,
        rows: Indices,
    ) -> None:
        """Write rows that are picked from some files, of which one is in memory.

        Meanwhile the rows are in temporary files beside `filename`, too.
        """
        from psyrun.store.pickle_picking import ranges, write_picked
        from psyrun.store.picks import Picks

        n_ranges = ranges(sources) if self._keeps_format_of(PickleStore) else 1
        if n_ranges == 1:
            super().merge_rows(filename, sources, origin, rows)
        else:
            write_picked(self, filename, sources, Picks(origin, rows), n_ranges)

    @contextmanager
    def _streaming(self, filename: Filename) -> Iterator[Writer]:
        with replacing(filename) as beside:
            rows = _Streaming(self, beside, filename)
            with closing(rows):
                yield rows
                rows.end()

    @override
    def check(self, row: Mapping[str, Any]) -> None:
        """Raise an error if a value cannot be pickled."""
        for key, value in row.items():
            check_picklable(key, value)


def _check_all(columns: Columns) -> None:
    for key, values in columns.items():
        for value in values:
            check_picklable(key, value)


def check_picklable(key: str, value: Any) -> None:
    """Raise a `StoreError` with the key if a value cannot be pickled."""
    if type(value) in unpickling.PLAIN or not _may_hold_objects(value):
        return
    try:
        # A buffer callback spares large arrays the copy.
        pickle.dumps(value, protocol=5, buffer_callback=_ignore)
    except Exception as error:
        raise StoreError(
            f"key {key!r} holds a value of type {type(value).__name__} that cannot "
            f"be pickled ({one_line(error)}), so that no store can hold it; return "
            "numbers, arrays, text or lists of them instead."
        ) from error


def _may_hold_objects(value: Any) -> bool:
    # Numbers and arrays of NumPy say so, without NumPy being imported here.
    return bool(getattr(getattr(value, "dtype", None), "hasobject", True))


def _ignore(buffer: pickle.PickleBuffer) -> None:
    """Leave a buffer out of the pickle."""


def _columns_in(filename: Filename, load: Callable[[IO[bytes]], Any]) -> Columns:
    columns = _unpickle(filename, load)
    if not _is_columns(columns):
        raise damaged(filename, "was not written by PickleStore")
    found: Columns = columns
    return found


def _unpickle(
    filename: Filename, load: Callable[[IO[bytes]], Any] = unpickling.load
) -> Any:
    with explained(filename), opened(filename) as file:
        try:
            return load(file)
        except OSError:
            raise
        except _NOT_IMPORTABLE as error:
            raise StoreError(
                f"{filename}: holds objects of a class that cannot be imported here "
                f"({one_line(error)}); make its module importable."
            ) from error
        except Exception as error:
            raise damaged(filename, "is not a pickle or not whole") from error


def _is_columns(data: object) -> bool:
    if not isinstance(data, dict):
        return False
    try:
        count_rows(data)
    except StoreError:
        return False
    return True


class _Streaming:
    """Rows that are written to a file as they come, of which errors speak by `name`.

    The rows stay in memory if they are few, or cannot be pickled with a protocol for
    pieces, such as a value of more than 4 GiB.
    """

    def __init__(self, store: PickleStore, path: Path, name: Filename) -> None:
        self._store = store
        self._path = path
        self._name = name
        self._n_rows = 0
        self._kept: list[Columns] = []
        protocol = store.protocol if store.protocol >= 0 else pickle.HIGHEST_PROTOCOL
        with explained(name):
            self._file = path.open("wb")
            self._stream: PickledColumns | None = PickledColumns(self._file, protocol)

    def append(self, columns: Columns) -> None:
        n_new = count_rows(columns)
        if self._n_rows and not n_new:
            return
        if n_new:
            self._write(columns)
        if self._stream is None:
            self._kept.append(dict(columns))
        else:
            is_small = not n_new or self._file.tell() < _SMALL_BYTES
            self._kept = [dict(columns)] if is_small and not self._n_rows else []
        self._n_rows += n_new

    def _write(self, columns: Columns) -> None:
        if self._stream is None:
            return
        try:
            with explained(self._name):
                self._stream.append(columns)
        except StoreError:
            raise
        except Exception:
            _check_all(columns)
            self._collect(self._stream)

    def _collect(self, stream: PickledColumns) -> None:
        """Take into memory what was written."""
        with explained(self._name):
            stream.end()
            self._file.flush()
        self._kept = [_unpickle(self._path)] if self._n_rows else []
        self._stream = None

    def end(self) -> None:
        """Make the file whole."""
        with explained(self._name):
            if self._stream is None or self._kept or not self._n_rows:
                self._save()
            else:
                self._stream.end()
            self._file.close()

    def _save(self) -> None:
        columns = self._store.concatenate(self._kept)
        # Else all lists of rows would be in memory twice while they are written.
        self._kept.clear()
        self._file.seek(0)
        self._file.truncate()
        self._store.dump(self._file, columns, self._name)

    def close(self) -> None:
        """Close the file; what that has to say after an error hides its cause."""
        with suppress(OSError):
            self._file.close()
