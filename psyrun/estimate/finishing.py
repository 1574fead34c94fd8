"""How long jobs still need, from what their assignments are predicted to take."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from psyrun.estimate.answers import Prediction
from psyrun.estimate.columns import Floats
from psyrun.estimate.evaluated import Evaluated
from psyrun.pspace.columns import Indices
from psyrun.utils.ranges import Range

_N_DRAWS = 200
_FEWEST_DRAWS = 20
_MOST_STEPS = 200_000  # of blocks times samples, which are walked through one by one
_N_COMPARED = 1000  # known assignments that the noise is taken from
_LEAST_NOISE = 0.02  # of times, relative
_TO_DEVIATIONS = 1.645  # standard deviations from the middle to the ends of 90 %
_OVERDUE = 0.1  # of the time that something has taken, which is added if it is late


@dataclass(frozen=True)
class OpenBlock:
    """What a job has to do, or still has.

    Attributes
    ----------
    waiting : ndarray of int64, shape (n,)
        Assignments that nobody has begun with, as indices in the space.
    begun : ndarray of int64, shape (m,)
        Assignments that are evaluated now.
    elapsed : ndarray of float64, shape (m,)
        For how many seconds already.
    n_workers : int
        How many are evaluated at once.
    is_running : bool
        Whether the job has begun.
    """

    waiting: Indices
    begun: Indices
    elapsed: Floats
    n_workers: int = 1
    is_running: bool = False


@dataclass(frozen=True)
class OpenWork:
    """What is left to do, and who does it.

    Attributes
    ----------
    blocks : sequence of OpenBlock
        The jobs that have not ended, in the order in which they begin. Those whose
        work is fetched by whoever is idle are one block.
    n_at_once : int
        How many jobs run at once, as far as is known; 0 if none has begun.
    most_at_once : int
        How many may at most, if all that wait in a queue were started now.
    starts : tuple of float
        When more of them start, in seconds from now, as far as their queue says it.
    efficiency : float
        The part of their time that workers spend with evaluations.
    """

    blocks: Sequence[OpenBlock]
    n_at_once: int
    most_at_once: int = 0
    starts: tuple[float, ...] = field(default=())
    efficiency: float = 1.0

    @property
    def n_running(self) -> int:
        """Number of jobs that have begun."""
        return sum(block.is_running for block in self.blocks)


def seconds_left(
    work: OpenWork, prediction: Prediction, evaluated: Evaluated, seed: int = 0
) -> Range | None:
    """Return in how many seconds all is evaluated.

    Parameters
    ----------
    work : OpenWork
        What is left.
    prediction : Prediction
        Of the times of the assignments of the space.
    evaluated : Evaluated
        From which it was predicted.
    seed : int
        Seed of the samples.

    Returns
    -------
    Range or None
        Of 90 % probability; `high` is infinite where the prediction does not say it.
        None if nothing is left, or no job has begun and it is not known when one will.

    Notes
    -----
    Times are sampled with the uncertainty of the predicted total, which all of them
    have in common, and with the noise of each. Jobs that wait are given to whichever
    place becomes free first, in their order. The lower end is that of all jobs which
    wait in a queue starting now.
    """
    if not work.blocks or not (work.n_at_once or work.starts):
        return None
    rng = np.random.default_rng(seed)
    n = max(_FEWEST_DRAWS, min(_N_DRAWS, _MOST_STEPS // max(1, len(work.blocks))))
    scales = _scales(prediction, evaluated, n, rng)
    noise = _noise(prediction, evaluated)
    lengths = _lengths(work.blocks, prediction, noise, scales, rng) / work.efficiency
    ends = _ends(work, lengths, work.n_at_once)
    low, value, high = np.quantile(ends, [0.05, 0.5, 0.95]).tolist()
    if work.most_at_once > max(work.n_at_once, work.n_running):
        at_best = _ends(work, lengths, work.most_at_once)
        low = min(low, float(np.quantile(at_best, 0.05)))
    is_open = not np.isfinite(prediction.total.high)
    return Range(value, low, float("inf") if is_open else high)


def _scales(
    prediction: Prediction, evaluated: Evaluated, n: int, rng: np.random.Generator
) -> Floats:
    """Return samples of the factor by which all that is left may take longer."""
    total, sure = prediction.total, float(evaluated.succeeded.seconds.sum())
    value, low = total.value - sure, max(total.low - sure, 0.0)
    if not value > 0:
        return np.ones(n)
    up = np.log((total.high - sure) / value) if np.isfinite(total.high) else 0.0
    # A lower end of nothing would make the deviation infinite.
    down = np.log(value / max(low, value / 100))
    away = rng.standard_normal(n)
    spread = np.where(away > 0, max(0.0, float(up)), max(0.0, float(down)))
    return np.asarray(np.exp(away * spread / _TO_DEVIATIONS))


def _noise(prediction: Prediction, evaluated: Evaluated) -> float:
    """Return the standard deviation of times around predicted ones, relative."""
    known = evaluated.succeeded
    some = np.linspace(0, len(known) - 1, min(len(known), _N_COMPARED))
    known = known.take(some.astype(np.int64))
    ratios = known.seconds / np.maximum(prediction.means(known.rows), 1e-9)
    mean = float(ratios.mean())
    return max(_LEAST_NOISE, float(ratios.std()) / mean if mean > 0 else 0.0)


def _lengths(
    blocks: Sequence[OpenBlock],
    prediction: Prediction,
    noise: float,
    scales: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Return samples of how long each job still needs, shape (blocks, draws)."""
    found = np.empty((len(blocks), len(scales)))
    waiting = _predicted([block.waiting for block in blocks], prediction)
    begun = _predicted([block.begun for block in blocks], prediction)
    for place, block in enumerate(blocks):
        factors = _factors(noise, (len(begun[place]), len(scales)), rng)
        times = begun[place][:, None] * scales * factors
        found[place] = _shared(
            _sums(waiting[place], noise, scales, rng),
            waiting[place],
            _rest(times, block.elapsed[:, None]),
            block.n_workers,
            scales,
        )
    return found


def _predicted(rows: Sequence[Indices], prediction: Prediction) -> list[Floats]:
    """Return the mean times of groups of assignments."""
    ends = np.cumsum([len(each) for each in rows])
    return np.split(prediction.means(np.concatenate(rows)), ends[:-1])


def _sums(
    means: Floats, noise: float, scales: Floats, rng: np.random.Generator
) -> Floats:
    """Return samples of the sum of times, shape (draws,)."""
    total = float(means.sum())
    if not total > 0:
        return np.zeros(len(scales))
    relative = noise * float(np.sqrt((means**2).sum())) / total
    return np.asarray(total * scales * _factors(relative, (len(scales),), rng))


def _factors(
    relative: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Floats:
    """Return samples around 1 of a log-normal distribution with some deviation."""
    spread = np.sqrt(np.log1p(relative**2))
    return np.asarray(np.exp(spread * rng.standard_normal(shape) - spread**2 / 2))


def _rest(times: Floats, elapsed: Floats) -> Floats:
    """Return how long assignments go on that were begun some time ago.

    One that takes longer than sampled goes on for a bit.
    """
    late = _OVERDUE * np.broadcast_to(elapsed, times.shape)
    return np.where(times > elapsed, times - elapsed, late)


def _shared(
    rest: Floats, waiting: Floats, begun: Floats, n_workers: int, scales: Floats
) -> Floats:
    """Return how long the workers of a job need for what they share, shape (draws,).

    When nothing is left to begin with, each is halfway through an assignment on
    average.
    """
    n = max(1, min(n_workers, len(waiting) + len(begun)))
    found = (rest + begun.sum(axis=0)) / n
    if len(begun):
        found = np.maximum(found, begun.max(axis=0))
    if n > 1 and len(waiting):
        found = found + (1 - 1 / n) * float(waiting.mean()) * scales / 2
        found = np.maximum(found, float(waiting.max()) * scales)
    return np.asarray(found)


def _ends(work: OpenWork, lengths: Floats, n_at_once: int) -> Floats:
    """Return samples of when the last job ends, in seconds from now."""
    is_running = np.array([block.is_running for block in work.blocks], dtype=np.bool_)
    running, waiting = lengths[is_running], lengths[~is_running]
    ends = running.max(axis=0, initial=0.0)
    if not len(waiting):
        return np.asarray(ends)
    free = [0.0] * max(0, n_at_once - len(running)) + list(work.starts)
    for draw in range(lengths.shape[1]):
        places = [*running[:, draw].tolist(), *free]
        heapq.heapify(places)
        for length in waiting[:, draw].tolist():
            end = places[0] + length
            heapq.heapreplace(places, end)
            ends[draw] = max(ends[draw], end)
    return np.asarray(ends)
