"""The rows that are left of a round whose space or division may be damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from psyrun.backend import equal_ranges
from psyrun.backend.orders import SPACE
from psyrun.errors import is_refusal
from psyrun.planning.record_repair import Numbers
from psyrun.pspace import ParameterSpace
from psyrun.pspace.order import order_of
from psyrun.store import Store
from psyrun.store.arrays import Indices
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.workdir import journal
from psyrun.workdir.damage import try_to
from psyrun.workdir.division import Division
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import Round, block_of_journal
from psyrun.workdir.progress import MergeRecord, block_files
from psyrun.workdir.row_sources import columns_of, rows_of


@dataclass
class FoundRows:
    """Rows that were found of a round.

    Attributes
    ----------
    indices : ndarray of int64, or None
        Their assignments in the space; None if these are not known.
    """

    columns: ColumnDict
    indices: Indices | None = None


@dataclass(frozen=True)
class RemainingRows:
    """The rows of a round.

    Parameters
    ----------
    stores : callable
        Returns the store for an extension.
    space : ParameterSpace or None
        The space of the task file, if it is the one that the round had.
    """

    round: Round
    numbers: Numbers
    stores: Callable[[str], Store]
    space: ParameterSpace | None = None

    def in_space(self, n_items: int | None) -> FoundRows:
        """Return the rows, with their assignments if these are known.

        `n_items` is the size of the space if nothing is recorded of it.
        """
        n_items = n_items if self.numbers.n_items is None else self.numbers.n_items
        if (of_result := self._of_result(n_items)) is not None:
            return of_result
        parts = list(self._parts(n_items))
        columns = self.stores(self.numbers.ext).concatenate([p.columns for p in parts])
        is_kept = self.numbers.n_open != self.numbers.n_items
        is_kept |= self.round.kept(self.numbers.ext).exists()
        if is_kept or any(part.indices is None for part in parts):
            return FoundRows(columns)
        found = [part.indices for part in parts if part.indices is not None]
        return FoundRows(columns, np.concatenate([np.empty(0, np.int64), *found]))

    def all(self) -> tuple[ColumnDict, int]:
        """Return all rows and how many, the last ones, are not in the space."""
        if (columns := self._result()) is not None:
            return columns, self.numbers.n_former
        store = self.stores(self.numbers.ext)
        kept = try_to(store.load, self.round.kept(store.ext))
        parts = [] if kept is None else [kept]
        parts += [part.columns for part in self._parts(None)]
        return store.concatenate(parts), 0

    def _of_result(self, n_items: int | None) -> FoundRows | None:
        """Return the rows of the result, if it has those of a space of this size."""
        columns = self._result()
        blocks = [_number(path) for path in self.round.failure_lists()]
        lists = [try_to(accepted_failures, self.round, block) for block in blocks]
        failed = [index for each in lists for index in each or ()]
        if columns is None or n_items != count_rows(columns) + len(failed):
            return None
        lacking = np.array(failed, dtype=np.int64)
        return FoundRows(columns, np.setdiff1d(np.arange(n_items), lacking))

    def _result(self) -> ColumnDict | None:
        """Return what the last merge wrote, None if that is changed."""
        merged = try_to(MergeRecord.load, self.round)
        if merged is None or not merged.is_complete(self.round):
            return None
        store = self.stores(Path(merged.into).suffix)
        for path in (Path(merged.into), *self.round.folder.glob(f"rows-*{store.ext}")):
            is_known = merged.result is None or not merged.result.problem_of(path)
            columns = try_to(store.load, path) if is_known else None
            if columns is not None and count_rows(columns) == merged.n_rows:
                return columns
        return None

    def _parts(self, n_items: int | None) -> Iterator[FoundRows]:
        """Yield the rows of each file that can be read."""
        store = self.stores(self.numbers.ext)
        finished = block_files(self.round, self.numbers.ext)
        sizes: dict[int, Indices] = {}
        if n_items is not None and self.numbers.n_blocks:
            sizes = self._divided(n_items)
        unreadable = set()
        for block, path in finished.items():
            columns = try_to(store.load, path)
            if columns is None:
                unreadable.add(block)
            elif n_rows := count_rows(columns):
                listed = read_list(self.round.rows(block))
                indices = sizes.get(block) if listed is None else listed
                is_right = indices is not None and len(indices) == n_rows
                yield FoundRows(columns, indices if is_right else None)
        paths = [
            path
            for path in self.round.all_journals()
            if block_of_journal(path) not in finished.keys() - unreadable
        ]
        recorded = rows_of(journal.latest(paths, verify=True))
        if recorded:
            columns = columns_of(journal.rows(recorded.values()), store)
            yield FoundRows(columns, np.fromiter(recorded, np.int64, len(recorded)))

    def _divided(self, n_items: int) -> dict[int, Indices]:
        """Return the assignments of blocks, if it is known how they were divided."""
        n_blocks, order = self.numbers.n_blocks, self.numbers.order
        if order == SPACE:
            ranges = equal_ranges(n_items, n_blocks)
            return {block: np.arange(*each) for block, each in enumerate(ranges)}
        if self.space is None or len(self.space) != n_items:
            return {}
        order_ = order_of(self.space, order)
        division = Division(self.space, n_blocks, order=order_)
        return {b: np.asarray(division.indices(b)) for b in range(n_blocks)}


def _number(path: Path) -> int:
    return int(path.name.strip(".").partition(".")[0])


def read_list(path: Path) -> Indices | None:
    """Return the assignments that a list names, None if it is damaged or gone."""
    try:
        indices: Indices = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        if is_refusal(error):
            raise
        return None
    return indices
