"""The rows that one round holds: kept ones, those of blocks and of journals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from psyrun import journal
from psyrun.division import Division
from psyrun.files import read_json
from psyrun.layout import Round
from psyrun.sources import Columns, FileSource, JournalSource, Rows, Source, take
from psyrun.store.base import Store, Writer
from psyrun.store.registry import store_named
from psyrun.taken_over import joined_points

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

    def indices_of_block(self, block: int) -> Rows:
        """Return the assignments whose rows a block's store file holds."""
        listed = self.round.rows(block)
        if listed.exists():
            indices: Rows = np.load(listed)
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

    def sources(self) -> list[Source]:
        """Return all places with rows of the space."""
        kept = self.division.kept
        found: list[Source] = []
        if kept is not None:
            indices = np.flatnonzero(kept >= 0)
            found.append(
                FileSource(self.store, self._kept_path, indices, kept[indices])
            )
        found += [self._source(block) for block in range(self.division.n_blocks)]
        return [source for source in found if len(source.indices)]

    def _source(self, block: int) -> Source:
        if self.has_block(block):
            indices = self.indices_of_block(block)
            return FileSource(self.store, self.block_path(block), indices)
        return JournalSource(self.recorded(block), self.store)

    @property
    def _kept_path(self) -> str:
        return str(self.round.kept(self.store.ext))

    def known(self) -> Rows:
        """Return the assignments that have a row, in the order of the space."""
        indices = [source.indices for source in self.sources()]
        return np.sort(np.concatenate(indices)) if indices else np.empty(0, np.int64)

    def n_former(self) -> int:
        """Return the number of kept rows that are no longer in the space."""
        former = self.division.former
        return 0 if former is None else len(former)

    def points(self) -> Columns:
        """Return the parameters of all known rows, in the order of `pieces`."""
        keys = self.division.space.keys()
        columns: Columns = {key: [] for key in keys}
        for index in self.known():
            for key, value in self.division.space[int(index)].items():
                columns[key].append(value)
        return joined_points([columns, self.former_points()])

    def former_points(self) -> Columns:
        """Return the parameters of kept rows that are no longer in the space."""
        return dict(self.division.former_points or {})

    def write(self, writer: Writer) -> int:
        """Write all known rows and return their number; see `pieces`."""
        n_rows = 0
        for columns in self.pieces():
            writer.append(columns)
            n_rows += len(next(iter(columns.values()), ()))
        return n_rows

    def pieces(self) -> Iterator[Columns]:
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

    def _interleaved(self, sources: Sequence[Source]) -> Iterator[Columns]:
        lengths = [len(source.indices) for source in sources]
        order = np.argsort(np.concatenate([source.indices for source in sources]))
        origin = np.repeat(np.arange(len(sources)), lengths)[order]
        rows = np.concatenate([np.arange(length) for length in lengths])[order]
        for chunk in chunks(np.arange(len(order))):
            yield self._gather(sources, origin[chunk], rows[chunk])

    def _gather(self, sources: Sequence[Source], origin: Rows, rows: Rows) -> Columns:
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

    def _former(self, rows: Rows) -> Columns:
        return FileSource(self.store, self._kept_path, rows, rows).take_rows(rows)


def _is_one_after_the_other(sources: Sequence[Source]) -> bool:
    ends = [int(source.indices[-1]) for source in sources]
    begins = [int(source.indices[0]) for source in sources[1:]]
    return all(end < begin for end, begin in zip(ends, begins, strict=False))


def rows_of(known: Mapping[int, journal.Entry]) -> dict[int, journal.Entry]:
    """Return the entries that are rows, in the order of the assignments."""
    indices = (index for index in sorted(known) if known[index].kind == journal.ROW)
    return {index: known[index] for index in indices}


def chunks(rows: Rows | None) -> Iterator[Rows]:
    """Yield pieces of an array that are few enough to be handled at once."""
    for begin in range(0, 0 if rows is None else len(rows), CHUNK):
        yield np.asarray(rows)[begin : begin + CHUNK]


def store_with(ext: str, preferred: Store) -> Store:
    """Return a store for files with extension `ext`, `preferred` if it is one."""
    return preferred if preferred.ext == ext else store_named(ext)
