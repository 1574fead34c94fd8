"""The rows that one round holds: kept ones, those of blocks and of journals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from psyrun.store.arrays import Indices, take
from psyrun.store.base import Store, Writer
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.utils.files import damaged, read_json
from psyrun.workdir import journal
from psyrun.workdir.division import Division
from psyrun.workdir.layout import Round
from psyrun.workdir.reuse import joined_points

# Rows handled at once: enough to spread the cost of a call, few for memory.
CHUNK = 10_000


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

    def indices_of_block(self, block: int) -> Indices:
        """Return the assignments whose rows a block's store file holds."""
        listed = self.round.rows(block)
        if listed.exists():
            indices: Indices = np.load(listed)
            return indices
        return np.asarray(self.division.indices(block), dtype=np.int64)

    def recorded(self, block: int) -> dict[int, journal.Entry]:
        """Return the rows that the journals of a block hold, by assignment."""
        return rows_of(journal.latest(self.round.journals_of(block), verify=True))

    def block_path(self, block: int) -> str:
        """Return the path of a block's store file."""
        return str(self.round.block(block, self.store.ext))

    def has_block(self, block: int) -> bool:
        """Whether a block's store file is there."""
        return self.round.block(block, self.store.ext).exists()

    def accepted_failures(self, block: int) -> dict[int, dict[str, Any]]:
        """Return the failures that a block's store file goes without."""
        record = read_json(self.round.failed(block)) or {}
        return {int(index): failure for index, failure in record.items()}

    def n_accepted_failures(self) -> int:
        """Return how many assignments the round goes without."""
        blocks = range(self.division.n_blocks)
        return sum(len(self.accepted_failures(block)) for block in blocks)

    def sources(self) -> list[RowSource]:
        """Return all places with rows of the space."""
        kept = self.division.kept
        found: list[RowSource] = []
        if kept is not None:
            indices = np.flatnonzero(kept >= 0)
            found.append(FileRows(self.store, self._kept_path, indices, kept[indices]))
        found += [self._source(block) for block in range(self.division.n_blocks)]
        return [source for source in found if len(source.indices)]

    def _source(self, block: int) -> RowSource:
        if self.has_block(block):
            indices = self.indices_of_block(block)
            return FileRows(self.store, self.block_path(block), indices)
        return JournalRows(self.recorded(block), self.store)

    @property
    def _kept_path(self) -> str:
        return str(self.round.kept(self.store.ext))

    def known(self) -> Indices:
        """Return the assignments that have a row, in the order of the space."""
        indices = [source.indices for source in self.sources()]
        return np.sort(np.concatenate(indices)) if indices else np.empty(0, np.int64)

    def n_former(self) -> int:
        """Return the number of kept rows that are no longer in the space."""
        former = self.division.former
        return 0 if former is None else len(former)

    def points(self) -> ColumnDict:
        """Return the parameters of all known rows, in the order of `pieces`."""
        keys = self.division.space.keys()
        columns: ColumnDict = {key: [] for key in keys}
        for index in self.known():
            for key, value in self.division.space[int(index)].items():
                columns[key].append(value)
        return joined_points([columns, self.former_points()])

    def former_points(self) -> ColumnDict:
        """Return the parameters of kept rows that are no longer in the space."""
        return dict(self.division.former_points or {})

    def write(self, writer: Writer) -> int:
        """Write all known rows and return their number; see `pieces`."""
        n_rows = 0
        for columns in self.pieces():
            writer.append(columns)
            n_rows += len(next(iter(columns.values()), ()))
        return n_rows

    def pieces(self) -> Iterator[ColumnDict]:
        """Yield all known rows: those of the space in its order, then the others.

        Memory is bounded by one chunk of rows and a few numbers for each
        assignment where the store loads slices; else by one file, or all of
        them where their rows stand in between each other.
        """
        sources = sorted(self.sources(), key=lambda source: int(source.indices[0]))
        if _is_one_after_the_other(sources):
            for source in sources:
                for rows in chunks(np.arange(len(source.indices))):
                    yield source.take(rows)
                source.forget()
        elif sources:
            yield from self._interleaved(sources)
        for chunk in chunks(self.division.former):
            yield self._former(chunk)

    def _interleaved(self, sources: Sequence[RowSource]) -> Iterator[ColumnDict]:
        lengths = [len(source.indices) for source in sources]
        order = np.argsort(np.concatenate([source.indices for source in sources]))
        origin = np.repeat(np.arange(len(sources)), lengths)[order]
        rows = np.concatenate([np.arange(length) for length in lengths])[order]
        for chunk in chunks(np.arange(len(order))):
            yield self._gather(sources, origin[chunk], rows[chunk])

    def _gather(
        self, sources: Sequence[RowSource], origin: Indices, rows: Indices
    ) -> ColumnDict:
        """Return rows from several sources in the order in which they are listed."""
        used = np.unique(origin)
        places = [np.flatnonzero(origin == number) for number in used]
        columns = self.store.concatenate(
            [
                sources[number].take(rows[at])
                for number, at in zip(used, places, strict=True)
            ]
        )
        return take(columns, np.argsort(np.concatenate(places)))

    def _former(self, rows: Indices) -> ColumnDict:
        return FileRows(self.store, self._kept_path, rows, rows).take_rows(rows)


def _is_one_after_the_other(sources: Sequence[RowSource]) -> bool:
    ends = [int(source.indices[-1]) for source in sources]
    begins = [int(source.indices[0]) for source in sources[1:]]
    return all(end < begin for end, begin in zip(ends, begins, strict=False))


def rows_of(known: Mapping[int, journal.Entry]) -> dict[int, journal.Entry]:
    """Return the entries that are rows, in the order of the assignments."""
    indices = (index for index in sorted(known) if known[index].kind == journal.ROW)
    return {index: known[index] for index in indices}


def chunks(rows: Indices | None) -> Iterator[Indices]:
    """Yield pieces of an array that are few enough to be handled at once."""
    for begin in range(0, 0 if rows is None else len(rows), CHUNK):
        yield np.asarray(rows)[begin : begin + CHUNK]


class RowSource(Protocol):
    """Rows of some assignments.

    Attributes
    ----------
    indices : ndarray of int64, shape (n_rows,)
        The assignments, ascending.
    """

    @property
    def indices(self) -> Indices:
        """The assignments, ascending."""

    def take(self, rows: Indices) -> ColumnDict:
        """Return some rows by their positions in `indices`."""

    def forget(self) -> None:
        """Give memory back; no more rows are needed for now."""


class FileRows:
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
        self,
        store: Store,
        path: str,
        indices: Indices,
        rows: Indices | None = None,
    ) -> None:
        self._is_checked = rows is not None
        self._store = store
        self._path = path
        self.indices = indices
        self._rows = rows
        self._all: ColumnDict | None = None

    def take(self, rows: Indices) -> ColumnDict:
        """Return some rows by their positions in `indices`."""
        return self.take_rows(rows if self._rows is None else self._rows[rows])

    def take_rows(self, rows: Indices) -> ColumnDict:
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


class JournalRows:
    """Rows of journals.

    Parameters
    ----------
    recorded : mapping
        Entries of kind `psyrun.workdir.journal.ROW` by assignment, ascending.
    store : Store
        Puts rows with different keys together.
    """

    def __init__(self, recorded: Mapping[int, journal.Entry], store: Store) -> None:
        self.indices: Indices = np.fromiter(recorded, np.int64, len(recorded))
        self._recorded = recorded
        self._store = store

    def take(self, rows: Indices) -> ColumnDict:
        """Return some rows by their positions in `indices`."""
        entries = [self._recorded[int(index)] for index in self.indices[rows]]
        return columns_of(journal.rows(entries), self._store)

    def forget(self) -> None:
        """Do nothing: nothing is kept in memory."""


def columns_of(rows: Iterable[Mapping[str, Any]], store: Store) -> ColumnDict:
    """Turn rows into columns; keys that a row lacks are filled by the store."""
    batches: list[ColumnDict] = []
    for row in rows:
        if not batches or batches[-1].keys() != row.keys():
            batches.append({key: [] for key in row})
        for key, value in row.items():
            batches[-1][key].append(value)
    if len(batches) == 1:
        return batches[0]
    return store.concatenate(batches) if batches else {}
