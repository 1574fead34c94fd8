"""Rows that are evaluated again although they are valid (``--rerun``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.planning.current import round_data, whole_space
from psyrun.planning.decide import Decision
from psyrun.planning.expression import Expression
from psyrun.planning.states import Current, Desired
from psyrun.pspace import ParameterSpace
from psyrun.pspace.axes import values_of
from psyrun.pspace.conditions import Conditions
from psyrun.pspace.equality import equal_rows, is_in
from psyrun.pspace.param import select
from psyrun.store.arrays import Indices
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.loading import Task
from psyrun.utils.text import counted
from psyrun.workdir.failures import failures_of
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.plan import run_arguments
from psyrun.workdir.replaced import mark_replaced, places_of
from psyrun.workdir.row_sources import ordered
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import RowsThere, fingerprint_of, rows_of_rounds

STALE: Final = "stale"
FAILED: Final = "failed"


@dataclass(frozen=True)
class Rerun:
    """What is to be evaluated again of a task.

    Attributes
    ----------
    text : str
        How the user has said it: an expression, ``stale`` or ``failed``.
    marks : mapping of int to ndarray of int64
        The rows, by the numbers of their rounds, as `places_of` numbers them. Rounds
        of before may have copies of the same rows.
    n_selected : int
        Number of assignments; those that have failed have no row.
    n_rows : int
        Number of rows that these were chosen from.
    """

    text: str
    marks: Mapping[int, Indices] = field(default_factory=dict)
    n_selected: int = 0
    n_rows: int = 0

    def record(self, layout: TaskLayout, fingerprint: str) -> None:
        """Mark the rows, for the version of the task that evaluates them again."""
        for number, places in self.marks.items():
            mark_replaced(layout.round(number), fingerprint, places)


def find_rerun(
    text: str,
    desired: Desired,
    current: Current,
    task: Task,
) -> Rerun:
    """Return what is to be evaluated again of a task.

    Parameters
    ----------
    text : str
        What to: an expression, ``stale`` or ``failed``.
    task : Task
        The task. What is no longer in its space is not evaluated.

    Raises
    ------
    PsyrunError
        If the task was never run or has no row yet, or as `Expression` does.
    """
    name, layout = task.name, TaskLayout.of(desired.workdir, desired.task)
    again = run_arguments(desired.part, name)
    rounds = current.own_rounds or current.rounds
    if current.plan is None:
        raise PsyrunError(
            f"task {name!r}: was never run, so that nothing is evaluated again. Start "
            f"it with 'psy run {again}'."
        )
    if text == FAILED:
        round_ = layout.round(current.plan.round)
        n_failed = _count_failed(round_, task, desired, is_part=current.is_part)
        return Rerun(text, n_selected=n_failed)
    data = [round_data(task, layout.round(number)) for number in rounds]
    if not data or not len(data[0].with_row()):
        raise PsyrunError(
            f"task {name!r}: has no rows yet that could be evaluated again. Go on with "
            f"'psy run {again}'."
        )
    return _rerun_of_rows(text, data, desired, current, task)


def _rerun_of_rows(
    text: str,
    data: Sequence[RoundData],
    desired: Desired,
    current: Current,
    task: Task,
) -> Rerun:
    """Return which rows of some rounds, the newest first, are evaluated again."""
    rounds, parts = current.own_rounds or current.rounds, _Parts(data)
    is_wanted = _chosen(text, task.name, desired, parts)
    is_wanted &= _are_in_part(parts.first_points, rounds[0], task, desired, current)
    marks = dict(zip(rounds, parts.copies(np.flatnonzero(is_wanted)), strict=True))
    return Rerun(
        text,
        {number: places for number, places in marks.items() if len(places)},
        int(is_wanted.sum()),
        len(is_wanted),
    )


def _chosen(text: str, name: str, desired: Desired, parts: _Parts) -> NDArray[np.bool_]:
    """Return which assignments with a row of the last round are chosen."""
    if text == STALE:
        n_rows = len(parts.first_points)
        return ~parts.there.of_versions(desired.names)[:n_rows]
    try:
        return chosen_rows(Expression(text), parts.rounds[0])
    except PsyrunError as error:
        raise PsyrunError(f"task {name!r}: --rerun: {error}") from error


def _are_in_part(
    points: ParameterSpace, number: int, task: Task, desired: Desired, current: Current
) -> NDArray[np.bool_]:
    """Return which points of a round are in the part of the space that is chosen."""
    if desired.is_same_space(current.sources[number]):
        return Conditions(desired.part).mask(points)
    # Rows may have other numbers than the space, or lack parameters of it.
    known_as = task.known_as
    points = known_as.completed(points)
    among = Conditions(desired.part).of(whole_space(task, desired, current))
    return _is_among(points, known_as.as_in(among, [points]))


def _count_failed(round_: Round, task: Task, desired: Desired, *, is_part: bool) -> int:
    """Return how many assignments have failed, of the part that is chosen."""
    failures = failures_of(round_)
    if not (is_part or (failures and desired.part)):
        return len(failures)
    division = round_data(task, round_).division
    indices = np.array([failure.index for failure in failures], np.int64)
    numbers = division.in_whole(indices)
    if division.failed_outside is not None:
        numbers = np.concatenate([numbers, division.failed_outside])
    points = select(division.whole_space, numbers)
    return int(Conditions(desired.part).mask(points).sum())


def check_nothing_else(desired: Desired, decision: Decision) -> None:
    """Refuse to evaluate rows of older versions again that were not chosen."""
    rows = decision.rows
    if rows is None or not rows.n_redone:
        return
    name = desired.task
    raise PsyrunError(
        f"task {name!r}: --rerun: would compute {counted(rows.n_redone, 'other row')} "
        f"again, made by an older version. Keep them with --continue, "
        f"or compute all with 'psy run {run_arguments(desired.part, name)}'."
    )


def chosen_rows(expression: Expression, data: RoundData) -> NDArray[np.bool_]:
    """Return for which assignments with a row of a round an expression is true.

    They are in the order of the space. A name stands for the column of that name, or
    else for the parameter. Raises `PsyrunError` as `Expression` does.
    """
    space, indices = data.division.space, data.with_row()
    begin, found = 0, [np.empty(0, dtype=np.bool_)]
    known: list[str] = []
    for piece in data.in_order(ordered(data.sources())):
        if not known or expression.unknown(known):
            known = list(dict.fromkeys([*known, *space.keys(), *map(str, piece)]))
            if expression.unknown(known):
                known = _all_columns(data)
            expression.check_names(known)
        end = begin + count_rows(piece)
        columns = _columns(expression, piece, known, space, indices[begin:end])
        found.append(expression.chosen(columns, end - begin))
        begin = end
    return np.concatenate(found)


def _all_columns(data: RoundData) -> list[str]:
    """Return the names of parameters and results; not all rows have the same."""
    names = dict.fromkeys(data.division.space.keys())
    for piece in data.in_order(ordered(data.sources())):
        names.update(dict.fromkeys(map(str, piece)))
    return list(names)


def _columns(
    expression: Expression,
    piece: ColumnDict,
    known: Sequence[str],
    space: ParameterSpace,
    indices: Indices,
) -> dict[str, Any]:
    """Return the columns that an expression uses; a result that is not there is nan."""
    columns: dict[str, Any] = {}
    parameters = set(space.keys())
    for key in expression.names.intersection(known):
        # Files have arrays of several lengths padded.
        is_padded = getattr(piece.get(key), "ndim", 1) > 1
        if key in piece and not (key in parameters and is_padded):
            columns[key] = piece[key]
        elif key in parameters:
            columns[key] = values_of(space, key, indices)
        else:
            columns[key] = np.full(len(indices), np.nan)
    return columns


class _Parts:
    """The rows of some rounds; those of the first have what is chosen from."""

    def __init__(self, rounds: Sequence[RoundData]) -> None:
        self.rounds = rounds
        named = [(data, fingerprint_of(data)) for data in rounds]
        self.there: RowsThere = rows_of_rounds(named, same_space=False)

    @property
    def first_points(self) -> ParameterSpace:
        """The assignments with a row of the first round, which are in its space."""
        return self.there.points[0]

    def copies(self, chosen: Indices) -> Iterator[Indices]:
        """Yield the places of rows in each round that are copies of those chosen.

        These have equal parameters and the same version.
        """
        versions, begin = self.there.versions, 0
        own = versions[chosen]
        for number, data in enumerate(self.rounds):
            rows = np.arange(begin, begin + data.n_rows)
            begin += data.n_rows
            if number == 0:
                yield places_of(data)[chosen]
                continue
            copies = [np.empty(0, np.int64)]
            for version in np.unique(own):
                some = rows[versions[rows] == version]
                points = self.there.some(chosen[own == version])
                if len(some):
                    is_copy = _is_among(self.there.some(some), points)
                    copies.append(some[is_copy] - rows[0])
            yield np.sort(places_of(data)[np.concatenate(copies)])


def _is_among(points: ParameterSpace, others: ParameterSpace) -> NDArray[np.bool_]:
    """Return which points are among others; those with other parameters are not."""
    keys = list(points.keys())
    if set(keys) != set(others.keys()):
        return np.zeros(len(points), dtype=np.bool_)
    own, known = equal_rows([points, others], keys)
    return is_in(own, known)
