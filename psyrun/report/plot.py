"""Plots of what a task has so far."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.report.choice import Wanted
from psyrun.report.picture import Limits, Picture, picture_of
from psyrun.report.quantity import COSTS, FAILED
from psyrun.report.reduction import Band, Reduction
from psyrun.report.sweep import Sweep
from psyrun.results.load import find_rows
from psyrun.utils.files import Filename
from psyrun.workdir.consistent_reads import retry_while_changing

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot(
    task_or_path: Filename,
    result: str | None = None,
    *,
    over: str | Sequence[str] | None = None,
    by: str | None = None,
    reduce: str | None = None,
    band: str | None = None,
    cost: str | None = None,
    ax: Axes | None = None,
    taskdir: Filename | None = None,
) -> Axes:
    """Draw a result over the axes of the space, with Matplotlib.

    It works while the task runs and after it; what is missing is left blank, and the
    title says how much that is. Of more than 16 000 values along a line, or 5 000
    points of a scatter, those are drawn that can be told apart.

    Parameters
    ----------
    task_or_path, taskdir : path-like
        As for `psyrun.load`.
    result : str, optional
        The result to draw; by default the first that is a number. Truth values count
        as 0 and 1, lengths of time are in seconds. One that is an array with one axis
        is drawn along this axis.
    over : str or sequence of str, optional
        The parameter along x; two of them make a heat map. By default the number with
        most values, else the text with most.
    by : str, optional
        The parameter that colours tell apart; by default a short axis, of text if
        there is one.
    reduce : str, default "mean"
        What is drawn of several rows: ``"mean"``, ``"median"``, ``"min"``, ``"max"``,
        or a quantile in per cent, such as ``"q90"``.
    band : str, optional
        What is drawn around it: ``"std"`` (of a sample, with ``n - 1``), ``"sem"`` (the
        standard error of the mean), or two quantiles such as ``"q10:q90"``.
    cost : {"time", "memory", "failed"}, optional
        Draw what rows have cost instead of a result: the duration in seconds, the
        peak memory of the evaluation in MiB, or the share of assignments that failed.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default in a new figure of pyplot.

    Returns
    -------
    matplotlib.axes.Axes
        The axes, for example to save their figure.

    Raises
    ------
    PsyrunError
        If there is no such task, result or axis; if the result is no number, nothing
        is finished yet, or Matplotlib is not installed.
    """
    from psyrun.report.figure import LIMITS, draw, new_axes

    wanted = wanted_of(result, over, by, reduce, band, cost)
    picture = drawn(task_or_path, taskdir, wanted, LIMITS)
    axes = new_axes() if ax is None else ax
    draw(picture, axes, with_notes=True)
    return axes


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
