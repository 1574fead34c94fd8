"""Places where rows of a round stand: store files and journals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from psyrun import journal
from psyrun.files import damaged
from psyrun.store.base import Store
from psyrun.store.rows import count_rows

Rows = NDArray[np.int64]
Columns = dict[str, Any]


class Source(Protocol):
    """Rows of some assignments.

    Attributes
    ----------
    indices : ndarray of int64, shape (n_rows,)
        The assignments, ascending.
    """

    @property
    def indices(self) -> Rows:
        """The assignments, ascending."""

    def take(self, rows: Rows) -> Columns:
        """Return some rows by their positions in `indices`."""

    def forget(self) -> None:
        """Give memory back; no more rows are needed for now."""


class FileSource:
    """Rows of a store file.

    Parameters
    ----------
    store : Store
        The store of the file.
    path : str
        The file.
    indices : ndarray of int64, shape (n_rows,)
        The assignments, ascending.
    rows : ndarray of int64, shape (n_rows,), optional
        Which row of the file belongs to each; by default they are in order,
        and the file has no others.
    """

    def __init__(
        self, store: Store, path: str, indices: Rows, rows: Rows | None = None
    ) -> None:
        self._is_checked = rows is not None
        self._store = store
        self._path = path
        self.indices = indices
        self._rows = rows
        self._all: Columns | None = None

    def take(self, rows: Rows) -> Columns:
        """Return some rows by their positions in `indices`."""
        return self.take_rows(rows if self._rows is None else self._rows[rows])

    def take_rows(self, rows: Rows) -> Columns:
        """Return some rows of the file, reading no more of it than needed."""
        if not self._store.loads_slices:
            if self._all is None:
                self._all = self._store.load(self._path)
                self._check(count_rows(self._all))
            return take(self._all, rows)
        if not self._is_checked:
            self._check(self._store.count(self._path))
        if not len(rows):
            return self._store.load(self._path, slice(0, 0))
        first, last = int(rows.min()), int(rows.max())
        columns = self._store.load(self._path, slice(first, last + 1))
        return take(columns, rows - first)

    def _check(self, n_rows: int) -> None:
        """Refuse a file whose rows would be taken for those of others."""
        if not self._is_checked and n_rows != len(self.indices):
            raise damaged(
                self._path, f"holds {n_rows} rows instead of {len(self.indices)}"
            )
        self._is_checked = True

    def forget(self) -> None:
        """Give memory back."""
        self._all = None


class JournalSource:
    """Rows of journals.

    Parameters
    ----------
    recorded : mapping
        Entries of kind `psyrun.journal.ROW` by assignment, ascending.
    store : Store
        Puts rows with different keys together.
    """

    def __init__(self, recorded: Mapping[int, journal.Entry], store: Store) -> None:
        self.indices: Rows = np.fromiter(recorded, np.int64, len(recorded))
        self._recorded = recorded
        self._store = store

    def take(self, rows: Rows) -> Columns:
        """Return some rows by their positions in `indices`."""
        entries = [self._recorded[int(index)] for index in self.indices[rows]]
        return columns_of(journal.rows(entries), self._store)

    def forget(self) -> None:
        """Do nothing: nothing is kept in memory."""


def take(columns: Mapping[str, Any], rows: Rows) -> Columns:
    """Return some rows of columns, in the order of `rows`."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        span = slice(int(rows[0]), int(rows[0]) + len(rows))
        return {key: column[span] for key, column in columns.items()}
    return {key: _pick(column, rows) for key, column in columns.items()}


def _pick(column: Sequence[Any], rows: Rows) -> Any:
    if isinstance(column, np.ndarray):
        return column[rows]
    return [column[row] for row in rows]


def columns_of(rows: Iterable[Mapping[str, Any]], store: Store) -> Columns:
    """Turn rows into columns; keys that a row lacks are filled by the store."""
    batches: list[Columns] = []
    for row in rows:
        if not batches or batches[-1].keys() != row.keys():
            batches.append({key: [] for key in row})
        for key, value in row.items():
            batches[-1][key].append(value)
    if len(batches) == 1:
        return batches[0]
    return store.concatenate(batches) if batches else {}
