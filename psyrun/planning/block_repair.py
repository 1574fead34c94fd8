"""Makes the files of a block anew, from each other, the result and the space."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.planning.remaining_rows import read_list
from psyrun.pspace import Param
from psyrun.pspace.matching import match_stored
from psyrun.pspace.tolerance import KnownAs
from psyrun.store import Store
from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import replacing, write_json
from psyrun.utils.text import counted, describe_parameters
from psyrun.workdir import journal
from psyrun.workdir.blocks import failed_of, record_block, records_of
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.damage import set_aside, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import Round
from psyrun.workdir.merged_rows import MergedRows, is_emptied
from psyrun.workdir.progress import MergeRecord, block_files
from psyrun.workdir.row_sources import rows_of
from psyrun.workdir.rows import RoundData

_UNKNOWN = {
    "type": "Unknown",
    "message": "the record of the failure was damaged",
    "where": "",
    "traceback": "",
}


class Stored(NamedTuple):
    """Rows of some assignments, which are in order."""

    indices: Indices
    columns: ColumnDict


@dataclass
class BlockRepair:
    """The blocks of a round, whose space and numbers can be read.

    Parameters
    ----------
    stores : callable
        Returns the store for an extension.
    known_as : KnownAs
        By which rows assignments are known.
    """

    round: Round
    counts: DivisionCounts
    division: Division
    stores: Callable[[str], Store]
    known_as: KnownAs

    def mend(self, block: int) -> str:
        """Make what is damaged of a block anew, and return how in a few words.

        If that is not possible, the block is set aside, and made by its job again.
        """
        record = try_to(BlockRecord.load, self.round, block)
        failed = self._failed(block, record)
        own = self._columns(block, record)
        indices = self._indices(block, record, own, failed)
        there = self.of_result
        columns, origin = own, "its rows"
        if own is None and there is not None and indices is not None:
            rows = np.searchsorted(there.indices, indices)
            columns, origin = take(there.columns, rows), "the result"
        self._set_aside(block, record, is_sound=own is not None)
        if columns is None or indices is None:
            for path in self._files(block):
                if path.exists():
                    set_aside(path, self.round.damaged)
            return f"set aside; {self._outlook(block, record)}"
        if own is None or not self._path(block).exists():
            self._store.save(self._path(block), columns)
        self._write_lists(block, indices, failed)
        record_block(self.round, block, len(indices), self._path(block))
        return f"made anew from {origin}"

    def _outlook(self, block: int, record: BlockRecord | None) -> str:
        """Return what becomes of the rows of a block that is set aside."""
        recorded = journal.latest(self.round.journals_of(block), verify=True)
        n_there, n_rows = len(rows_of(recorded)), self._n_rows(block, record)
        if n_rows is None:
            return "what only it held is evaluated again"
        if n_there >= n_rows:
            return "its rows are in its journals"
        n_lost = counted(n_rows - n_there, "assignment")
        return (
            f"{n_lost} of it {'is' if n_rows - n_there == 1 else 'are'} evaluated again"
        )

    def _n_rows(self, block: int, record: BlockRecord | None) -> int | None:
        """Return how many rows a block had, None if that is not known."""
        if record is not None:
            return record.n_rows
        return None if self.counts.fetches else len(self.division.indices(block))

    @cached_property
    def of_result(self) -> Stored | None:
        """The rows of the result that are those of the space, if it is whole."""
        merged = try_to(MergeRecord.load, self.round)
        if merged is None or not merged.is_complete(self.round):
            return None
        if merged.problem_of_result(Path(merged.into)):
            return None
        columns = try_to(self.stores(Path(merged.into).suffix).load, merged.into)
        if columns is None or count_rows(columns) != merged.n_rows:
            return None
        n_rows = merged.n_rows - self.counts.n_former
        columns = take(columns, np.arange(n_rows))
        if n_rows == self.counts.n_items:
            return Stored(np.arange(n_rows), columns)
        indices = self._matched(columns)
        return None if indices is None else Stored(indices, columns)

    @cached_property
    def _there(self) -> dict[int, Path]:
        return block_files(self.round, self.counts.ext)

    @property
    def _store(self) -> Store:
        return self.stores(self.counts.ext)

    def _path(self, block: int) -> Path:
        return self.round.block(block, self.counts.ext)

    def _files(self, block: int) -> tuple[Path, ...]:
        lists = self.round.rows(block), self.round.failed(block)
        return self._path(block), *lists, self.round.block_record(block)

    def _matched(self, columns: ColumnDict) -> Indices | None:
        """Return the assignments of rows in order, found by their parameters.

        Without one of these, which may be excluded from results, it would be a guess.
        """
        space = self.division.space
        keys = [*space.keys()]
        if not columns.keys() >= set(keys) or not count_rows(columns):
            return None
        there = Param(**{key: columns[key] for key in keys})
        try:
            rows = match_stored(self.known_as.as_in(space, [there]), columns, keys)
        except PsyrunError:
            return None
        indices = np.flatnonzero(rows >= 0)
        is_right = np.array_equal(rows[indices], np.arange(count_rows(columns)))
        return indices if is_right else None

    def _columns(self, block: int, record: BlockRecord | None) -> ColumnDict | None:
        """Return the rows in the store file, None if it is not what was written."""
        path = self._there.get(block, self._path(block))
        if record is None:
            return try_to(self._store.load, path)
        if record.file.problem_of(path) or self._has_others(block, record):
            return None
        # What cannot be loaded here, such as objects of a class that is gone, may be
        # loaded elsewhere.
        return self._store.load(path)

    def _has_others(self, block: int, record: BlockRecord) -> bool:
        """Whether the rows in the store file are those of other assignments."""
        if record.block not in (None, block):
            return True
        data = RoundData(self.round, self._store)
        return bool(try_to(data.difference, block))

    def _failed(
        self, block: int, record: BlockRecord | None
    ) -> dict[int, dict[str, Any]] | None:
        """Return the accepted failures of a block, None if the list is damaged."""
        path = self.round.failed(block)
        if record is not None and record.failed is None:
            return {}
        is_other = _is_other(path, None if record is None else record.failed)
        found = None if is_other else try_to(accepted_failures, self.round, block)
        if found is None or (record is None and not found):
            return self._in_journals(block) or found
        return found

    def _in_journals(self, block: int) -> dict[int, dict[str, Any]] | None:
        """Return the failures that are in the journals, which are there until a merge.

        None if there are none: then the list would not be there either.
        """
        recorded = journal.latest(self.round.journals_of(block), verify=True)
        return records_of(failed_of(recorded)) or None

    def mend_list(self, block: int) -> None:
        """Make the list of accepted failures of a merged block anew.

        What failed is what the result lacks and no other block lists.
        """
        merged = try_to(MergedRows.load, self.round)
        lacks = set(() if merged is None else merged.lacks)
        for other in self._there.keys() - {block}:
            lacks -= (try_to(accepted_failures, self.round, other) or {}).keys()
        if not self.counts.fetches:
            lacks &= set(map(int, self.division.indices(block)))
        path = self.round.failed(block)
        if path.exists():
            set_aside(path, self.round.damaged)
        if lacks:
            unknown = {index: self._unknown_failure(index) for index in sorted(lacks)}
            write_json(path, unknown)

    def _indices(
        self,
        block: int,
        record: BlockRecord | None,
        columns: ColumnDict | None,
        failed: dict[int, dict[str, Any]] | None,
    ) -> Indices | None:
        """Return the assignments of a block that have rows, None if not known."""
        path, known = self.round.rows(block), None if record is None else record.rows
        listed = None if _is_other(path, known) else read_list(path)
        if listed is not None and _is_as_long(listed, columns):
            return listed
        if not self.counts.fetches and failed is not None:
            divided = np.asarray(self.division.indices(block), dtype=np.int64)
            there = np.setdiff1d(divided, np.array([*failed], dtype=np.int64))
            if _is_as_long(there, columns):
                return there
        if columns is not None:
            found = self._matched(columns)
            if found is not None:
                return found
        rest = self._rest(block)
        return rest if rest is None or _is_as_long(rest, columns) else None

    def _rest(self, block: int) -> Indices | None:
        """Return the rows of the result that are in no other block."""
        if self.of_result is None:
            return None
        if not self.counts.fetches:
            divided = np.asarray(self.division.indices(block), dtype=np.int64)
            return np.intersect1d(divided, self.of_result.indices)
        others = self._there.keys() - {block}
        if len(others) < self.counts.n_blocks - 1:
            return None
        lists = [read_list(self.round.rows(other)) for other in others]
        found = [each for each in lists if each is not None]
        if len(found) < len(lists):
            return None
        is_open = np.asarray(self.division.open, dtype=np.int64)
        there = np.intersect1d(is_open, self.of_result.indices)
        return np.setdiff1d(there, np.concatenate([there[:0], *found]))

    def _set_aside(
        self, block: int, record: BlockRecord | None, *, is_sound: bool
    ) -> None:
        """Set aside what is not what was written."""
        known = (None, None) if record is None else (record.rows, record.failed)
        second = self.round.finished_block(block, self.counts.ext)
        for path in (self._path(block), second):
            if path.exists() and not is_sound:
                set_aside(path, self.round.damaged)
        lists = self.round.rows(block), self.round.failed(block)
        for path, checksum in zip(lists, known, strict=True):
            is_left = record is not None and checksum is None
            if path.exists() and (is_left or _is_other(path, checksum)):
                set_aside(path, self.round.damaged)
        if record is None and self.round.block_record(block).exists():
            set_aside(self.round.block_record(block), self.round.damaged)

    def _write_lists(
        self, block: int, indices: Indices, failed: dict[int, dict[str, Any]] | None
    ) -> None:
        """Write the lists of a block; what is not known of a failure is left out."""
        divided = np.asarray(self.division.indices(block), dtype=np.int64)
        if failed is None:
            # Of those that were fetched, it is not known by whom.
            own = indices if self.counts.fetches else divided
            lacking = np.setdiff1d(own, indices).tolist()
            failed = {index: self._unknown_failure(index) for index in lacking}
        is_divided = np.array_equal(divided, indices)
        if self.counts.fetches or not is_divided:
            with replacing(self.round.rows(block)) as path, path.open("wb") as file:
                np.save(file, indices)
        if failed:
            write_json(self.round.failed(block), failed)

    def _unknown_failure(self, index: int) -> dict[str, Any]:
        parameters = describe_parameters(self.division.space[index])
        return {**_UNKNOWN, "parameters": parameters}


def damaged_lists(round_: Round, ext: str) -> Iterator[tuple[int, bool]]:
    """Yield the blocks whose lists of accepted failures are damaged or gone.

    With each goes whether the rows of the block are in the result.
    """
    for block, path in block_files(round_, ext).items():
        record = try_to(BlockRecord.load, round_, block)
        known = None if record is None else record.failed
        listed = round_.failed(block)
        is_right = try_to(accepted_failures, round_, block) is not None
        is_merged = is_emptied(round_, block, path)
        if record is None and is_right and not is_merged and not listed.exists():
            is_right = not _has_failed(round_, block)
        # One may be left of a block that was removed, and made anew without failures.
        is_left = record is not None and known is None and listed.exists()
        if is_left or not is_right or _is_other(listed, known):
            yield block, is_merged


def _has_failed(round_: Round, block: int) -> bool:
    """Whether the last evaluations of a block's assignments were not all successful.

    Journals that have lost their rows have no failures of those.
    """
    return bool(failed_of(journal.latest(round_.journals_of(block), verify=True)))


def _is_other(path: Path, checksum: Checksum | None) -> bool:
    """Whether a list is not what was recorded; where nothing was, any may be right."""
    return checksum is not None and bool(checksum.problem_of(path))


def _is_as_long(indices: Indices, columns: ColumnDict | None) -> bool:
    return columns is None or len(indices) == count_rows(columns)
