"""Where rows of some assignments are: files of stores, and journals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import numpy as np

from psyrun.errors import NoSuchFileError
from psyrun.store.arrays import Indices, take
from psyrun.store.base import Store
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.utils.files import damaged
from psyrun.utils.typing import override
from psyrun.workdir import frames, journal

# Rows handled at once: enough to spread the cost of a call, few for memory.
CHUNK = 10_000


def ordered(sources: Iterable[RowSource]) -> list[RowSource]:
    """Sort sources by their first assignments; each has one at least."""
    return sorted(sources, key=lambda source: int(source.indices[0]))


def are_in_sequence(sources: Sequence[Indices]) -> bool:
    """Whether assignments of each source come before those of the next one."""
    ends = [int(indices[-1]) for indices in sources]
    begins = [int(indices[0]) for indices in sources[1:]]
    return all(end < begin for end, begin in zip(ends, begins, strict=False))


def joined_ascending(parts: Sequence[Indices]) -> Indices:
    """Return assignments of several sources, each of which is ascending, in order."""
    if len(parts) == 1:
        return parts[0]
    if parts and are_in_sequence(parts):
        return np.concatenate(parts)
    # What is ascending in parts is merged, in no more time than it takes to copy it.
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]), kind="stable")


class StoredRows(NamedTuple):
    """Rows of a file: their places in the result, and which rows of it they are.

    `rows` is None if they are all rows of the file, one after the other.
    """

    places: Indices
    path: str
    rows: Indices | None = None


def merge_stored(store: Store, filename: str, parts: Sequence[StoredRows]) -> int:
    """Write rows of files of a store to one and return their number."""
    files = [part.path for part in parts]
    places = [part.places for part in parts]
    n_rows = sum(map(len, places))
    if are_in_sequence(places) and all(part.rows is None for part in parts):
        store.merge(filename, files)
        return n_rows
    order = np.argsort(np.concatenate(places), kind="stable")
    origin = np.repeat(np.arange(len(parts)), list(map(len, places)))
    rows = [np.arange(len(p.places)) if p.rows is None else p.rows for p in parts]
    store.merge_rows(filename, files, origin[order], np.concatenate(rows)[order])
    return n_rows


def rows_of(entries: Mapping[int, journal.Entry]) -> dict[int, journal.Entry]:
    """Return the entries that are rows, in the order of the assignments."""
    return {i: entries[i] for i in sorted(entries) if entries[i].kind == frames.ROW}


def chunks(rows: Indices | None) -> Iterator[Indices]:
    """Yield pieces of an array that are few enough to be handled at once."""
    for begin in range(0, 0 if rows is None else len(rows), CHUNK):
        yield np.asarray(rows)[begin : begin + CHUNK]


class RowSource(Protocol):
    """Where rows of some assignments are read from."""

    indices: Indices
    """The assignments, ascending."""

    def take(self, rows: Indices) -> ColumnDict:
        """Return some rows by their positions in `indices`."""

    def only(self, indices: Sequence[int] | Indices) -> RowSource:
        """Return the rows of some of these assignments."""

    def stored(self) -> StoredRows | None:
        """Return where these rows are in a file, None if they are in none."""

    def forget(self) -> None:
        """Give memory back; no more rows are needed for now."""


class FileRows(RowSource):
    """Rows of a store file.

    `rows` tells which row of the file `path` belongs to each of `indices`; by default
    they are in order, and the file has no others.
    """

    def __init__(
        self,
        store: Store,
        path: str,
        indices: Indices,
        rows: Indices | None = None,
    ) -> None:
        self.indices = indices
        self.path = path
        self.rows = rows
        self._store = store
        self._is_checked = rows is not None
        self._all: ColumnDict | None = None

    @override
    def take(self, rows: Indices) -> ColumnDict:
        return self.take_rows(rows if self.rows is None else self.rows[rows])

    def take_rows(self, rows: Indices) -> ColumnDict:
        """Return some rows of the file, reading no more of it than needed."""
        if not self._store.loads_slices:
            if self._all is None:
                self._all = self._store.load(self.path)
                self._check(count_rows(self._all))
            return take(self._all, rows)
        if not self._is_checked:
            self._check(self._store.count(self.path))
        if not len(rows):
            return self._store.load(self.path, slice(0, 0))
        first, last = int(rows.min()), int(rows.max())
        columns = self._store.load(self.path, slice(first, last + 1))
        return take(columns, rows - first)

    def _check(self, n_rows: int) -> None:
        """Refuse a file whose rows would be taken for those of others."""
        if not self._is_checked and n_rows != len(self.indices):
            raise damaged(
                self.path, f"holds {n_rows} rows instead of {len(self.indices)}"
            )
        self._is_checked = True

    @override
    def only(self, indices: Sequence[int] | Indices) -> FileRows:
        positions = np.flatnonzero(np.isin(self.indices, np.asarray(indices)))
        rows = positions if self.rows is None else self.rows[positions]
        return FileRows(self._store, self.path, self.indices[positions], rows)

    @override
    def stored(self) -> StoredRows | None:
        n_rows = self._store.count(self.path)
        self._check(n_rows)
        is_whole = self.rows is None or np.array_equal(self.rows, np.arange(n_rows))
        return StoredRows(self.indices, self.path, None if is_whole else self.rows)

    @override
    def forget(self) -> None:
        self._all = None


class JournalRows(RowSource):
    """Rows of journals: entries of kind `ROW` by assignment, ascending.

    `of_file` returns them from where they are once the journals have lost them.
    """

    def __init__(
        self,
        recorded: Mapping[int, journal.Entry],
        store: Store,
        of_file: Callable[[], RowSource | None] = lambda: None,
    ) -> None:
        self.indices = np.fromiter(recorded, np.int64, len(recorded))
        self._recorded = recorded
        self._store = store
        self._of_file = of_file

    @property
    def entries(self) -> list[journal.Entry]:
        """Where the rows are, in the order of the assignments."""
        return list(self._recorded.values())

    @override
    def take(self, rows: Indices) -> ColumnDict:
        entries = [self._recorded[index] for index in self.indices[rows].tolist()]
        try:
            return columns_of(journal.rows(entries), self._store)
        except NoSuchFileError:
            source = self._of_file()
            if source is None:
                raise
        return source.take(np.searchsorted(source.indices, self.indices[rows]))

    @override
    def only(self, indices: Sequence[int] | Indices) -> JournalRows:
        wanted = set(map(int, indices))
        some = {i: entry for i, entry in self._recorded.items() if i in wanted}
        return JournalRows(some, self._store, self._of_file)

    @override
    def stored(self) -> StoredRows | None:
        return None

    @override
    def forget(self) -> None:
        pass


def columns_of(rows: Iterable[Mapping[str, Any]], store: Store) -> ColumnDict:
    """Turn rows into columns; keys that a row lacks are filled by the store."""
    found = list(rows)
    if not found:
        return {}
    if len({*map(len, found)}) == 1:
        # Nearly always all have the same ones.
        with suppress(KeyError):
            return _columns(found)
    runs = [list(run) for _, run in groupby(found, key=frozenset)]
    return store.concatenate([_columns(run) for run in runs])


def _columns(rows: Sequence[Mapping[str, Any]]) -> ColumnDict:
    return {key: [row[key] for row in rows] for key in rows[0]}
