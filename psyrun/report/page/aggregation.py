"""Rows that differ in repeats only, put together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO, Sweep
from psyrun.report.page.columns import Measured, Parameter

_FEWEST = 8  # repeats, on average; each cell has five numbers of a column of rows
_MOST_KEYS = 2**62


@dataclass(frozen=True)
class Spread:
    """The values of each cell, which are finite.

    Attributes
    ----------
    n : ndarray of int64, shape (n_cells,)
        How many there are.
    sd, median, low, high : ndarray of float64, shape (n_cells,)
        Their standard deviation (as a sample, by ``n - 1``), median, smallest and
        largest one; nan where there are too few.
    """

    n: Indices
    sd: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Aggregated:
    """A sweep of which each row is a cell: assignments that differ in repeats only.

    Attributes
    ----------
    sweep : Sweep
        Its results and costs are means of the finite values. The status of a cell is
        `DONE` if any of it is done, else `FAILED` if any failed.
    repeats : sequence of Parameter
        The parameters that are left out of it.
    counts : dict of int to ndarray, shape (n_cells,)
        How many assignments of each cell are `DONE`, `FAILED`, and `TO_DO`, which here
        includes those that are running.
    results, costs : list of Spread
        In the order of those of the sweep.
    """

    sweep: Sweep
    repeats: Sequence[Parameter]
    counts: Mapping[int, Indices]
    results: list[Spread]
    costs: list[Spread]


def aggregated(sweep: Sweep) -> Aggregated | None:
    """Put rows together that differ in repeats only; None if that is of no use."""
    repeats = [each for each in sweep.parameters if each.is_repeat]
    others = [each for each in sweep.parameters if not each.is_repeat]
    if not repeats or math.prod(len(each.levels) for each in others) > _MOST_KEYS:
        return None
    keys = np.zeros(len(sweep), np.int64)
    for each in others:
        keys = keys * len(each.levels) + each.codes
    _, first, cells = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) * _FEWEST > len(sweep):
        return None
    return _put_together(sweep, others, repeats, first, cells)


def _put_together(
    sweep: Sweep,
    others: Sequence[Parameter],
    repeats: Sequence[Parameter],
    first: Indices,
    cells: Indices,
) -> Aggregated:
    counts = _counts(sweep.status, cells, len(first))
    results = [_spread(each, cells, len(first)) for each in sweep.results]
    costs = [_spread(each, cells, len(first)) for each in sweep.costs]
    there = np.where(counts[FAILED] > 0, FAILED, TO_DO)
    small = replace(
        sweep,
        indices=sweep.indices[first],
        status=np.where(counts[DONE] > 0, DONE, there).astype(np.int8),
        parameters=[replace(each, codes=each.codes[first]) for each in others],
        results=[mean for mean, _ in results],
        costs=[mean for mean, _ in costs],
        versions=_versions(sweep, cells, first),
    )
    spreads = ([spread for _, spread in group] for group in (results, costs))
    return Aggregated(small, repeats, counts, *spreads)


def _counts(
    status: NDArray[np.int8], cells: Indices, n_cells: int
) -> dict[int, Indices]:
    found = {
        code: np.bincount(cells[status == code], minlength=n_cells)
        for code in (DONE, FAILED, RUNNING, TO_DO)
    }
    found[TO_DO] += found.pop(RUNNING)
    return found


def _versions(sweep: Sweep, cells: Indices, first: Indices) -> Indices:
    """Return an older version for cells that have rows of one, else any of theirs."""
    is_current = np.array([n in sweep.current_versions for n in sweep.version_names])
    found = sweep.versions[first].copy()
    is_done = sweep.status == DONE
    for rows in (is_done, is_done & ~is_current[sweep.versions]):
        found[cells[rows]] = sweep.versions[rows]
    return found


def _spread(
    measured: Measured, cells: Indices, n_cells: int
) -> tuple[Measured, Spread]:
    """Return the means of cells, and how the values spread around them."""
    is_finite = np.isfinite(measured.values)
    values, cells = measured.values[is_finite], cells[is_finite]
    order = np.lexsort((values, cells))
    values, cells = values[order], cells[order]
    n = np.bincount(cells, minlength=n_cells)
    ends = np.cumsum(n)
    starts = ends - n
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mean = np.bincount(cells, values, n_cells) / n
        squares = np.bincount(cells, (values - mean[cells]) ** 2, n_cells)
        sd = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    lower = _at(values, starts + (n - 1) // 2, n)
    upper = _at(values, starts + n // 2, n)
    low, high = _at(values, starts, n), _at(values, ends - 1, n)
    # By halves, as the sum may be too large for a number.
    spread = Spread(n, sd, lower / 2 + upper / 2, low, high)
    return replace(measured, values=mean), spread


def _at(
    values: NDArray[np.float64], places: Indices, n: Indices
) -> NDArray[np.float64]:
    """Return the values at some places; nan for cells without values."""
    found = np.full(len(n), np.nan)
    found[n > 0] = values[places[n > 0]]
    return found
