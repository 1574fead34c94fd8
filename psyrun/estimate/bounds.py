"""Times of which only a lower bound is known, since the evaluation was ended."""

from __future__ import annotations

import numpy as np

from psyrun.estimate.columns import Columns
from psyrun.estimate.evaluated import Evaluated
from psyrun.estimate.surrogate import Surrogate
from psyrun.pspace.columns import Indices

_USUAL_NOISE = 0.15  # of times, relative
_N_ROUNDS = 2
_N_DRAWS = 128
MOST_PILOTS = 200
"""To how many pilots a model is fitted; more take long and help little."""


def fewer(n: int, most: int = MOST_PILOTS) -> Indices:
    """Return which of n pilots a model is fitted to."""
    if n <= most:
        return np.arange(n)
    rng = np.random.default_rng(n)
    # Without numbering all of them.
    return np.sort(rng.choice(n, most, replace=False, shuffle=False))


def fitted_times(
    columns: Columns, evaluated: Evaluated, seed: int = 0, most: int = MOST_PILOTS
) -> Surrogate:
    """Fit the model to times, of which some are only known to be larger.

    These are replaced by what the model makes of them, given that they are larger, and
    the model is fitted again [1]_. Those that it predicts to be larger anyway change
    nothing. Of other failures nothing is used.

    Parameters
    ----------
    columns : Columns
        Of the space.
    evaluated : Evaluated
        Rows; at least one succeeded.
    seed : int
        Seed of the samples.
    most : int
        To how many rows that succeeded it is fitted.

    References
    ----------
    .. [1] J. Schmee, G. J. Hahn, "A simple method for regression analysis with censored
       data", Technometrics 21 (1979), 417-432.
    """
    ok = evaluated.succeeded
    ok = ok.take(fewer(len(ok), most))
    seconds = np.maximum(ok.seconds, 1e-6)
    fit = Surrogate.fit(columns, columns.points(ok.rows), seconds, _USUAL_NOISE)
    ended = evaluated.timed_out
    if not len(ended):
        return fit
    rows, points = np.append(ok.rows, ended.rows), columns.points(ended.rows)
    bounds = np.log(np.maximum(ended.seconds, 1e-6))[:, None]
    for _ in range(_N_ROUNDS):
        rng = np.random.default_rng(seed)
        logs = np.log(fit.draws(points, _N_DRAWS, rng).noisy(rng))
        # At least a bit above the bound, where no sample is.
        larger = np.where(logs > bounds, logs, np.nan)
        filled = np.column_stack([bounds + _USUAL_NOISE, larger])
        guessed = np.append(seconds, np.exp(np.nanmean(filled, axis=1)))
        fit = Surrogate.fit(columns, columns.points(rows), guessed, _USUAL_NOISE)
    return fit
