"""Rebuilds frozen spaces.

A space is that of the task file if its source is the same and the rows fit to it; else
it is made from the parameters in the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from psyrun.backend.orders import SPACE
from psyrun.planning.record_repair import Numbers, RecordRepair
from psyrun.planning.remaining_rows import FoundRows, RemainingRows
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.matching import match_stored
from psyrun.pspace.order import order_of
from psyrun.pspace.param import select
from psyrun.store import Store
from psyrun.store.arrays import Indices, take
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.loading import Task
from psyrun.tasks.version import Version, version_of
from psyrun.utils.text import counted
from psyrun.workdir.checksums import BlockRecord
from psyrun.workdir.damage import set_aside, try_to
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.old_rounds import OF_ROWS

_UNKNOWN = "the rows; what is missing of it is not known any more"


@dataclass(eq=False)
class SpaceRepair:
    """The spaces of the rounds of a task.

    Parameters
    ----------
    stores : callable
        Returns the store for an extension.
    """

    task: Task
    layout: TaskLayout
    records: RecordRepair
    stores: Callable[[str], Store]

    def rebuild(self, number: int, round_: Round) -> str:
        """Make the space of a round anew, and return how in a few words."""
        numbers = self.records.numbers(number, round_, None)
        is_former = not numbers.space_source
        is_same = self._version.is_one_of([numbers.fingerprint], is_former=is_former)
        is_same &= is_former or numbers.space_source == self._version.space_text
        # Which part of it that was is not known any more.
        is_same &= numbers.n_whole is None
        own = self.task.pspace if is_same else None
        there = RemainingRows(round_, numbers, self.stores, own)
        rows = there.in_space(len(self.task.pspace) if is_same else None)
        found = self._space(numbers, rows, is_same=is_same)
        if found is None:
            return self._salvage(there)
        space, origin = found
        if origin == _UNKNOWN:
            numbers = numbers._replace(fingerprint="", space_source=OF_ROWS)
        elif numbers.n_whole is not None:
            numbers = numbers._replace(space_source=OF_ROWS)
        # A random space was divided as the one of now, which is as large.
        order = order_of(self.task.pspace if is_same else space, numbers.order)
        division = Division(space, numbers.n_blocks, order=order)
        before = try_to(DivisionCounts.read, round_)
        division.save(round_, self.records.plan_for(number, numbers))
        _take_over_blocks(round_, before)
        return f"rebuilt from {origin}"

    @cached_property
    def _version(self) -> Version:
        layout = self.layout
        return version_of(self.task, layout.digests, layout.source, layout.loaded)

    def _space(
        self, numbers: Numbers, rows: FoundRows, *, is_same: bool
    ) -> tuple[ParameterSpace, str] | None:
        """Return the space that a round had, and where it is from."""
        space, indices = self.task.pspace, rows.indices
        if indices is None:
            return None
        is_same = is_same and numbers.n_items in (None, len(space))
        if is_same and self._fit(space, rows):
            return space, "the task file"
        n_items = numbers.n_items or (len(space) if is_same else 0)
        if indices.max(initial=-1) >= n_items:
            # How large it was is not known.
            return None
        points = self._parameters(rows.columns)
        if not is_same and numbers.order != SPACE:
            # Nor how it was divided.
            return None
        if is_same:
            # A random space: what is evaluated already stays as it is.
            return _filled(space, indices, points), "the rows and the task file"
        columns = {key: [np.nan] * n_items for key in points}
        for key, values in points.items():
            for index, value in zip(indices, values, strict=True):
                columns[key][index] = value
        if not columns:
            return None
        is_complete = len(indices) == n_items
        return Param(**columns), "the rows" if is_complete else _UNKNOWN

    def _parameters(self, columns: ColumnDict) -> ColumnDict:
        keys = [k for k in self.task.pspace.keys() if k in columns]  # noqa: SIM118
        return {key: columns[key] for key in keys}

    def _fit(self, space: ParameterSpace, rows: FoundRows) -> bool:
        """Whether rows have the parameters of their assignments in a space."""
        points, indices = self._parameters(rows.columns), rows.indices
        if indices is None or not points:
            return True
        if indices.max(initial=-1) >= len(space):
            return False
        known = self.task.known_as.as_in(space, [Param(**points)])
        found = match_stored(select(known, indices), points, list(points))
        return np.array_equal(found, np.arange(len(indices)))

    def _salvage(self, there: RemainingRows) -> str:
        """Put all rows of a round into a new one, whose space is that of the rows.

        The next run finds them there by their parameters.
        """
        round_, numbers = there.round, there.numbers
        rows, n_former = there.all()
        if not (n_rows := count_rows(rows)):
            kept = set_aside(round_.folder, round_.damaged)
            return f"there are no rows; the round is set aside as {kept}"
        rows = self._in_order(there.space, rows)
        new = max(self.layout.rounds()) + 1
        store, target = self.stores(numbers.ext), self.layout.round(new)
        target.folder.mkdir()
        store.save(target.kept(store.ext), rows)
        n_items = n_rows - n_former
        division = Division(
            Param(**take(self._parameters(rows), np.arange(n_items))),
            0,
            np.arange(n_items),
            np.arange(n_items, n_rows),
            take(self._parameters(rows), np.arange(n_items, n_rows)),
            (numbers.fingerprint if not numbers.n_older else "",),
            np.zeros(n_rows, np.int64),
        )
        is_same = n_items == numbers.n_items and not n_former
        is_same &= numbers.n_whole is None
        saved = numbers._replace(n_blocks=0, n_items=n_items, n_open=0)
        plan = self.records.plan_for(new + 1, saved)
        if not is_same:
            # What is missing of the space is not known.
            saved = saved._replace(space_source=OF_ROWS)
        division.save(target, self.records.plan_for(new, saved))
        replace(
            plan, keep="round", keep_rounds=(new,), same_space=is_same, superseded=()
        ).save(self.layout)
        set_aside(round_.folder, round_.damaged)
        return f"its {counted(n_rows, 'row')} are kept"

    def _in_order(self, space: ParameterSpace | None, rows: ColumnDict) -> ColumnDict:
        """Return rows in the order of a space, if they are those of all its points."""
        points = self._parameters(rows)
        if space is None or not points or len(space) != count_rows(rows):
            return rows
        known = self.task.known_as.as_in(space, [Param(**points)])
        found = match_stored(known, points, list(points))
        return rows if (found < 0).any() else take(rows, found)


def _take_over_blocks(round_: Round, before: DivisionCounts | None) -> None:
    """Record of blocks that their assignments are those of the space as it is now."""
    now = DivisionCounts.load(round_)
    former = None if before is None else before.space
    for path in round_.blocks.glob(".*.json"):
        number = path.name.strip(".").removesuffix(".json")
        record = (
            try_to(BlockRecord.load, round_, int(number))
            if number.isdecimal()
            else None
        )
        if now is None or record is None or record.space == now.space:
            continue
        if former is None or record.space == former:
            replace(record, space=now.space).save(round_, int(number))


def _filled(
    space: ParameterSpace, indices: Indices, points: Mapping[str, Any]
) -> ParameterSpace:
    """Return a space with other points at some indices."""
    columns = {key: list(values) for key, values in space.build().items()}
    for key, values in points.items():
        for index, value in zip(indices, values, strict=True):
            columns[key][index] = value
    return Param(**columns)
