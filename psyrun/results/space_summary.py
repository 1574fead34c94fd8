"""What the space of a task is, and what is done of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from psyrun.errors import PsyrunError, enough_memory_for
from psyrun.pspace import ParameterSpace
from psyrun.pspace.absent import given
from psyrun.pspace.candidates import MOST_LISTED, check_different
from psyrun.pspace.conditions import Conditions
from psyrun.pspace.finding import count_different, finder
from psyrun.pspace.showing import AxisText, axes_of, short
from psyrun.results.differences import Difference, difference_in, difference_of
from psyrun.results.load import RecordedTask
from psyrun.results.spaces import RowsOfTask
from psyrun.store.arrays import Indices
from psyrun.tasks.loading import load_task
from psyrun.workdir.layout import layout_of
from psyrun.workdir.plan import Plan

_MOST_SHOWN = 20  # points of a part


@dataclass(frozen=True)
class SpaceSummary:
    """What the space of a task, or a part of it, is.

    Attributes
    ----------
    n_items : int
        Number of assignments.
    n_whole : int
        The same of the whole space.
    axes : list of AxisText
        Its axes.
    attributes : dict of str to str
        Parameters that have the same value everywhere.
    n_duplicates : int or None
        How many assignments equal an earlier one; None if they cannot be compared.
    difference : Difference or None
        By what it differs from the rows; None if the task was never run.
    keys : sequence of str
        Names of all parameters.
    points : sequence of sequence of str
        Of a part, its first assignments: the number in the whole space, and the values.
    """

    n_items: int
    n_whole: int
    axes: list[AxisText]
    attributes: dict[str, str]
    n_duplicates: int | None
    difference: Difference | None
    keys: Sequence[str] = ()
    points: Sequence[Sequence[str]] = ()

    @property
    def n_done(self) -> int:
        """How many assignments have a row."""
        found = self.difference
        return 0 if found is None else found.n_items - found.n_new - found.n_failed


def summary_of(path: Path, name: str, part: Sequence[str] = ()) -> SpaceSummary:
    """Return what the space of a task file is, and what is done of it.

    The task file is run, unless its space was divided and has not changed since.

    Parameters
    ----------
    part : sequence of str
        Conditions of the part that is asked for, as for `Conditions`; all without any.

    Raises
    ------
    PsyrunError
        If the task file cannot be used, its records cannot be read, or there is no such
        part.
    """
    task = RecordedTask(layout_of(path.parent, name), Path())
    difference = None
    if Plan.load(task.layout) is not None:
        difference = difference_of(path, name)
    whole = _space(path, task, difference)
    with enough_memory_for(whole, path):
        if not part:
            return _summary(whole, len(whole), difference)
        try:
            check_different(whole)
            space = Conditions(part).of(whole)
        except PsyrunError as error:
            raise PsyrunError(f"task {name!r}: -p: {error}") from error.__cause__
        found = _summary(space, len(whole), difference_in(space, path, name))
        points = _points(space, _first_numbers(whole, space, part))
        return replace(found, keys=space.keys(), points=points)


def _summary(
    space: ParameterSpace, n_whole: int, difference: Difference | None
) -> SpaceSummary:
    axes, attributes = axes_of(space)
    n_duplicates = _count_duplicates(space)
    return SpaceSummary(len(space), n_whole, axes, attributes, n_duplicates, difference)


def _first_numbers(
    whole: ParameterSpace, part: ParameterSpace, texts: Sequence[str]
) -> Indices:
    """Return the numbers of the first points of a part in the whole space."""
    if len(whole) <= MOST_LISTED:
        return np.flatnonzero(Conditions(texts).mask(whole))[:_MOST_SHOWN]
    return finder(part[:_MOST_SHOWN], whole, tuple(whole.keys())).all()


def _points(part: ParameterSpace, numbers: Indices) -> list[list[str]]:
    """Return the numbers and values of the first points; empty where one lacks them."""
    keys, rows = part.keys(), list[list[str]]()
    for place, number in enumerate(numbers.tolist()):
        point = given(part, place)
        values = [short(point[key]) if key in point else "" for key in keys]
        rows.append([str(number), *values])
    return rows


def _space(
    path: Path, task: RecordedTask, difference: Difference | None
) -> ParameterSpace:
    if difference is not None and not difference.changed:
        # That of the task file might be drawn anew.
        rows = RowsOfTask.find(task)
        if rows is not None and len(rows.whole) == difference.n_items:
            return rows.whole
    return load_task(path).pspace


def _count_duplicates(space: ParameterSpace) -> int | None:
    try:
        return len(space) - count_different(space, tuple(space.keys()))
    except PsyrunError:
        return None
