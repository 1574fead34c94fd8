"""The rows that one round holds: kept ones, those of blocks and of journals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun import journal
from psyrun.division import Division
from psyrun.files import read_json
from psyrun.layout import Round
from psyrun.store.base import Store, Writer
from psyrun.store.registry import store_named

Rows = NDArray[np.int64]
Columns = dict[str, Any]

# Rows read at once: enough to spread the cost of a call, few enough for memory.
CHUNK = 10_000


@dataclass(frozen=True)
class Part:
    """Some consecutive rows of one source.

    Attributes
    ----------
    indices : ndarray of int64, shape (n_rows,)
        Their assignments, ascending.
    columns : dict
        Their values by key.
    """

    indices: Rows
    columns: Columns


@dataclass(frozen=True)
class RoundData:
    """What one round knows.

    Attributes
    ----------
    round : Round
        Its paths.
    store : Store
        The store of its blocks.
    """

    round: Round
    store: Store

    @cached_property
    def division(self) -> Division:
        """The frozen space and its division."""
        return Division.load(self.round)

    def indices_of_block(self, block: int) -> Rows:
        """Return the assignments whose rows a block's store file holds."""
        failed = read_json(self.round.failed(block)) or []
        indices = np.asarray(self.division.indices(block), dtype=np.int64)
        return indices[~np.isin(indices, failed)] if failed else indices

    def recorded(self, block: int) -> dict[int, journal.Entry]:
        """Return the rows that the journals of a block hold, by assignment."""
        found = journal.latest(self.round.journals_of(block), verify=True)
        rows = (index for index, entry in found.items() if entry.kind == journal.ROW)
        return {index: found[index] for index in sorted(rows)}

    def has_block(self, block: int) -> bool:
        """Whether a block's store file is there."""
        return self.round.block(block, self.store.ext).exists()

    def known(self) -> Rows:
        """Return the assignments that have a row, in the order of the space."""
        kept = self.division.kept
        found = [] if kept is None else [np.flatnonzero(kept >= 0)]
        for block in range(self.division.n_blocks):
            if self.has_block(block):
                found.append(self.indices_of_block(block))
            else:
                found.append(np.fromiter(self.recorded(block), np.int64))
        return np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)

    def n_former(self) -> int:
        """Return the number of kept rows that are no longer in the space."""
        former = self.division.former
        return 0 if former is None else len(former)

    def parameters(self) -> Columns:
        """Return the parameters of all known rows, in the order of `write`."""
        keys = self.division.space.keys()
        columns: Columns = {key: [] for key in keys}
        for index in self.known():
            for key, value in self.division.space[int(index)].items():
                columns[key].append(value)
        if not self.n_former():
            return columns
        kept = self._kept.take(np.asarray(self.division.former))
        former = {key: kept[key] for key in keys if key in kept}
        return self.store.concatenate([columns, former])

    def write(self, writer: Writer) -> int:
        """Write all known rows: those of the space in its order, then the others.

        Memory is bounded by one chunk of rows where the store loads slices,
        else by one block and the kept rows.

        Returns
        -------
        int
            Number of rows.
        """
        n_rows = 0
        for columns in self._in_order():
            writer.append(columns)
            n_rows += len(next(iter(columns.values()), ()))
        return n_rows

    def _in_order(self) -> Iterator[Columns]:
        kept = self.division.kept
        rest = np.empty(0, np.int64) if kept is None else np.flatnonzero(kept >= 0)
        for part in self._parts():
            n_before = int(np.searchsorted(rest, part.indices[-1]))
            before, rest = rest[:n_before], rest[n_before:]
            yield self._interleave(part, before)
        for chunk in _chunks(rest):
            yield self._kept.take(self._rows_of(chunk))
        for chunk in _chunks(self.division.former):
            yield self._kept.take(chunk)

    def _parts(self) -> Iterator[Part]:
        for block in range(self.division.n_blocks):
            if self.has_block(block):
                yield from self._parts_of_file(block)
            else:
                yield from parts_of_journal(self.recorded(block), self.store)

    def _parts_of_file(self, block: int) -> Iterator[Part]:
        indices = self.indices_of_block(block)
        file = _File(self.store, str(self.round.block(block, self.store.ext)))
        for begin in range(0, len(indices), CHUNK):
            rows = np.arange(begin, min(begin + CHUNK, len(indices)))
            yield Part(indices[rows], file.take(rows))

    def _rows_of(self, indices: Rows) -> Rows:
        assert self.division.kept is not None
        return self.division.kept[indices]

    def _interleave(self, part: Part, kept: Rows) -> Columns:
        """Merge rows of one part with the kept rows that stand among them."""
        if not len(kept):
            return part.columns
        columns = self.store.concatenate(
            [part.columns, self._kept.take(self._rows_of(kept))]
        )
        order = np.argsort(np.concatenate([part.indices, kept]), kind="stable")
        return take(columns, order)

    @cached_property
    def _kept(self) -> _File:
        return _File(self.store, str(self.round.kept(self.store.ext)))


def store_with(ext: str, preferred: Store) -> Store:
    """Return a store for files with extension `ext`, `preferred` if it is one."""
    return preferred if preferred.ext == ext else store_named(ext)


class _File:
    """Rows of a store file by their numbers."""

    def __init__(self, store: Store, path: str) -> None:
        self._store = store
        self._path = path
        self._all: Columns | None = None

    def take(self, rows: Rows) -> Columns:
        """Return some rows, reading no more of the file than needed."""
        if not self._store.loads_slices:
            if self._all is None:
                self._all = self._store.load(self._path)
            return take(self._all, rows)
        if not len(rows):
            return self._store.load(self._path, slice(0, 0))
        first, last = int(rows.min()), int(rows.max())
        columns = self._store.load(self._path, slice(first, last + 1))
        return take(columns, rows - first)


def take(columns: Mapping[str, Any], rows: Rows) -> Columns:
    """Return some rows of columns, in the order of `rows`."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        span = slice(int(rows[0]), int(rows[0]) + len(rows))
        return {key: column[span] for key, column in columns.items()}
    return {
        key: column[rows]
        if isinstance(column, np.ndarray)
        else [column[row] for row in rows]
        for key, column in columns.items()
    }


def parts_of_journal(
    recorded: Mapping[int, journal.Entry], store: Store
) -> Iterator[Part]:
    """Yield the rows of journals in chunks, in the order of the assignments."""
    entries = iter(recorded.values())
    while chunk := list(islice(entries, CHUNK)):
        indices = np.fromiter((entry.index for entry in chunk), np.int64, len(chunk))
        yield Part(indices, columns_of(journal.rows(chunk), store))


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


def _chunks(rows: Sequence[int] | Rows | None) -> Iterator[Rows]:
    for begin in range(0, 0 if rows is None else len(rows), CHUNK):
        yield np.asarray(rows)[begin : begin + CHUNK]
