"""What is known of the costs of some assignments, and how sure what follows is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate.answers import Extreme
from psyrun.estimate.columns import Columns, Floats
from psyrun.estimate.surrogate import Surrogate
from psyrun.pspace.columns import Indices
from psyrun.utils.ranges import Range

FEWEST = 3
"""Pilots from which a model is fitted."""
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_WIDENED, _OF_FEW = 1.2, 3.0  # spread of intervals, and what 1/n adds for n pilots
_GOOD = 1.5  # factor of error of a model that fits in any case
_AT_ONCE = 2**16  # rows that are looked up at the same time
_BETTER = 0.8  # error of one that fits, relative to that of the mean of the pilots
_NO_ROWS, _NO_COSTS = np.empty(0, np.int64), np.empty(0)


@dataclass(frozen=True)
class Known:
    """Assignments with known costs, and the model that is fitted to them, if any.

    Attributes
    ----------
    columns : Columns
        Of the space.
    rows : ndarray of int64, shape (n,)
        The assignments.
    costs : ndarray of float64, shape (n,)
        What they have cost.
    surrogate : Surrogate or None
        The model; None if there are too few.
    ended : ndarray of int64, shape (m,)
        Other assignments, which were ended.
    bounds : ndarray of float64, shape (m,)
        What these had cost by then: less than what they would have.
    limit : float
        What an assignment costs at most, as it is ended then.
    """

    columns: Columns
    rows: Indices
    costs: Floats
    surrogate: Surrogate | None
    ended: Indices = field(default_factory=lambda: _NO_ROWS)
    bounds: Floats = field(default_factory=lambda: _NO_COSTS)
    limit: float = float("inf")

    @property
    def is_whole(self) -> bool:
        """Whether the cost of each assignment of the space is known."""
        return len(self.rows) == len(self.columns.space)

    def exactly(self) -> tuple[Range, Range, float]:
        """Return the total and the peak of what is known, and a factor of 1."""
        total, peak = float(self.costs.sum()), float(self.costs.max())
        return Range(total, total, total), Range(peak, peak, peak), 1.0

    def filled(self, rows: Indices, predicted: Floats) -> Floats:
        """Return costs of rows in ascending order, those that are known as they are.

        They are put among those that are `predicted`, in place.
        """
        for at, costs in self._found_in(rows):
            predicted[at] = costs
        return predicted

    def lack(self, rows: Indices) -> NDArray[np.bool_]:
        """Return of which rows in ascending order no cost is known."""
        is_unknown = np.ones(len(rows), np.bool_)
        for at, _ in self._found_in(rows):
            is_unknown[at] = False
        return is_unknown

    def _found_in(self, rows: Indices) -> Iterator[tuple[Indices, Floats]]:
        """Yield places in `rows`, and what is known of the costs there."""
        # Some at a time: temporary arrays of a million of them take much memory.
        for start in range(0, len(self.rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            at = np.minimum(np.searchsorted(rows, self.rows[part]), len(rows) - 1)
            is_there = rows[at] == self.rows[part]
            yield at[is_there], self.costs[part][is_there]

    def bounded(
        self, rows: Indices, predicted: Floats, smearing: float = 1.0
    ) -> Floats:
        """Return medians of rows whose means are not below what they had cost by then.

        That is where they were ended; `smearing` is the factor from medians to means.
        """
        if not len(self.ended):
            return predicted
        order = np.argsort(self.ended)
        ended, bounds = self.ended[order], self.bounds[order] / min(1.0, smearing)
        at = np.minimum(np.searchsorted(ended, rows), len(ended) - 1)
        least = np.where(ended[at] == rows, bounds[at], 0.0)
        return np.asarray(np.maximum(predicted, least))

    def total(self, found: Range) -> Range:
        """Return a total of which no end is impossible, by what is known."""
        least = float(self.costs.sum() + self.bounds.sum())
        n_rest = len(self.columns.space) - len(self.rows)
        most = float(self.costs.sum()) + (n_rest * self.limit if n_rest else 0.0)
        return _within(found, least, most)

    def largest(self, row: int, peak: Range) -> Extreme:
        """Return the most expensive assignment; none is below what is known.

        Parameters
        ----------
        row : int
            The one that is predicted to be.
        peak : Range
            What the most expensive one is predicted to cost.
        """
        least, bound = float(self.costs.max()), float(self.bounds.max(initial=0.0))
        if bound > max(least, peak.value):
            row = int(self.ended[np.argmax(self.bounds)])
        cost = _within(peak, max(least, bound), self.limit)
        return Extreme(row, self.columns.space[row], cost)

    def misfit(self) -> tuple[float, str]:
        """Return the factor of error, and why the model does not fit, if so."""
        n = len(self.rows)
        if self.surrogate is None:
            return float("nan"), f"{n} pilots that succeeded are too few for a model"
        logs = np.log(self.surrogate.costs)
        error = _rms(self.surrogate.left_out()[0] - logs)
        n = len(logs)
        of_mean = _rms((logs - logs.mean()) * n / (n - 1))
        if error <= np.log(_GOOD) or error < _BETTER * of_mean:
            return float(np.exp(error)), ""
        return float(np.exp(error)), (
            "the parameters do not explain the costs of the pilots: each is predicted "
            f"from the others within a factor of {np.exp(error):.3g}, from their mean "
            f"within {np.exp(of_mean):.3g}"
        )


def _within(found: Range, least: float, most: float) -> Range:
    ends = found.value, found.low, found.high
    return Range(*(max(least, min(end, most)) for end in ends))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def widened(samples: Floats, n: int, sure: float) -> Range:
    """Return the range of samples, wider the fewer pilots have chosen the model.

    What is `sure` is added.
    """
    logs = np.log(samples)
    low, middle, high = np.quantile(logs, [0.05, 0.5, 0.95])
    wider = _WIDENED + _OF_FEW / n
    ends = [middle + wider * (end - middle) for end in (middle, low, high)]
    return Range(*(sure + float(np.exp(end)) for end in ends))


def quantiles(costs: Floats, shares: Floats | None = None) -> dict[float, float]:
    """Return costs below which some part is, by the share that each stands for.

    Without shares these are equal.
    """
    if shares is None or (len(costs) and shares.min() == shares.max()):
        found = np.quantile(costs, _QUANTILES)
        return dict(zip(_QUANTILES, found.tolist(), strict=True))
    order = np.argsort(costs)
    reached = np.cumsum(shares[order])
    places = np.minimum(np.searchsorted(reached, _QUANTILES), len(costs) - 1)
    return dict(zip(_QUANTILES, costs[order][places].tolist(), strict=True))
