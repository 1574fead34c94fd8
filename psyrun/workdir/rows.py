"""The rows that one round holds: kept ones, those of blocks and of journals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import DamagedFileError, StoreError, one_line
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.param import select_ascending
from psyrun.store.arrays import Indices, take
from psyrun.store.base import Store, Writer
from psyrun.store.rows import ColumnDict
from psyrun.utils.checksums import verify
from psyrun.utils.files import damaged, duplicate, read_json
from psyrun.workdir import journal
from psyrun.workdir.checksums import BlockRecord, problem_of_block
from psyrun.workdir.comparison import AssignedRows
from psyrun.workdir.damage import set_aside
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import Round
from psyrun.workdir.merged_rows import MergedRows, is_emptied, sound_rows
from psyrun.workdir.row_sources import (
    FileRows,
    JournalRows,
    RowSource,
    StoredRows,
    are_in_sequence,
    chunks,
    joined_ascending,
    merge_stored,
    ordered,
    rows_of,
)

_KEPT = -1  # in the place of a block


@dataclass(frozen=True)
class RoundData:
    """The space and the rows of one round; `store` is that of its blocks.

    A row that a journal holds, but that cannot be read, counts as failed if there is
    `on_unreadable`, which is called with it and the reason in one line; else it is an
    error, when it is read. A block that is not what was written is not used: its rows
    are those of the journals, if they have all of them or there is `on_damaged`, which
    is called once with the block and what is wrong in one line; else it is an error.
    """

    round: Round
    store: Store
    on_unreadable: Callable[[journal.Entry, str], object] | None = None
    on_damaged: Callable[[int, str], object] | None = None
    _problems: dict[int, str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _told: set[int] = field(default_factory=set, init=False, repr=False, compare=False)
    _recorded: dict[int, dict[int, journal.Entry]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def division(self) -> Division:
        """The frozen space and its division."""
        return Division.load(self.round)

    @cached_property
    def _counts(self) -> DivisionCounts | None:
        return DivisionCounts.load(self.round)

    def problem_of(self, block: int) -> str:
        """Return what is wrong with a block's files; empty if nothing is.

        They are looked at once.
        """
        if block not in self._problems:
            space = None if self._counts is None else self._counts.space
            path = self._file_of(block) or self.round.block(block, self.store.ext)
            problem = problem_of_block(self.round, block, path, space)
            problem = problem or self._problem_of_lists(block)
            self._problems[block] = problem or self.difference(block)
        return self._problems[block]

    def _problem_of_lists(self, block: int) -> str:
        """Return why it is not known of which assignments the rows of a block are."""
        path = self._file_of(block)
        if path is None or BlockRecord.load(self.round, block) is not None:
            return ""
        fetches = self._counts is not None and self._counts.fetches
        if fetches and not self.round.rows(block).exists():
            return f"{path}: the list of its assignments is gone"
        try:
            n_rows = self.store.count(str(path))
            n_listed = len(self.indices_of_block(block))
        except StoreError as error:
            return str(error)
        is_right = n_rows == n_listed
        return "" if is_right else f"{path}: holds {n_rows} rows instead of {n_listed}"

    def difference(self, block: int) -> str:
        """Return in one line that a block has rows of others; empty if it has not."""
        record, path = BlockRecord.load(self.round, block), self._file_of(block)
        # What is merged was emptied, and has no record: this may be any file.
        known = self.merged if record is None else record
        if path is None or known is None or not known.compared:
            return ""
        rows = AssignedRows(self.store, path, self.indices_of_block(block))
        problem = rows.problem(self.division.space, known.compared)
        return f"{path}: {problem}" if problem else ""

    def compared(self) -> set[str]:
        """Return the parameters whose values in all rows are those of the space."""
        if self.merged is not None and not self.merged.lacks:
            return set(self.merged.compared)
        kept, blocks = self.division.kept, range(self.division.n_blocks)
        known = [] if kept is None else [set(self.division.kept_compared)]
        for block in blocks:
            record = BlockRecord.load(self.round, block)
            if record is None or self.rows_of_block(block) is None:
                return set()
            known += [set(record.compared)] * (record.n_rows > 0)
        return set.intersection(*known) if known else set()

    def with_row(self) -> Indices:
        """Return the assignments that have a row, in the order of the space."""
        indices = [source.indices for source in self.sources()]
        return joined_ascending(indices)

    @property
    def n_rows(self) -> int:
        """How many rows there are, with those that are not in the space."""
        n_rows = sum(len(source.indices) for source in self.sources())
        return n_rows + self.division.n_former

    def n_accepted_failures(self) -> int:
        """Return how many failed assignments the blocks lack.

        A list may be left of a block that was made anew: what has a row does not count.
        """
        blocks = range(self.division.n_blocks)
        lists = (accepted_failures(self.round, block) for block in blocks)
        failed = {index for listed in lists for index in listed}
        there = self.with_row() if failed else ()
        return len(failed.difference(map(int, there)))

    def points(self) -> list[ParameterSpace]:
        """Return the parameters of all rows, in the order of `pieces`.

        First those of the space, then those of the others.
        """
        space, indices = self.division.space, self.with_row()
        own = select_ascending(space, indices)
        former = dict(self.division.former_points or {})
        return [own, Param(**former)] if self.division.n_former else [own]

    def versions(self) -> Indices:
        """Return which version each of these rows comes from.

        That is 0 for the one of the round itself, else a place in the `fingerprints`
        of its division, counted from 1.
        """
        division, indices = self.division, self.with_row()
        versions = np.zeros(len(indices) + division.n_former, np.int64)
        if division.kept is None or division.versions is None:
            return versions
        is_all = len(indices) == len(division.kept)
        kept = division.kept if is_all else division.kept[indices]
        own, known = versions[: len(indices)], division.versions
        if len(known) and known.min() == known.max():
            np.multiply(kept >= 0, known[0] + 1, out=own)
        else:
            # The last one is that of what is not kept, which is -1.
            np.take(np.append(known + 1, 0), kept, out=own, mode="wrap")
        if division.former is not None:
            versions[len(indices) :] = division.versions[division.former] + 1
        return versions

    def save(self, store: Store, filename: str, *, is_anew: bool = False) -> int:
        """Write all rows to a file and return their number; see `pieces`.

        If that `is_anew`, the file has nothing of what is known of them.
        """
        if store.ext == self.store.ext:
            if (whole := self.whole_file()) is not None and not is_anew:
                duplicate(whole, filename)
                return store.count(filename)
            if parts := self._stored():
                return merge_stored(store, filename, parts)
        with store.writer(filename) as writer:
            return self.write(writer)

    def _stored(self) -> list[StoredRows]:
        """Return the rows as parts of files, those that come last after the others.

        There are none if not all rows are in files, or it is no cheaper not to load
        them.
        """
        if not self.store.merges_unloaded:
            return []
        parts = [source.stored() for source in self._ordered()]
        if len(former := self._former.rows):
            places = len(self.division.space) + np.arange(len(former))
            parts.append(StoredRows(places, self._former.path, former))
        found = [part for part in parts if part is not None]
        return found if len(found) == len(parts) else []

    def write(self, writer: Writer) -> int:
        """Write all rows and return their number; see `pieces`."""
        n_rows = 0
        for columns in self.pieces():
            writer.append(columns)
            n_rows += len(next(iter(columns.values()), ()))
            # Else they would stay in memory while the next ones are read.
            del columns
        return n_rows

    def pieces(self) -> Iterator[ColumnDict]:
        """Yield all rows: those of the space in its order, then the others.

        Memory is bounded by one chunk of rows and a few numbers for each
        assignment where the store loads slices; else by one file, or all of
        them where their rows are interleaved.
        """
        yield from self.in_order(self._ordered())
        yield from self.former_pieces()

    def former_pieces(self) -> Iterator[ColumnDict]:
        """Yield the rows that come after those of the space."""
        path = self._former.path
        for rows in chunks(self._former.rows):
            yield FileRows(self.store, path, rows, rows).take_rows(rows)

    def in_order(self, sources: Sequence[RowSource]) -> Iterator[ColumnDict]:
        """Yield the rows of some sources, sorted by their first assignments.

        They come in the order of the space, in pieces.
        """
        if are_in_sequence([source.indices for source in sources]):
            for source in sources:
                for rows in chunks(np.arange(len(source.indices))):
                    yield source.take(rows)
                source.forget()
        elif sources:
            yield from self._interleaved(sources)

    def _ordered(self) -> list[RowSource]:
        return ordered(self.sources())

    def sources(self) -> list[RowSource]:
        """Return all files with rows of the space."""
        if self.merged is not None:
            return self._after_merge(self.merged)
        kept = self.division.kept
        found: list[RowSource] = []
        if kept is not None:
            self._verify_kept()
            found.append(FileRows(self.store, self._kept_path, *self._kept_rows))
        found += [self.source(block) for block in range(self.division.n_blocks)]
        return [source for source in found if len(source.indices)]

    @cached_property
    def _kept_rows(self) -> tuple[Indices, Indices]:
        """The assignments with rows in the kept file, and which rows these are."""
        kept = self.division.kept
        assert kept is not None
        indices = np.flatnonzero(kept >= 0)
        return indices, kept[indices]

    @cached_property
    def merged(self) -> MergedRows | None:
        """What is recorded of the rows in the result, if it has those of the round."""
        return sound_rows(self.round)

    def _after_merge(self, merged: MergedRows) -> list[RowSource]:
        """Return the rows of the result, and those that were evaluated since."""
        found: list[RowSource] = [self._of_result(merged)]
        # Without failures it has them all.
        if merged.lacks:
            blocks = range(self.division.n_blocks)
            sources = (self.source(block) for block in blocks)
            found += [source.only(merged.lacks) for source in sources]
        return [source for source in found if len(source.indices)]

    def _of_result(self, merged: MergedRows) -> FileRows:
        path = str(merged.path(self.round))
        return FileRows(self.store, path, *self._rows_of_merged)

    @cached_property
    def _rows_of_merged(self) -> tuple[Indices, Indices]:
        """The assignments with rows in the result, and which rows these are."""
        assert self.merged is not None
        indices = self.merged.indices(len(self.division.space))
        return indices, np.arange(len(indices)) if self.merged.lacks else indices

    def rows_of_result(self, block: int) -> FileRows | None:
        """Return the rows of a block that the result has, None if nothing is merged.

        If the block fetched its work, it is not known any more which they are.
        """
        if self.merged is None:
            return None
        return self._of_result(self.merged).only(self.division.indices(block))

    def whole_file(self) -> Path | None:
        """Return the file that has all rows and nothing else, None if there is none.

        Raises `DamagedFileError` if it is not what was written.
        """
        if self.merged is None or len(self._after_merge(self.merged)) != 1:
            return None
        path = self.merged.path(self.round)
        if problem := self.merged.problem(self.round, quick=False):
            set_aside(path, self.round.damaged)
            raise DamagedFileError(
                f"{path}: is damaged, it {problem}. Run again: its rows are evaluated "
                "once more."
            )
        return path

    @cached_property
    def _former(self) -> FormerRows:
        """Where the rows are whose assignments are no longer in the space."""
        merged, former = self.merged, self.division.former
        if former is None:
            return FormerRows("", np.empty(0, np.int64))
        if merged is None:
            return FormerRows(self._kept_path, former)
        first = merged.n_rows - len(former)
        path = str(merged.path(self.round))
        return FormerRows(path, np.arange(first, merged.n_rows))

    @property
    def former_rows(self) -> FormerRows:
        """Where the rows are that come after those of the space."""
        return self._former

    def _verify_kept(self) -> None:
        # Once, although not all of its rows may be asked for together.
        if _KEPT not in self._problems and self._counts is not None:
            verify(self._kept_path, self._counts.kept)
            self._compare_kept()
            self._problems[_KEPT] = ""

    def _compare_kept(self) -> None:
        if keys := self.division.kept_compared:
            rows = AssignedRows(self.store, self._kept_path, *self._kept_rows)
            if problem := rows.problem(self.division.space, keys):
                raise damaged(self._kept_path, problem)

    @property
    def _kept_path(self) -> str:
        return str(self.round.kept(self.store.ext))

    def source(self, block: int) -> RowSource:
        """Return where the rows of a block are: in its file, or in its journals."""
        if (source := self.rows_of_block(block)) is not None:
            return source
        rows = self._rows_of_journals(block)
        # Its journals may have lost their rows meanwhile.
        if (source := self.rows_of_block(block)) is not None:
            return source
        if self._file_of(block) is not None and not self.is_in_journals(block):
            self._tell_damaged(block)
        return JournalRows(rows, self.store, lambda: self.rows_of_block(block))

    def rows_of_block(self, block: int) -> FileRows | None:
        """Return the rows in the file of a block, None if there is no sound one."""
        path = self._file_of(block)
        if path is None or self.problem_of(block):
            return None
        return FileRows(self.store, str(path), self.indices_of_block(block))

    def _file_of(self, block: int) -> Path | None:
        """Return the file of a finished block, by the one or the other name."""
        ext = self.store.ext
        names = self.round.block(block, ext), self.round.finished_block(block, ext)
        found = (path for path in names if path.exists())
        return next((p for p in found if not is_emptied(self.round, block, p)), None)

    def is_in_journals(self, block: int) -> bool:
        """Whether the journals have all rows of a finished block."""
        try:
            record = BlockRecord.load(self.round, block)
        except StoreError:
            record = None
        return record is not None and record.n_rows == len(
            self._rows_of_journals(block)
        )

    def _tell_damaged(self, block: int) -> None:
        problem = self.problem_of(block)
        if self.on_damaged is None:
            path, _, what = problem.partition(": ")
            raise damaged(path, what)
        if block not in self._told:
            self._told.add(block)
            self.on_damaged(block, problem)

    def _rows_of_journals(self, block: int) -> dict[int, journal.Entry]:
        paths = self.round.journals_of(block)
        if self.on_unreadable is None:
            return rows_of(journal.latest(paths, verify=True))
        # Looking at rows takes as long as reading them, and each is told of once.
        if block not in self._recorded:
            recorded = journal.latest(paths, verify=True)
            for entry, cause in self.unreadable(recorded):
                self.on_unreadable(entry, cause)
                del recorded[entry.index]
            self._recorded[block] = rows_of(recorded)
        return self._recorded[block]

    def unreadable(
        self, recorded: Mapping[int, journal.Entry]
    ) -> list[tuple[journal.Entry, str]]:
        """Return which rows of journals cannot be read here, and in one line why."""
        first: Any = read_json(self.round.keys) or []
        # Before keys could be numbers, they were the keys of the file.
        results = first if isinstance(first, dict) else [value[0] for value in first]
        names = {*self.division.space.keys(), *results}
        return list(journal.unreadable(recorded.values(), names))

    def indices_of_block(self, block: int) -> Indices:
        """Return the assignments whose rows a block's store file holds."""
        return indices_of_block(self.round, self.division, block)

    def _interleaved(self, sources: Sequence[RowSource]) -> Iterator[ColumnDict]:
        lengths = [len(source.indices) for source in sources]
        indices = np.concatenate([source.indices for source in sources])
        order = np.argsort(indices, kind="stable")
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


def indices_of_block(round_: Round, division: Division, block: int) -> Indices:
    """Return the assignments whose rows the store file of a finished block holds."""
    listed = round_.rows(block)
    if listed.exists():
        try:
            indices: Indices = np.load(listed)
        except (ValueError, EOFError) as error:
            raise damaged(listed, f"is no list ({one_line(error)})") from error
        return indices
    return np.asarray(division.indices(block), dtype=np.int64)


class FormerRows(NamedTuple):
    """Rows of a file, by their positions in it."""

    path: str
    rows: Indices
