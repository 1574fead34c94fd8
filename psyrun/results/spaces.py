"""The assignments of a task that are done, or of an older version, as spaces."""

from __future__ import annotations

from contextlib import chdir, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.param import select_ascending
from psyrun.results.assignments import round_data
from psyrun.results.load import RecordedTask, find_task
from psyrun.utils.files import Filename
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.damage import check_division
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import TaskLayout, TaskRecord
from psyrun.workdir.plan import Plan, arguments_in
from psyrun.workdir.replaced import replaced_in

if TYPE_CHECKING:
    from psyrun.tasks.version import Version
    from psyrun.workdir.rows import RoundData


def done(task: Filename, taskdir: Filename | None = None) -> ParameterSpace:
    """Return the assignments of a task that have a row, as a space.

    Also those whose row an older version of the code computed; `stale` has these. It
    works while the task runs, and is what was there when it was called.

    Parameters
    ----------
    task : path-like
        Name of a task, or its work folder (``psy-work/<task>``).
    taskdir : path-like, optional
        As for `psyrun.load`.

    Returns
    -------
    ParameterSpace
        In the order of the space of the task. If all are done, it is that space, with
        its structure.

    Raises
    ------
    PsyrunError
        If there is no such task, or it was never run.
    """
    found = find_task(task, taskdir)
    return retry_while_changing(lambda: RowsOfTask.of(found).done())


def stale(task: Filename, taskdir: Filename | None = None) -> ParameterSpace:
    """Return the assignments of a task with a row of an older version, as a space.

    The code as it is now is compared, without running it.

    Parameters
    ----------
    task : path-like
        Name of a task, or its work folder (``psy-work/<task>``).
    taskdir : path-like, optional
        As for `psyrun.load`.

    Returns
    -------
    ParameterSpace
        In the order of the space of the task, as for `done`.

    Raises
    ------
    PsyrunError
        If there is no such task, it was never run, or its source cannot be read.
    """
    found = find_task(task, taskdir)
    return retry_while_changing(lambda: RowsOfTask.of(found).stale(version_of(found)))


class RowsOfTask:
    """Which assignments of the space that was divided last have a row.

    Attributes
    ----------
    number : int
        Number of the round whose space that is.
    data : RoundData
        That round.
    indices : ndarray of int64
        The assignments that have a row, ascending.
    """

    def __init__(
        self, number: int, data: RoundData, counts: DivisionCounts, plan: Plan
    ) -> None:
        self.number = number
        self.plan = plan
        self.data = data
        self.indices = data.with_row()
        self._counts = counts

    @classmethod
    def of(cls, task: RecordedTask) -> RowsOfTask:
        """Read which rows there are.

        Raises `PsyrunError` if no space was divided yet.
        """
        if (found := cls.find(task)) is not None:
            return found
        name = task.layout.name
        raise PsyrunError(
            f"task {name!r}: which assignments it has is not known yet. Go on with "
            f"'psy run {arguments_in(task.layout)}'."
        )

    @classmethod
    def find(cls, task: RecordedTask) -> RowsOfTask | None:
        """Read which rows there are, None if no space was divided yet."""
        plan = task.plan
        for number in (plan.round, *plan.keep_rounds, *plan.superseded):
            if (found := cls._of_round(task, number)) is not None:
                return found
        return None

    @classmethod
    def others(cls, task: RecordedTask, found: RowsOfTask) -> list[RowsOfTask]:
        """Read which rows other rounds have, which may come back; the newest first."""
        rounds = []
        for number in reversed(task.layout.rounds()):
            if number != found.number:
                # They only save time.
                with suppress(PsyrunError, OSError):
                    rounds.append(cls._of_round(task, number))
        return [rows for rows in rounds if rows is not None and rows.n_rows]

    @classmethod
    def _of_round(cls, task: RecordedTask, number: int) -> RowsOfTask | None:
        round_ = task.layout.round(number)
        check_division(round_)
        counts = DivisionCounts.load(round_)
        if counts is None:
            return None
        plan = task.plan
        data = round_data(round_, Path(plan.taskfile), task.root)
        return cls(number, data, counts, plan)

    @property
    def n_rows(self) -> int:
        """How many rows there are, with those that are not in the space."""
        return len(self.indices) + self.data.division.n_former

    @property
    def space(self) -> ParameterSpace:
        """All assignments."""
        return self.data.division.space

    @property
    def whole(self) -> ParameterSpace:
        """All assignments, also those that were not chosen by ``psy run -p``."""
        return self.data.division.whole_space

    def in_whole(self) -> NDArray[np.int64]:
        """Return which of the whole space have a row."""
        return self.data.division.in_whole(self.indices)

    def done(self) -> ParameterSpace:
        """Return those that have a row."""
        return select_ascending(self.space, self.indices)

    def stale(self, version: Version) -> ParameterSpace:
        """Return those whose row comes from another version of the code."""
        is_older = self.are_older(version)[: len(self.indices)]
        return select_ascending(self.space, self.indices[is_older])

    def former(self) -> ParameterSpace:
        """Return the assignments of rows that are no longer in the space."""
        columns = dict(self.data.division.former_points or {})
        return Param(**columns) if columns else Param()

    @property
    def names(self) -> tuple[str, ...]:
        """The fingerprints of versions that rows may come from."""
        return self._counts.fingerprint, *self.data.division.fingerprints

    def numbers(self) -> NDArray[np.int64]:
        """Return for each row its version, as a place in `names`."""
        return self.data.versions()

    def are_replaced(self) -> NDArray[np.bool_]:
        """Return which rows are evaluated again, and do not come back."""
        return replaced_in(self.data, self.plan.honoured)

    def are_older(self, version: Version) -> NDArray[np.bool_]:
        """Return which rows come from another version, first those of the space."""
        names = self.plan.names
        is_same = version.is_one_of(names, is_former=self.plan.is_former)
        current = {version.code_text, *(names if is_same else ())}
        are_older = np.array([name not in current for name in self.names])
        is_older: NDArray[np.bool_] = are_older[self.numbers()]
        return is_older


def version_of(task: RecordedTask) -> Version:
    """Return the version of a task as its source is now; its file is not run.

    Raises `TaskError` if the source cannot be read.
    """
    plan, layout = task.plan, TaskLayout(task.layout.folder.absolute())
    # Only where that is another one: other threads have the same current folder.
    with nullcontext() if task.root == Path() else chdir(task.root):
        return version_of_plan(plan, layout)


def version_of_plan(plan: Plan, layout: TaskLayout) -> Version:
    """Return the version of the task of a plan; paths are relative to its project."""
    from psyrun.tasks.version import known_digests, version_of_file

    path = Path(plan.taskfile)
    conf_path = path.parent / "psy-conf.py"
    record = TaskRecord.load(path.parent, layout.name)
    return version_of_file(
        path,
        conf_path if conf_path.is_file() else None,
        () if record is None else record.file_dep,
        layout.source,
        layout.loaded,
        digests=known_digests(layout.digests),
        resultfile=Path(plan.resultfile),
        seeding=plan.seeding,
    )
