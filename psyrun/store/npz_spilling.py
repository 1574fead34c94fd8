"""Rows for an NPZ file that are written beside it once they are many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from psyrun.store.arrays import Array
from psyrun.store.npz_text import text_size
from psyrun.store.rows import Columns, count_rows
from psyrun.utils.files import Filename, folder_beside

if TYPE_CHECKING:
    from psyrun.store.npz import NpzStore

_SPILL_BYTES = 1 << 23
_MOST_SPILLED = 16  # files for what is in memory
_PIECE_BYTES = 1 << 20
_LARGEST_PIECE = 1 / 32  # of all that was spilled so far


class Spilled(NamedTuple):
    """Rows in a folder, and in which file there each key is."""

    n_rows: int
    files: dict[str, Path]


class Spilling:
    """Rows that are kept in memory, or in a folder once they are many.

    Parameters
    ----------
    store : NpzStore
        Puts rows together, and writes them.
    filename : path-like
        The file that they are for; the folder is beside it.
    """

    def __init__(self, store: NpzStore, filename: Filename) -> None:
        self._store = store
        self._filename = filename
        self._folder: TemporaryDirectory[str] | None = None
        self._batches: list[Columns] = []
        self._n_bytes = 0
        self._n_spilled = 0
        self._n_unread: Counter[Filename] = Counter()
        self.parts: list[Spilled] = []

    def append(self, columns: Columns) -> None:
        """Add rows."""
        # What is appended in one piece is written once only.
        if self._n_bytes > _SPILL_BYTES:
            self.spill()
        rows = self._store.concatenate([columns])
        self._batches.append(rows)
        self._n_bytes += sum(map(_size, rows.values()))

    def rows(self) -> dict[str, Array]:
        """Return the rows in memory, which are forgotten here."""
        batches, self._batches, self._n_bytes = self._batches, [], 0
        return self._store.concatenate(batches)

    def spill(self) -> None:
        """Move the rows in memory to files, each with about as much in it."""
        if self._folder is None:
            self._folder = folder_beside(self._filename)
        for part in self._pieces(self.rows()):
            self._write(part)

    def _pieces(self, rows: dict[str, Array]) -> Iterator[dict[str, Array]]:
        """Divide rows, as what is read from a file is on disk twice until its end."""
        sizes = [_size(column) for column in rows.values()]
        self._n_spilled += sum(sizes)
        largest = max(_PIECE_BYTES, int(self._n_spilled * _LARGEST_PIECE))
        n_rows, n_pieces = count_rows(rows), -(-max(sizes, default=0) // largest)
        step = max(1, -(-n_rows // max(1, n_pieces)))
        for begin in range(0, n_rows, step) or [0]:
            yield {key: column[begin : begin + step] for key, column in rows.items()}

    def _write(self, rows: dict[str, Array]) -> None:
        assert self._folder is not None
        files = dict[str, Path]()
        for group in _groups(rows):
            name = f"{len(self.parts)}-{len(files)}.npz"
            path = Path(self._folder.name, name)
            self._store.write_columns(path, group, self._filename)
            files.update(dict.fromkeys(group, path))
            self._n_unread[path] = len(group)
        self.parts.append(Spilled(count_rows(rows), files))

    def is_read(self, path: Filename) -> None:
        """Remove a file once all of its keys are read."""
        self._n_unread[path] -= 1
        if not self._n_unread[path]:
            Path(path).unlink()

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            self._folder.cleanup()


def _size(column: Array) -> int:
    return column.nbytes + text_size(column)


def _groups(rows: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Divide columns into groups of about the same size, in their order."""
    least = sum(map(_size, rows.values())) / _MOST_SPILLED
    group: dict[str, Array] = {}
    for key, column in rows.items():
        group[key] = column
        if sum(map(_size, group.values())) >= least:
            yield group
            group = {}
    if group:
        yield group
