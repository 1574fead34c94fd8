"""The assignments of a task that failed, for analysis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.pspace.param import select
from psyrun.results.assignments import round_data
from psyrun.results.extras import library_for
from psyrun.results.failures import failure_columns
from psyrun.results.frames import UnsuitableError, arrow_array, to_polars
from psyrun.results.load import RecordedTask, find
from psyrun.utils.files import Filename
from psyrun.utils.text import text_of
from psyrun.workdir.description import Description
from psyrun.workdir.failures import failures_of_task
from psyrun.workdir.plan import Plan


def failed(
    task: Filename, as_: str | None = None, taskdir: Filename | None = None
) -> Any:
    """Return the assignments of a task that failed, and why.

    Those that failed before and have a row now are not among them. It works while the
    task runs and after it, also for failures that were accepted.

    Parameters
    ----------
    task : path-like
        Name of a task, or its work folder (``psy-work/<task>``).
    as_ : {None, "pandas", "polars", "arrow"}
        The form of the table. Arrow has parameters that it cannot hold as text.
    taskdir : path-like, optional
        As for `psyrun.load`.

    Returns
    -------
    dict of str to list, or what `as_` names
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
    found = find(task, taskdir)
    if not isinstance(found, RecordedTask):
        raise PsyrunError(
            f"{found}: is neither a task nor the work folder of one. Name one, such as "
            "'square' or 'psy-work/square'."
        )
    columns = _columns(found)
    return columns if as_ is None else _FORMS[as_](columns)


def _columns(task: RecordedTask) -> dict[str, list[Any]]:
    failures = failures_of_task(task.layout)
    plan = Plan.load(task.layout)
    parameters = {}
    if plan is not None and failures:
        round_ = task.layout.round(plan.round)
        space = round_data(round_, Path(plan.taskfile), task.root).division.space
        numbers = np.array([failure.index for failure in failures])
        parameters = select(space, numbers).build()
    columns = failure_columns(failures, parameters)
    return {
        key: values
        if key in parameters
        else [math.nan if value is None else value for value in values]
        for key, values in columns.items()
    }


def _check_form(as_: str | None) -> None:
    if as_ is None:
        return
    if as_ not in _FORMS:
        raise PsyrunError(
            f"as_={as_!r}: there is no such form.{did_you_mean(str(as_), _FORMS)} It "
            f"is one of {', '.join(map(repr, _FORMS))}, or None for columns."
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


_FORMS = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}
