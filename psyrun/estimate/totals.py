"""The costs of a whole space, predicted from some of its assignments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from psyrun.estimate.answers import (
    Estimate,
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
from psyrun.estimate.known import FEWEST, Known, quantiles, widened
from psyrun.estimate.nearest import by_pilots
from psyrun.estimate.surrogate import Surrogate
from psyrun.pspace.axes import grid_of
from psyrun.pspace.columns import Indices
from psyrun.pspace.space import ParameterSpace

_USUAL_NOISE_OF_MEMORY = 0.02
_CHUNK = 2**16
_N_SAMPLED, _N_TOP = 1024, 128
_N_DRAWS = 256
_LONGEST_AXIS = 4096  # places of it at which the largest cost is looked for


def estimate(
    space: ParameterSpace,
    evaluated: Evaluated,
    seed: int = 0,
    *,
    most: int = MOST_PILOTS,
    limit: float = float("inf"),
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
    limit : float
        Seconds after which evaluations are ended.

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
    time = _predicted(_times(columns, evaluated, seed, most, limit), seed)
    memory = None
    is_told = np.isfinite(ok.memory) & (ok.memory > 0)
    told = ok if is_told.all() else ok.take(is_told)
    if len(told):
        memory = _predicted(_peaks_of_memory(columns, told, most), seed)
    unseen = _unseen(columns, ok.rows)
    return Estimate(len(space), len(ok), found, time, memory, unseen)


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
    if len(ok) < FEWEST:
        return None
    columns = Columns(space)
    surrogate = fitted_times(columns, evaluated, seed)
    if Known(columns, ok.rows, ok.seconds, surrogate).misfit()[1]:
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


def _times(
    columns: Columns, evaluated: Evaluated, seed: int, most: int, limit: float
) -> Known:
    ok = evaluated.succeeded
    fit = None
    if len(ok) >= FEWEST:
        fit = fitted_times(columns, evaluated, seed, most)
    ended = evaluated.timed_out
    costs = np.maximum(ok.seconds, 1e-6)
    return Known(columns, ok.rows, costs, fit, ended.rows, ended.seconds, limit)


def _peaks_of_memory(columns: Columns, told: Evaluated, most: int) -> Known:
    fit = None
    if len(told) >= FEWEST:
        some = told.take(fewer(len(told), most))
        points = columns.points(some.rows)
        fit = Surrogate.fit(columns, points, some.memory, _USUAL_NOISE_OF_MEMORY)
    return Known(columns, told.rows, told.memory, fit)


def _predicted(known: Known, seed: int) -> Prediction:
    """Return the costs of the whole space."""
    error, reason = known.misfit()
    if known.is_whole:
        reason = ""
    if known.surrogate is None or reason:
        return by_pilots(known, error, reason, seed)
    return _by_model(known, known.surrogate, error, seed)


def _by_model(
    known: Known, surrogate: Surrogate, error: float, seed: int
) -> Prediction:
    columns, size = known.columns, len(known.columns.space)

    def unbounded(rows: Indices) -> Floats:
        return _medians(columns, surrogate, rows)

    rows = _listed_or_sampled(columns, unbounded, seed)
    predicted = unbounded(rows)
    is_rest = known.lack(rows)
    rest, n_rest = rows[is_rest], size - len(known.rows)
    rng = np.random.default_rng(seed)
    total, peak, smearing = known.exactly()
    if n_rest:
        totals = _totals(surrogate, rest, predicted[is_rest], n_rest, rng)
        peaks = _peaks(surrogate, rest, predicted[is_rest], rng)
        total = widened(totals, len(known.rows), total.value)
        peak = widened(peaks, len(known.rows), 0.0)
        if surrogate.is_blind():
            peak = replace(peak, high=float("inf"))
        smearing = float(np.median(totals) / (predicted[is_rest].mean() * n_rest))
    predicted *= smearing
    costs = known.bounded(rows, known.filled(rows, predicted))
    return Prediction(
        fits=True,
        reason="",
        error=error,
        total=known.total(total),
        largest=known.largest(int(rows[np.argmax(costs)]), peak),
        smallest=float(costs.min()),
        quantiles=quantiles(costs),
        smearing=smearing,
        _medians=lambda rows: known.bounded(rows, unbounded(rows), smearing),
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
