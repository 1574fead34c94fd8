"""Which assignments the rows of a task are of."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.axes import Grid, grid_of
from psyrun.results.columns import are_values_of
from psyrun.results.load import RecordedTask, Stores, with_stores
from psyrun.store.arrays import Indices
from psyrun.store.costs import Costs
from psyrun.store.rows import count_rows
from psyrun.workdir.consistent_reads import ConcurrentChangeError
from psyrun.workdir.costs import costs_of
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import failures_of
from psyrun.workdir.layout import MERGE, Round
from psyrun.workdir.lock import live_holder
from psyrun.workdir.merged_rows import MergedRows
from psyrun.workdir.progress import MergeRecord
from psyrun.workdir.row_sources import ordered
from psyrun.workdir.rows import RoundData


@dataclass(frozen=True)
class KnownRows:
    """Which assignments some rows are of.

    Attributes
    ----------
    space : ParameterSpace
        The assignments.
    indices : ndarray of int64 or None
        The assignment of each row, ascending; None if all have a row. Rows that come
        after these are of assignments that are no longer in the space.
    n_former : int
        Number of these.
    failed : collection of int
        Assignments that failed.
    compared : frozenset of str
        Parameters of which it is known that the rows have their values: there may be
        results in their place.
    own_grid : Grid or None
        The axes of the space, if they were kept with the rows.
    n_not_chosen : int
        Number of assignments of the task that are not in the space, as ``psy run -p``
        was to leave them out.
    """

    space: ParameterSpace
    indices: Indices | None = None
    n_former: int = 0
    failed: Collection[int] = ()
    compared: frozenset[str] = frozenset()
    own_grid: Grid | None = None
    n_not_chosen: int = 0

    @cached_property
    def grid(self) -> Grid:
        """The axes of the space."""
        return grid_of(self.space) if self.own_grid is None else self.own_grid

    @property
    def n_rows(self) -> int:
        """Number of rows of the space."""
        return len(self.space) if self.indices is None else len(self.indices)

    def rows_of(self, assignments: Indices) -> Indices:
        """Return the row of each assignment, -1 where there is none."""
        if self.indices is None:
            return assignments
        if not len(self.indices):
            return np.full_like(assignments, -1)
        found = np.searchsorted(self.indices, assignments)
        found[found == len(self.indices)] = 0
        return np.where(self.indices[found] == assignments, found, -1)

    def has_values_of(self, key: str, column: Any) -> bool:
        """Whether a column of these rows has the values of a parameter."""
        rows = np.arange(len(self.space)) if self.indices is None else self.indices
        values = self.space.gather(key, rows, lambda own, some: own.take(some))
        return are_values_of(key, column[: len(rows)], values)


def rows_of_result(task: RecordedTask) -> KnownRows | None:
    """Return which assignments the rows of a result are of, None if that is unknown.

    Raises `ConcurrentChangeError` if it is unknown as it is being written.
    """
    with suppress(PsyrunError, OSError):
        number = number_of_result(task)
        if number is not None:
            round_ = task.layout.round(number)
            merged, found = MergeRecord.load(round_), _of_merged(task, round_)
            n_rows = found.n_rows + found.n_former
            return found if merged is not None and n_rows == merged.n_rows else None
    if live_holder(task.layout.round(task.plan.round).lock(MERGE)) is not None:
        raise ConcurrentChangeError(f"{task.resultfile}: is being written. Try again.")
    return None


def number_of_result(task: RecordedTask) -> int | None:
    """Return the number of the round whose rows the result has, None if unknown.

    Raises `PsyrunError` or `OSError` if records are damaged.
    """
    for number, round_ in reversed(task.layout.rounds().items()):
        merged = MergeRecord.load(round_)
        if (
            merged is not None
            and merged.into == task.plan.resultfile
            and not merged.problem_of_result(task.resultfile, quick_in=round_)
        ):
            return number
    return None


def _of_merged(task: RecordedTask, round_: Round) -> KnownRows:
    record = MergedRows.load(round_)
    if record is not None:
        with suppress(PsyrunError, ImportError, AttributeError):
            return _of_division(Division.load(round_), record)
    counts = DivisionCounts.load(round_)
    ext = "" if counts is None else counts.ext

    def read(stores: Stores) -> KnownRows:
        data = RoundData(round_, stores(ext))
        if record is not None:
            return _of_division(data.division, record)
        return _with_rows(data.division, data.with_row())

    return with_stores(task.plan.taskfile, read, task.root)


def _of_division(division: Division, record: MergedRows) -> KnownRows:
    compared = frozenset(record.compared)
    if not record.lacks:
        space, n_former = division.space, division.n_former
        n_not_chosen = division.n_not_chosen
        return KnownRows(space, None, n_former, (), compared, n_not_chosen=n_not_chosen)
    return _with_rows(division, record.indices(len(division.space)), compared)


def _with_rows(
    division: Division, indices: Indices, compared: frozenset[str] = frozenset()
) -> KnownRows:
    # All that a result lacks has failed: else it would not have been merged.
    failed = np.setdiff1d(np.arange(len(division.space)), indices).tolist()
    return KnownRows(
        division.space,
        indices,
        division.n_former,
        failed,
        compared,
        n_not_chosen=division.n_not_chosen,
    )


@dataclass
class RowsSoFar:
    """All rows that a task has so far.

    Attributes
    ----------
    columns : dict of str to sequence
        The rows.
    known : KnownRows or None
        Which they are; None before the space is divided.
    costs : Costs
        What they have cost.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    known: KnownRows | None = None
    costs: Costs = field(default_factory=lambda: Costs.unknown(0))

    @classmethod
    def of(
        cls,
        task: RecordedTask,
        *,
        with_former: bool = False,
        with_seeds: bool = False,
    ) -> RowsSoFar:
        """Read the rows of a task, also those no longer in the space if asked."""
        wanted = {"with_former": with_former, "with_seeds": with_seeds}
        found = cls()

        def pieces(data: RoundData) -> Iterator[dict[str, Any]]:
            sources = data.sources()
            found.costs = costs_of(data, sources, **wanted)
            indices = [source.indices for source in sources]
            # One that fails may have a row before it is looked at.
            failed = {failure.index for failure in failures_of(data.round)}
            found.known = KnownRows(
                data.division.space,
                np.sort(np.concatenate(indices)) if indices else np.empty(0, np.int64),
                data.division.n_former,
                failed,
                n_not_chosen=data.division.n_not_chosen,
            )
            yield from data.in_order(ordered(sources))
            if with_former:
                yield from data.former_pieces()

        def use(rows: Iterator[Any], stores: Stores, ext: str) -> dict[str, Any]:
            found.known, found.costs = None, Costs.unknown(0)
            return stores(ext).concatenate(list(rows))

        found.columns = task.with_pieces(use, pieces)
        known, n_rows = found.known, count_rows(found.columns)
        if known is not None and n_rows != known.n_rows:
            found.known = None
        if len(found.costs) != n_rows:
            found.costs = Costs.unknown(n_rows)
        return found
