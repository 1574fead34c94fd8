"""Costs where no model fits: each pilot stands for what is nearest to it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from psyrun.estimate.answers import Prediction
from psyrun.estimate.columns import Columns, Floats
from psyrun.estimate.evaluated import spread_rows
from psyrun.estimate.known import FEWEST, Known, quantiles, widened
from psyrun.pspace.columns import Indices
from psyrun.utils.ranges import Range

_N_SAMPLED = 2048
_N_DRAWS = 256
_AT_ONCE = 2**18  # distances that are in memory at the same time
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def nearest_shares(columns: Columns, rows: Indices, seed: int = 0) -> Floats:
    """Return the part of a space that is nearest to each of some rows.

    So pilots that stand where they were expected to be expensive count for no more than
    what they stand for. Along axes of numbers it is their ranks that are compared; the
    ends are as far apart as different levels.

    Parameters
    ----------
    columns : Columns
        Of the space.
    rows : ndarray of int64, shape (n,)
        Indices of some points.
    seed : int
        Seed of the sample of the space that is looked at.

    Returns
    -------
    ndarray of float64, shape (n,)
        They add up to one; equally near points share.
    """
    sample = columns.points(spread_rows(len(columns.space), _N_SAMPLED, seed))
    some = columns.points(rows)
    ranks = [
        (_ranks(values, values), _ranks(values, of_some))
        for values, of_some in zip(sample.numbers.T, some.numbers.T, strict=True)
    ]
    codes = list(zip(sample.codes.T, some.codes.T, strict=True))
    found = np.zeros(len(some))
    size = max(1, _AT_ONCE // max(1, len(some)))
    for start in range(0, len(sample), size):
        part = slice(start, start + size)
        distances = np.zeros((len(sample.codes[part]), len(some)))
        for here, there in ranks:
            distances += (here[part, None] - there) ** 2
        for here, there in codes:
            distances += here[part, None] != there
        is_nearest = distances <= distances.min(axis=1, keepdims=True) + 1e-12
        found += (is_nearest / is_nearest.sum(axis=1, keepdims=True)).sum(axis=0)
    return np.asarray(found / len(sample))


def _ranks(values: Floats, some: Floats) -> Floats:
    """Return which part of values is below some, with ties in the middle."""
    ordered = np.sort(values[np.isfinite(values)])
    sides = [np.searchsorted(ordered, some, side) for side in _SIDES]
    ranks = (sides[0] + sides[1]) / (2 * max(1, len(ordered)))
    return np.where(np.isfinite(some), ranks, 0.5)


def by_pilots(known: Known, error: float, reason: str, seed: int) -> Prediction:
    """Return the costs of the pilots, each for the part of the space nearest to it.

    Those that were ended count as what they had cost by then.

    Parameters
    ----------
    known : Known
        The pilots, of which one at least succeeded.
    error : float
        Factor of error of the model.
    reason : str
        Why it is not used; empty if nothing is left to predict.
    seed : int
        Seed of the samples.
    """
    rows = np.append(known.rows, known.ended)
    costs = np.append(known.costs, known.bounds)
    shares = nearest_shares(known.columns, rows, seed)
    middle, (total, peak, _) = _middle(costs, shares), known.exactly()
    smearing = float(shares @ costs) / middle
    if not known.is_whole:
        total = _shared_total(known, shares, costs, seed)
        # Whatever the pilots are, one of the others may cost more.
        peak = Range(float(costs.max()), peak.low, float("inf"))
    return Prediction(
        fits=not reason,
        reason=reason,
        error=error,
        total=known.total(total),
        largest=known.largest(int(rows[np.argmax(costs)]), peak),
        smallest=float(costs.min()),
        quantiles=quantiles(costs, shares),
        smearing=smearing,
        _medians=lambda rows: known.bounded(rows, np.full(len(rows), middle), smearing),
    )


def _shared_total(known: Known, shares: Floats, costs: Floats, seed: int) -> Range:
    """Return the sum of known costs and of others, by a Bayesian bootstrap [1]_.

    Shares of the pilots are drawn from a Dirichlet distribution around what they are.

    .. [1] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981),
       130-134.
    """
    n, sure = len(costs), float(costs.sum())
    n_rest = len(known.columns.space) - n
    value = sure + n_rest * float(shares @ costs)
    if len(known.rows) < FEWEST or not n_rest:
        return Range(value, sure, float("inf"))
    rng = np.random.default_rng(seed)
    drawn = rng.gamma(np.maximum(shares * n, 1e-3), size=(_N_DRAWS, n))
    spread = widened(n_rest * (drawn @ costs / drawn.sum(axis=1)), n, sure)
    # What was ended might have gone on for ever.
    high = float("inf") if len(known.ended) else max(spread.high, value)
    return Range(value, min(spread.low, value), high)


def _middle(costs: Floats, shares: Floats) -> float:
    return quantiles(costs, shares)[0.5]
