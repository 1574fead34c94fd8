"""What the space of a task is, and what is done of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psyrun.errors import PsyrunError, enough_memory_for
from psyrun.pspace import ParameterSpace
from psyrun.pspace.finding import count_different
from psyrun.pspace.showing import AxisText, axes_of
from psyrun.results.differences import Difference, difference_of
from psyrun.results.load import RecordedTask
from psyrun.results.spaces import RowsOfTask
from psyrun.tasks.loading import load_task
from psyrun.workdir.layout import layout_of
from psyrun.workdir.plan import Plan


@dataclass(frozen=True)
class SpaceSummary:
    """What the space of a task is.

    Attributes
    ----------
    n_items : int
        Number of assignments.
    axes : list of AxisText
        Its axes.
    attributes : dict of str to str
        Parameters that have the same value everywhere.
    n_duplicates : int or None
        How many assignments equal an earlier one; None if they cannot be compared.
    difference : Difference or None
        By what it differs from the rows; None if the task was never run.
    """

    n_items: int
    axes: list[AxisText]
    attributes: dict[str, str]
    n_duplicates: int | None
    difference: Difference | None

    @property
    def n_done(self) -> int:
        """How many assignments have a row."""
        found = self.difference
        return 0 if found is None else found.n_items - found.n_new - found.n_failed


def summary_of(path: Path, name: str) -> SpaceSummary:
    """Return what the space of a task file is, and what is done of it.

    The task file is run, unless its space was divided and has not changed since. Raises
    `PsyrunError` if it cannot be used, or its records cannot be read.
    """
    task = RecordedTask(layout_of(path.parent, name), Path())
    difference = None
    if Plan.load(task.layout) is not None:
        difference = difference_of(path, name)
    space = _space(path, task, difference)
    with enough_memory_for(space, path):
        axes, attributes = axes_of(space)
        n_duplicates = _count_duplicates(space)
    return SpaceSummary(len(space), axes, attributes, n_duplicates, difference)


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
