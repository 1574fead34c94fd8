"""The costs of a whole space, predicted from some of its assignments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from psyrun.estimate.answers import (
    Estimate,
    Extreme,
    Failure,
    NoEstimate,
    Prediction,
)
from psyrun.estimate.bounds import MOST_PILOTS, fewer, fitted_times
from psyrun.estimate.columns import Columns, Floats
from psyrun.estimate.evaluated import (
    OK,
    TIMED_OUT,
    Evaluated,
    listed_or_spread_rows,
    spread_rows,
)
from psyrun.estimate.nearest import nearest_shares
from psyrun.estimate.surrogate import Surrogate
from psyrun.pspace.axes import grid_of
from psyrun.pspace.columns import Indices
from psyrun.pspace.space import ParameterSpace
from psyrun.utils.ranges import Range

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_USUAL_NOISE = {"time": 0.15, "memory": 0.02}
_CHUNK = 2**16
_N_SAMPLED, _N_TOP = 1024, 128
_N_DRAWS = 256
_WIDENED, _OF_FEW = 1.2, 3.0  # spread of intervals, and what 1/n adds for n pilots
_FEWEST = 3  # pilots from which a model is fitted
_GOOD = 1.5  # factor of error of a model that fits in any case
_BETTER = 0.8  # error of one that fits, relative to that of the mean of the pilots
_LONGEST_AXIS = 4096  # places of it at which the largest cost is looked for


def estimate(
    space: ParameterSpace,
    evaluated: Evaluated,
    seed: int = 0,
    *,
    most: int = MOST_PILOTS,
) -> Estimate | NoEstimate:
    """Predict the costs of all assignments from those of some.

    Parameters
    ----------
    space : ParameterSpace
        Any space. Up to two millions of its points are all predicted; of larger ones a
        sample is.
    evaluated : Evaluated
        The assignments that were evaluated.
    seed : int
        Seed of the samples.
    most : int
        To how many of those that succeeded models are fitted.

    Returns
    -------
    Estimate or NoEstimate
        The latter if none of them succeeded.
    """
    found = tuple(_failures(space, evaluated))
    ok = evaluated.succeeded
    if not len(ok):
        return NoEstimate(len(space), found)
    columns = Columns(space)
    fit = None
    if len(ok) >= _FEWEST:
        fit = fitted_times(columns, evaluated, seed, most)
    time = _Known(columns, ok.rows, np.maximum(ok.seconds, 1e-6), fit)
    memory = None
    is_told = np.isfinite(ok.memory) & (ok.memory > 0)
    told = ok if is_told.all() else ok.take(is_told)
    if len(told):
        known = _Known(columns, told.rows, told.memory, None)
        memory = known.fitted(_USUAL_NOISE["memory"], most).predicted(seed)
    n_pilots, unseen = len(ok), _unseen(columns, ok.rows)
    return Estimate(len(space), n_pilots, found, time.predicted(seed), memory, unseen)


def predicted_times(
    space: ParameterSpace, evaluated: Evaluated, seed: int = 0
) -> Callable[[Indices], Floats] | None:
    """Return a function that predicts how long assignments take; None if none fits.

    That costs less than an `estimate`, as nothing is said of the total.

    Parameters
    ----------
    space : ParameterSpace
        Any space.
    evaluated : Evaluated
        The assignments that were evaluated.
    seed : int
        Seed of the samples.

    Returns
    -------
    callable or None
        Takes indices in the space, and returns the middles of their times in seconds,
        as `Prediction.medians` does.
    """
    ok = evaluated.succeeded
    if len(ok) < _FEWEST:
        return None
    columns = Columns(space)
    surrogate = fitted_times(columns, evaluated, seed)
    if _Known(columns, ok.rows, ok.seconds, surrogate).misfit()[1]:
        return None
    return lambda rows: _medians(columns, surrogate, rows)


def _medians(columns: Columns, surrogate: Surrogate, rows: Indices) -> Floats:
    return _in_chunks(lambda part: surrogate.predicted(columns.points(part)), rows)


def _unseen(columns: Columns, rows: Indices) -> dict[str, int]:
    """Return how many levels of each axis do not occur in some rows."""
    is_unseen = [np.ones(n, dtype=np.bool_) for n in columns.n_levels]
    for each in is_unseen:
        # That of what was not met when the axis was looked at.
        each[-1] = False
    for start in range(0, len(rows), _CHUNK):
        if not any(each.any() for each in is_unseen):
            break
        codes = columns.points(rows[start : start + _CHUNK]).codes
        for each, of_axis in zip(is_unseen, codes.T, strict=True):
            each[of_axis] = False
    counts = [int(each.sum()) for each in is_unseen]
    return {key: n for key, n in zip(columns.level_keys, counts, strict=True) if n}


def _failures(space: ParameterSpace, evaluated: Evaluated) -> Iterator[Failure]:
    failed = evaluated.take(evaluated.outcomes != OK)
    for row, seconds, outcome in zip(
        failed.rows.tolist(), failed.seconds.tolist(), failed.outcomes, strict=True
    ):
        yield Failure(row, space[row], seconds, outcome == TIMED_OUT)


@dataclass(frozen=True)
class _Known:
    """Assignments with known costs, and the model that is fitted to them, if any."""

    columns: Columns
    rows: Indices
    costs: Floats
    surrogate: Surrogate | None

    def fitted(self, usual_noise: float, most: int) -> _Known:
        if len(self.rows) < _FEWEST:
            return self
        some = fewer(len(self.rows), most)
        points, costs = self.columns.points(self.rows[some]), self.costs[some]
        surrogate = Surrogate.fit(self.columns, points, costs, usual_noise)
        return _Known(self.columns, self.rows, self.costs, surrogate)

    def predicted(self, seed: int) -> Prediction:
        """Return the costs of the whole space."""
        error, reason = self.misfit()
        if len(self.rows) == len(self.columns.space):
            reason = ""
        if self.surrogate is None or reason:
            return _by_pilots(self, error, reason, seed)
        return _by_model(self, self.surrogate, error, seed)

    def exactly(self) -> tuple[Range, Range, float]:
        """Return the total and the peak of what is known, and a factor of 1."""
        total, peak = float(self.costs.sum()), float(self.costs.max())
        return Range(total, total, total), Range(peak, peak, peak), 1.0

    def filled(self, rows: Indices, predicted: Floats) -> Floats:
        """Return costs of rows in ascending order, those that are known as they are."""
        at = np.minimum(np.searchsorted(rows, self.rows), len(rows) - 1)
        is_there = rows[at] == self.rows
        predicted[at[is_there]] = self.costs[is_there]
        return predicted

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


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _by_model(
    known: _Known, surrogate: Surrogate, error: float, seed: int
) -> Prediction:
    columns, size = known.columns, len(known.columns.space)

    def medians(rows: Indices) -> Floats:
        return _medians(columns, surrogate, rows)

    rows = _listed_or_sampled(columns, medians, seed)
    predicted = medians(rows)
    is_rest = ~np.isin(rows, known.rows)
    rest, n_rest = rows[is_rest], size - len(known.rows)
    rng = np.random.default_rng(seed)
    total, peak, smearing = known.exactly()
    if n_rest:
        totals = _totals(surrogate, rest, predicted[is_rest], n_rest, rng)
        peaks = _peaks(surrogate, rest, predicted[is_rest], rng)
        total = _widened(totals, len(known.rows), total.value)
        peak = _widened(peaks, len(known.rows), 0.0)
        if surrogate.is_blind():
            peak = replace(peak, high=float("inf"))
        smearing = float(np.median(totals) / (predicted[is_rest].mean() * n_rest))
    costs = known.filled(rows, predicted * smearing)
    return Prediction(
        fits=True,
        reason="",
        error=error,
        total=total,
        largest=_largest(known, int(rows[np.argmax(costs)]), peak),
        smallest=float(costs.min()),
        quantiles=_quantiles(costs, np.full(len(costs), 1 / len(costs))),
        smearing=smearing,
        _medians=medians,
    )


def _listed_or_sampled(
    columns: Columns, medians: Callable[[Indices], Floats], seed: int
) -> Indices:
    """Return all rows of a space; of a large one some, with the most expensive."""
    rows = listed_or_spread_rows(len(columns.space), seed)
    if len(rows) == len(columns.space):
        return rows
    top = _climbed(columns, medians, int(rows[np.argmax(medians(rows))]))
    at = int(np.searchsorted(rows, top))
    is_there = at < len(rows) and rows[at] == top
    return rows if is_there else np.insert(rows, at, top)


def _in_chunks(function: Callable[[Indices], Floats], rows: Indices) -> Floats:
    found = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = function(rows[part])
    return found


def _totals(
    surrogate: Surrogate,
    rows: Indices,
    predicted: Floats,
    n: int,
    rng: np.random.Generator,
) -> Floats:
    """Return samples of the sum over n assignments, of which `rows` are some or all.

    The model's own prediction of all corrects that of those that are looked at.
    """
    at = spread_rows(len(rows), _N_SAMPLED, int(rng.integers(2**32)))
    draws = surrogate.draws(surrogate.columns.points(rows[at]), _N_DRAWS, rng)
    means = draws.means()
    ratio = float(predicted.mean()) * n / float(predicted[at].sum())
    variance = ((means - draws.bases) ** 2).sum(axis=0) * ratio
    noise = np.sqrt(variance * np.expm1(draws.noises**2))
    totals = means.sum(axis=0) * ratio
    # A sum of positive numbers is no normal one if there are few.
    spread = np.sqrt(np.log1p((noise / totals) ** 2))
    away = spread * rng.standard_normal(len(totals)) - spread**2 / 2
    return np.asarray(totals * np.exp(away))


def _peaks(
    surrogate: Surrogate, rows: Indices, predicted: Floats, rng: np.random.Generator
) -> Floats:
    """Return samples of the largest cost of some assignments."""
    n_top = min(_N_TOP, len(rows))
    top = np.argpartition(predicted, -n_top)[-n_top:]
    others = spread_rows(len(rows), _N_SAMPLED // 2, int(rng.integers(2**32)))
    at = rows[np.union1d(top, others)]
    draws = surrogate.draws(surrogate.columns.points(at), _N_DRAWS, rng)
    return np.asarray(draws.noisy(rng).max(axis=0))


def _widened(samples: Floats, n: int, sure: float) -> Range:
    """Return the range of samples, wider the fewer pilots have chosen the model.

    What is `sure` is added.
    """
    logs = np.log(samples)
    low, middle, high = np.quantile(logs, [0.05, 0.5, 0.95])
    wider = _WIDENED + _OF_FEW / n
    ends = [middle + wider * (end - middle) for end in (middle, low, high)]
    return Range(*(sure + float(np.exp(end)) for end in ends))


def _largest(known: _Known, row: int, peak: Range) -> Extreme:
    """Return the most expensive assignment; none is below what is known."""
    least = float(known.costs.max())
    cost = Range(*(max(least, end) for end in (peak.value, peak.low, peak.high)))
    return Extreme(row, known.columns.space[row], cost)


def _climbed(columns: Columns, medians: Callable[[Indices], Floats], row: int) -> int:
    """Return the row of the largest cost along each axis, starting from one."""
    grid = grid_of(columns.space)
    for _ in range(2):
        for axis, size in enumerate(grid.shape):
            position = list(grid.position(row))
            places = np.unique(np.linspace(0, size - 1, min(size, _LONGEST_AXIS)))
            at = [np.full(len(places), place) for place in position]
            at[axis] = places.astype(np.int64)
            rows = grid.rows(np.ravel_multi_index(tuple(at), grid.shape))
            rows = np.append(rows[rows >= 0], row)
            row = int(rows[np.argmax(medians(rows))])
    return row


def _by_pilots(known: _Known, error: float, reason: str, seed: int) -> Prediction:
    """Return the costs of the pilots, each for the part of the space nearest to it."""
    size, n = len(known.columns.space), len(known.rows)
    shares = nearest_shares(known.columns, known.rows, seed)
    costs = known.costs
    mean = float(shares @ costs)
    total, peak, _ = known.exactly()
    if n < size:
        total = _shared_total(shares, costs, size - n, seed)
        # Whatever the pilots are, one of the others may cost more.
        peak = Range(peak.value, peak.low, float("inf"))
    row = int(known.rows[np.argmax(costs)])
    return Prediction(
        fits=not reason,
        reason=reason,
        error=error,
        total=total,
        largest=_largest(known, row, peak),
        smallest=float(costs.min()),
        quantiles=_quantiles(costs, shares),
        smearing=mean / _middle(costs, shares),
        _medians=lambda rows: np.full(len(rows), _middle(costs, shares)),
    )


def _shared_total(shares: Floats, costs: Floats, n_rest: int, seed: int) -> Range:
    """Return the sum of known costs and of others, by a Bayesian bootstrap [1]_.

    Shares of the pilots are drawn from a Dirichlet distribution around what they are.

    .. [1] D. B. Rubin, "The Bayesian bootstrap", Annals of Statistics 9 (1981),
       130-134.
    """
    n, sure = len(costs), float(costs.sum())
    value = sure + n_rest * float(shares @ costs)
    if n < _FEWEST:
        return Range(value, sure, float("inf"))
    rng = np.random.default_rng(seed)
    drawn = rng.gamma(np.maximum(shares * n, 1e-3), size=(_N_DRAWS, n))
    spread = _widened(n_rest * (drawn @ costs / drawn.sum(axis=1)), n, sure)
    return Range(value, min(spread.low, value), max(spread.high, value))


def _middle(costs: Floats, shares: Floats) -> float:
    return _quantiles(costs, shares)[0.5]


def _quantiles(costs: Floats, shares: Floats) -> dict[float, float]:
    if len(costs) and shares.min() == shares.max():
        found = np.quantile(costs, QUANTILES)
        return dict(zip(QUANTILES, found.tolist(), strict=True))
    order = np.argsort(costs)
    reached = np.cumsum(shares[order])
    places = np.minimum(np.searchsorted(reached, QUANTILES), len(costs) - 1)
    return dict(zip(QUANTILES, costs[order][places].tolist(), strict=True))
