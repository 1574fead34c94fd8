"""In which of many ranges each of very many numbers is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.results.rules.counts import Levels

_N_CELLS = 2**16
_FEW = 0.05  # share of limits that may be in one cell with others on the first scale
_MANY = 0.5  # the same on any scale
_NARROWEST = 1e-300  # of all cells, lest the inverse is infinite


def ranges_of(values: NDArray[Any], limits: NDArray[Any]) -> Levels:
    """Return how many of some limits each of very many numbers has reached.

    That is ``np.searchsorted(limits, values, side="right")``, which takes several times
    as long: nothing predicts the branches of a binary search. Here, each number is
    first rounded down to one of many cells of equal width, on a linear scale or on that
    of exponents. A table has how many limits are in the cells before. If there is no
    more than one in the cell itself, a comparison with that decides.

    Parameters
    ----------
    values : ndarray of integers or floats, shape (n,)
        Without nan.
    limits : ndarray of the same type, shape (n_limits,)
        Finite and different, in ascending order; at least one.

    Returns
    -------
    ndarray of an unsigned type, shape (n,)
    """
    dtype = np.min_scalar_type(len(limits))
    cells = _cells_for(limits)
    if cells is None:
        return np.searchsorted(limits, values, side="right").astype(dtype)
    of_value = cells.of(values)
    # Past the last limit, that one is compared once more.
    next_limit = np.minimum(cells.n_before, len(limits) - 1).astype(dtype)
    found = next_limit.take(of_value)
    found += values >= limits.take(found)
    if cells.is_crowded.any():
        rest = np.flatnonzero(cells.is_crowded.take(of_value))
        found[rest] = np.searchsorted(limits, values[rest], side="right")
    return found


def _cells_for(limits: NDArray[Any]) -> _Cells | None:
    """Return cells of which most have at most one limit, if there are such."""
    if not _NARROWEST < float(limits[-1]) - float(limits[0]) < np.inf:
        return None
    linear = _Cells(limits, is_linear=True)
    if linear.crowded_share <= _FEW:
        return linear
    choices = [linear]
    if limits[0] > 0:
        choices.append(_Cells(limits, is_linear=False))
    best = min(choices, key=lambda cells: cells.crowded_share)
    return best if best.crowded_share <= _MANY else None


class _Cells:
    """Cells between the first and the last limit.

    Attributes
    ----------
    n_before : ndarray of int64, shape (n_cells,)
        How many limits are in the cells before each.
    is_crowded : ndarray of bool, shape (n_cells,)
        Whether more than one limit is in it.
    crowded_share : float
        Share of limits that are in such cells.
    """

    def __init__(self, limits: NDArray[Any], *, is_linear: bool) -> None:
        self._is_linear = is_linear
        self._low, high = self._scaled(limits[[0, -1]]).tolist()
        self._factor = (_N_CELLS - 1) / (high - self._low)
        # Rounding keeps the order, so that these are in ascending order, too.
        of_limit = self.of(limits)
        n_before = np.searchsorted(of_limit, np.arange(_N_CELLS + 1))
        self.n_before = n_before[:-1]
        self.is_crowded = np.diff(n_before) > 1
        self.crowded_share = float(self.is_crowded[of_limit].mean())

    def of(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the cells of some numbers; those beyond are in the first or last."""
        with np.errstate(over="ignore"):
            cells = self._scaled(values)
            cells -= self._low
            cells *= self._factor
        return np.clip(cells, 0, _N_CELLS - 1, out=cells).astype(np.uint16)

    def _scaled(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return numbers as floats, or the bits of these as integers.

        Those of positive numbers have the same order, and grow by the same from each
        power of two to the next. Those of negative ones come before them.
        """
        floats = values.astype(np.float64)
        return floats if self._is_linear else floats.view(np.int64).astype(np.float64)
