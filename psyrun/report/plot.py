"""Plots of what a task has so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.report.choice import Wanted
from psyrun.report.picture import Limits, Picture, picture_of
from psyrun.report.quantity import COSTS, FAILED
from psyrun.report.reduction import Band, Reduction
from psyrun.report.sweep import Sweep
from psyrun.results.load import find_rows
from psyrun.utils.files import Filename
from psyrun.workdir.consistent_reads import retry_while_changing


def wanted_of(
    result: str | None = None,
    over: str | Sequence[str] | None = None,
    by: str | None = None,
    reduce: str | None = None,
    band: str | None = None,
    cost: str | None = None,
) -> Wanted:
    """Return what is asked for of a plot.

    Raises `PsyrunError` if something is not known, or does not go together.
    """
    names = (*COSTS, FAILED)
    if cost is not None and cost not in names:
        raise PsyrunError(
            f"plot: there is no cost {cost!r}.{did_you_mean(cost, names)} It is one of "
            f"{', '.join(names)}."
        )
    if cost is not None and result is not None:
        raise PsyrunError(
            f"plot: shows either the result {result!r} or the cost {cost!r}. Leave one "
            "of them out."
        )
    axes = [over] if isinstance(over, str) else list(over or ())
    return Wanted(
        result,
        axes,
        by,
        Reduction.of("mean" if reduce is None else reduce),
        None if band is None else Band.of(band),
        cost,
    )


def drawn(
    task_or_path: Filename, taskdir: Filename | None, wanted: Wanted, limits: Limits
) -> Picture:
    """Return a plot of the rows that a task has so far, or of those of a data file.

    Raises `PsyrunError` if there is nothing to show, or not what is asked for.
    """
    found, _ = find_rows(task_or_path, True, taskdir)
    cost = wanted.cost
    if isinstance(found, Path) and cost == FAILED:
        raise PsyrunError(
            f"{found}: a file has no failed assignments. Name the task for "
            "'--cost failed'."
        )
    return retry_while_changing(
        lambda: picture_of(Sweep.of(found, cost), wanted, limits)
    )
