"""The assignments of a task that failed, for analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.pspace import Param, ParameterSpace
from psyrun.pspace.param import select
from psyrun.results.assignments import round_data
from psyrun.results.extras import library_for
from psyrun.results.failures import failure_columns
from psyrun.results.frames import UnsuitableError, arrow_array, to_polars
from psyrun.results.load import RecordedTask, find_task
from psyrun.utils.files import Filename
from psyrun.utils.text import text_of
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.description import Description
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.failures import Failure, failures_of_task


def failed(
    task: Filename,
    as_: str | None = None,
    taskdir: Filename | None = None,
    *,
    cause: str | None = None,
) -> Any:
    """Return the assignments of a task that failed, and why.

    Those that failed before and have a row now are not among them. It works while the
    task runs and after it, also for failures that were accepted.

    Parameters
    ----------
    task : path-like
        Name of a task, or its work folder (``psy-work/<task>``).
    as_ : {None, "pandas", "polars", "arrow", "space"}
        The form of the table. Arrow has parameters that it cannot hold as text. With
        ``"space"`` only the assignments are returned, as a parameter space.
    taskdir : path-like, optional
        As for `psyrun.load`.
    cause : str, optional
        Class of the exception, such as ``"ValueError"``, of the failures to return.
        It is ``"WorkerDied"`` where the process of an assignment ended, and
        ``"JobEnded"`` where its whole job did.

    Returns
    -------
    dict of str to list, ParameterSpace, or what `as_` names
        In the order of the space: ``number``, which is that of ``psy failed``; each
        parameter; ``error``, the class of the exception; ``message``; ``where``, file
        and line; ``host``; ``attempt``, how many evaluations have failed;
        ``duration`` in seconds and ``memory`` in bytes, nan where they are not known;
        ``accepted``, whether the result does without. If a parameter has one of these
        names, an underscore is added to the name of the other.

    Raises
    ------
    PsyrunError
        If there is no such task, or no such form or its library.
    """
    _check_form(as_)
    found = find_task(task, taskdir)
    if as_ == SPACE:
        return retry_while_changing(lambda: failed_space(found, cause))
    columns = retry_while_changing(lambda: _columns(found, cause))
    return columns if as_ is None else _FORMS[as_](columns)


def failed_space(task: RecordedTask, cause: str | None = None) -> ParameterSpace:
    """Return the assignments of a task that failed, as a space; see `failed`.

    Raises `PsyrunError` if the task was never run.
    """
    return _space_of(task, _failures(task, cause))


def _failures(task: RecordedTask, cause: str | None) -> list[Failure]:
    failures = failures_of_task(task.layout)
    return [one for one in failures if cause is None or one.type == cause]


def _space_of(task: RecordedTask, failures: Sequence[Failure]) -> ParameterSpace:
    plan = task.plan
    round_ = task.layout.round(plan.round)
    if DivisionCounts.load(round_) is None:
        return Param()
    space = round_data(round_, Path(plan.taskfile), task.root).division.space
    return select(space, np.array([failure.index for failure in failures], np.int64))


def _columns(task: RecordedTask, cause: str | None) -> dict[str, list[Any]]:
    failures = _failures(task, cause)
    parameters = _space_of(task, failures).build() if failures else {}
    columns = failure_columns(failures, parameters)
    return {
        key: values
        if key in parameters
        else [math.nan if value is None else value for value in values]
        for key, values in columns.items()
    }


def _check_form(as_: str | None) -> None:
    if as_ is None or as_ == SPACE:
        return
    if as_ not in _FORMS:
        forms = (*_FORMS, SPACE)
        raise PsyrunError(
            f"as_={as_!r}: there is no such form.{did_you_mean(str(as_), forms)} It "
            f"is one of {', '.join(map(repr, forms))}, or None for columns."
        )
    library_for(as_)


def _pandas(columns: Mapping[str, list[Any]]) -> Any:
    return library_for("pandas").DataFrame(columns)


def _polars(columns: Mapping[str, list[Any]]) -> Any:
    return to_polars(columns, Description())


def _arrow(columns: Mapping[str, list[Any]]) -> Any:
    arrays = {key: _arrow_column(key, column) for key, column in columns.items()}
    return library_for("arrow").table(arrays)


def _arrow_column(key: str, column: list[Any]) -> Any:
    try:
        return arrow_array(key, column)
    except UnsuitableError:
        return arrow_array(key, list(map(text_of, column)))


SPACE = "space"
_FORMS = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}
