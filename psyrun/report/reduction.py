"""Rows that come into one place of a plot, as one number with a band."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.pspace.columns import Indices

_QUANTILE = re.compile(r"q(\d{1,2}(?:\.\d+)?|100)")
_REDUCTIONS = {"mean": None, "median": 0.5, "min": 0.0, "max": 1.0}
_BANDS = ("std", "sem")


@dataclass(frozen=True)
class Reduction:
    """How several numbers become one.

    Attributes
    ----------
    name : str
        As users write it, such as ``mean`` or ``q90``.
    quantile : float or None
        The share of numbers that are below; None for the mean.
    """

    name: str
    quantile: float | None

    @classmethod
    def of(cls, name: str) -> Reduction:
        """Return what a name stands for.

        Raises `PsyrunError` if there is no such reduction.
        """
        if name in _REDUCTIONS:
            return cls(name, _REDUCTIONS[name])
        if found := _QUANTILE.fullmatch(name):
            return cls(name, float(found[1]) / 100)
        raise PsyrunError(
            f"plot: there is no reduction {name!r}.{did_you_mean(name, _REDUCTIONS)} "
            "It is mean, median, min, max, or a quantile such as q90."
        )


@dataclass(frozen=True)
class Band:
    """What is drawn around a reduced number.

    Attributes
    ----------
    name : str
        As users write it: ``std``, ``sem``, or two quantiles such as ``q10:q90``.
    quantiles : tuple of float
        The two quantiles; empty for the others.
    """

    name: str
    quantiles: tuple[float, ...] = ()

    @classmethod
    def of(cls, name: str) -> Band:
        """Return what a name stands for.

        Raises `PsyrunError` if there is no such band.
        """
        if name in _BANDS:
            return cls(name)
        ends = [_QUANTILE.fullmatch(part) for part in name.split(":")]
        shares = [float(end[1]) / 100 for end in ends if end]
        if len(ends) == len(shares) == 2 and shares[0] < shares[1]:
            return cls(name, tuple(shares))
        raise PsyrunError(
            f"plot: there is no band {name!r}.{did_you_mean(name, _BANDS)} It is std, "
            "sem, or two quantiles such as q10:q90, the lower one first."
        )

    @property
    def text(self) -> str:
        """What it is, in a title."""
        return self.name if self.quantiles else f"± {self.name}"


MEAN = Reduction("mean", None)


@dataclass(frozen=True)
class Cells:
    """The reduced numbers of a plot.

    Attributes
    ----------
    values : ndarray of float64
        A number for each place, nan where there is none.
    counts : ndarray of int64
        How many numbers it was made of.
    low, high : ndarray of float64 or None
        The ends of the band; nan where there are none.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None


def reduced(
    values: NDArray[np.float64],
    cells: Indices,
    shape: tuple[int, ...],
    how: Reduction = MEAN,
    band: Band | None = None,
) -> Cells:
    """Reduce the numbers of each cell.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite numbers.
    cells : ndarray of int64, shape (n,)
        The cell of each, counted through `shape` in C order.
    shape : tuple of int
        Number of cells along each axis.
    how, band
        What to compute. The standard deviation is that of a sample (with ``n - 1``),
        and the standard error of the mean ``std / sqrt(n)``; both are nan for single
        numbers. Quantiles lie between numbers linearly, as `numpy.quantile` has them.
    """
    groups = _Groups(values, cells, math.prod(shape))
    found = groups.means if how.quantile is None else groups.quantile(how.quantile)
    ends = () if band is None else _ends(groups, found, band)
    arrays = [array.reshape(shape) for array in (found, groups.counts, *ends)]
    return Cells(*arrays)


def _ends(
    groups: _Groups, centre: NDArray[np.float64], band: Band
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if band.quantiles:
        low, high = band.quantiles
        return groups.quantile(low), groups.quantile(high)
    width = groups.deviations()
    if band.name == "sem":
        width = width / np.sqrt(np.maximum(groups.counts, 1))
    return centre - width, centre + width


class _Groups:
    """Numbers by their cells."""

    def __init__(
        self, values: NDArray[np.float64], cells: Indices, n_cells: int
    ) -> None:
        self._values, self._cells, self._n_cells = values, cells, n_cells
        self.counts = np.bincount(cells, minlength=n_cells)
        self._sorted: NDArray[np.float64] | None = None

    @property
    def means(self) -> NDArray[np.float64]:
        return self._mean_of(self._values)

    def _mean_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(self._cells, values, self._n_cells)
        found = np.full(self._n_cells, np.nan)
        if np.isfinite(sums).all():
            np.divide(sums, self.counts, out=found, where=self.counts > 0)
            return found
        # Of huge numbers the mean has a floating-point number, but not the sum.
        parts = values / self.counts[self._cells]
        there = self.counts > 0
        found[there] = np.bincount(self._cells, parts, self._n_cells)[there]
        return found

    def deviations(self) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            apart = self._values - self.means[self._cells]
            sums = np.bincount(self._cells, apart**2, self._n_cells)
        found = np.full(self._n_cells, np.nan)
        np.divide(sums, self.counts - 1, out=found, where=self.counts > 1)
        return np.asarray(np.sqrt(found))

    def quantile(self, share: float) -> NDArray[np.float64]:
        if self._sorted is None:
            order = np.lexsort((self._values, self._cells))
            self._sorted = self._values[order]
        ends = np.cumsum(self.counts)
        found = np.full(self._n_cells, np.nan)
        there = self.counts > 0
        if not there.any():
            return found
        begins = (ends - self.counts)[there]
        at = share * (self.counts[there] - 1)
        below = np.floor(at).astype(np.int64)
        above = np.minimum(below + 1, self.counts[there] - 1)
        low, high = self._sorted[begins + below], self._sorted[begins + above]
        found[there] = low * (1 - at + below) + high * (at - below)
        return found
