"""Rows of a task that are no longer in its result, but still on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace.columns import Indices
from psyrun.pspace.matching import are_points_of
from psyrun.results.load import RecordedTask, with_stores
from psyrun.results.sources import Source, picked
from psyrun.store.costs import Costs
from psyrun.workdir.costs import costs_of
from psyrun.workdir.description import Description
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.left_out import by_round, rows_left_out
from psyrun.workdir.reuse import ReusedRows
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import fingerprint_of, rows_of_rounds
from psyrun.workdir.taken import Taken, pieces_of

CURRENT, OLDER, FORMER = range(3)
STATUSES = ("current", "older", "former")
Statuses: TypeAlias = NDArray[np.int8]
"""For each row a place in `STATUSES`."""


class Archive(NamedTuple):
    """What rows of a result are, and rows that are not in it any more.

    Attributes
    ----------
    status : ndarray of int8
        What each row of the result is: `CURRENT`, `OLDER` if another version of the
        code made it, `FORMER` if its assignment is not in the space.
    parts : list of ArchivedRows
        The other rows, by the rounds that have them, the newest first.
    statuses : list of ndarray of int8
        The same for these: `OLDER` or `FORMER`.
    """

    status: Statuses
    parts: list[ArchivedRows]
    statuses: list[Statuses]

    @classmethod
    def of(cls, task: RecordedTask, number: int) -> Archive:
        """Return that of a round, which has the rows of the result."""
        rounds = {number: _data(task, number)}
        for each in reversed(task.layout.rounds()):
            if each != number and DivisionCounts.load(task.layout.round(each)):
                rounds[each] = _data(task, each)
        return with_stores(
            task.plan.taskfile, lambda _: cls._of_rounds(task, rounds), task.root
        )

    @classmethod
    def _of_rounds(cls, task: RecordedTask, rounds: dict[int, RoundData]) -> Archive:
        data = next(iter(rounds.values()))
        parts, statuses = list[ArchivedRows](), list[Statuses]()
        for each, rows in _left_out(rounds).items():
            found = _statuses(task, data, rounds[each], rows)
            # Rows of an assignment that is in the space, and of the version that the
            # task has now, have not left: they are to come.
            is_wanted = found != CURRENT
            if is_wanted.any():
                parts.append(ArchivedRows(task, rounds[each], rows[is_wanted]))
                statuses.append(found[is_wanted])
        return cls(_statuses(task, data, data, np.arange(data.n_rows)), parts, statuses)


def _data(task: RecordedTask, number: int) -> RoundData:
    round_ = task.layout.round(number)
    counts = DivisionCounts.load(round_)
    if counts is None:
        raise PsyrunError(
            f"{round_.folder}: is gone; what became of its rows is not known. Write "
            f"the result again with 'psy run {task.plan.arguments}'."
        )
    ext = counts.ext

    def of_stores(stores: Any) -> RoundData:
        data = RoundData(round_, stores(ext), _ignore, _ignore)
        # With values of classes of the task file, that is not possible without it.
        _ = data.division
        return data

    return with_stores(task.plan.taskfile, of_stores, task.root)


def _ignore(*_: object) -> None:
    pass


def _left_out(rounds: dict[int, RoundData]) -> dict[int, Indices]:
    """Return which rows of other rounds the first one has not.

    What it has left out when it was divided is recorded.
    """
    numbers, all_data = list(rounds), list(rounds.values())
    first, recorded = all_data[0], all_data[0].division.left_out
    known = {n: _recorded(rounds[n], recorded[n]) for n in numbers if n in recorded}
    others = [n for n in numbers if n not in known]
    if len(others) > 1:
        some = [rounds[n] for n in others]
        there = rows_of_rounds(
            [(data, fingerprint_of(data)) for data in some], same_space=False
        )
        used = ReusedRows(np.arange(first.n_rows), np.empty(0, np.int64), {})
        known |= by_round(others, some, rows_left_out(there, used))
    return {n: known[n] for n in numbers[1:] if n in known}


def _recorded(data: RoundData, rows: Indices) -> Indices:
    """Return rows that were left out, by what the round still has."""
    # Later it was made smaller, so that it has no others.
    return np.arange(data.n_rows) if len(rows) >= data.n_rows else rows


def _statuses(
    task: RecordedTask, base: RoundData, data: RoundData, rows: Indices
) -> Statuses:
    """Return what some rows of a round are, beside the space of another one."""
    current = {*task.plan.names}
    names = (fingerprint_of(data), *data.division.fingerprints)
    is_current = np.array([name in current for name in names])[data.versions()[rows]]
    if data is base:
        is_former = rows >= len(data.with_row())
    else:
        is_former = ~_are_in(base, data)[rows]
    return statuses(is_current, is_former)


def statuses(is_current: NDArray[np.bool_], is_former: NDArray[np.bool_]) -> Statuses:
    """Return what rows of the version of now, and of former assignments, are."""
    found: Statuses = np.where(is_current, np.int8(CURRENT), np.int8(OLDER))
    found[is_former] = FORMER
    return found


def _are_in(base: RoundData, data: RoundData) -> NDArray[np.bool_]:
    space = base.division.space
    found = [are_points_of(part, space) for part in data.points() if len(part)]
    return np.concatenate([np.empty(0, np.bool_), *found])


class ArchivedRows(Source):
    """Some rows of a round; `rows` are their places in its `pieces`, ascending."""

    known = None

    def __init__(self, task: RecordedTask, data: RoundData, rows: Indices) -> None:
        self.name = f"task {task.layout.name!r}"
        self.description = Description()
        self._task, self._data, self._rows = task, data, rows

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        found: dict[str, None] = {}
        for source in self._data.sources():
            found |= dict.fromkeys(source.take(np.arange(min(1, len(source.indices)))))
        for piece in self._data.former_pieces():
            found |= dict.fromkeys(piece)
            break
        return list(found)

    def read(
        self, keys: Sequence[str] | None, rows: Indices | None
    ) -> Mapping[str, Any]:
        """Return some columns, as far as these rows have them, and some rows."""
        pieces = list(self.pieces(self.keys() if keys is None else keys, rows))
        return self._data.store.concatenate(pieces)

    def count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def pieces(
        self, keys: Sequence[str], rows: Indices | None
    ) -> Iterator[Mapping[str, Any]]:
        """Yield as `read` returns, in pieces."""
        wanted = self._rows if rows is None else self._rows[rows]
        for piece in pieces_of([Taken(self._data, wanted)]):
            yield picked(piece, [key for key in keys if key in piece], None)

    def costs(self) -> Costs:
        """Return what the rows have cost."""
        return costs_of(self._data).take(self._rows)
