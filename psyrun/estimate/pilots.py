"""Which assignments are evaluated beforehand, to predict the costs of all."""

from __future__ import annotations

import numpy as np

from psyrun.estimate.answers import Prediction
from psyrun.estimate.bounds import fitted_times
from psyrun.estimate.columns import Columns, Floats, Points
from psyrun.estimate.evaluated import Evaluated, spread_rows
from psyrun.pspace.columns import Indices
from psyrun.pspace.order import order_of
from psyrun.pspace.space import ParameterSpace

_N_CANDIDATES = 1024
_N_DRAWS = 128
_FEWEST = 6  # pilots that are placed without a model


def first_pilots(space: ParameterSpace, n: int) -> Indices:
    """Return the first assignments to be evaluated, in this order.

    They are the head of the even order, in which points are replaced by others so
    that each level of text and both ends of each axis of numbers occur, as far as
    their number allows.

    Parameters
    ----------
    space : ParameterSpace
        The space of the task; neither its size nor its kind matters.
    n : int
        How many there are to be, at most.

    Returns
    -------
    ndarray of int64, shape (at most n,)
        Different indices of points.
    """
    n = min(n, len(space))
    order = order_of(space, "even")
    assert order is not None
    pool = order.points(np.arange(min(len(space), max(_N_CANDIDATES, 4 * n))))
    points = Columns(space).points(pool)
    return pool[_covering(_marks(points), n)]


def next_pilots(
    space: ParameterSpace, evaluated: Evaluated, n: int, seed: int = 0
) -> Indices:
    """Return the assignments from which the model would learn most about the total.

    The first ones are those of `first_pilots`. Then it is the point that is correlated
    most with the total in samples of what both may be, taking its noise and the points
    chosen before into account; each third comes from the even order, since a model does
    not see what it cannot describe.

    Parameters
    ----------
    space : ParameterSpace
        The space of the task.
    evaluated : Evaluated
        The rows that there are, failed ones included.
    n : int
        How many are wanted.
    seed : int
        Seed of the samples.

    Returns
    -------
    ndarray of int64, shape (at most n,)
        Different indices of points that were not evaluated.
    """
    done = set(evaluated.rows.tolist())
    ok = evaluated.succeeded
    n = min(n, len(space) - len(done))
    if n == 0:
        return np.empty(0, np.int64)
    if len(done) < _FEWEST or len(ok.rows) < 3:
        wanted = first_pilots(space, min(len(space), len(done) + n + _FEWEST))
        return _others(wanted, done)[:n]
    even = _others(first_pilots(space, len(done) + n), done)
    pool = _others(spread_rows(len(space), _N_CANDIDATES, seed), done)
    columns = Columns(space)
    surrogate = fitted_times(columns, evaluated, seed)
    rng = np.random.default_rng(seed)
    draws = surrogate.draws(columns.points(pool), _N_DRAWS, rng)
    best = pool[_most_telling(draws.logs, draws.means(), draws.noises, n)]
    mixed: dict[int, None] = {}
    sources = iter(best.tolist()), iter(even.tolist())
    for place in range(3 * n):
        row = next(sources[place % 3 == 2], None)
        if row is not None:
            mixed[row] = None
    return np.array([*mixed, *even.tolist()], np.int64)[:n]


def affordable(rows: Indices, time: Prediction, seconds: float) -> Indices:
    """Return as many of some assignments as are predicted to fit into a budget.

    Parameters
    ----------
    rows : ndarray of int64, shape (n,)
        Indices of assignments, such as those of `next_pilots`.
    time : Prediction
        What is known of times.
    seconds : float
        The budget: core-seconds that are left.

    Returns
    -------
    ndarray of int64, shape (at most n,)
        Those that fit, in the order given, without those that are too long.
    """
    left, found = seconds, list[int]()
    for row, needed in zip(rows.tolist(), time.means(rows).tolist(), strict=True):
        if needed <= left:
            found.append(row)
            left -= needed
    return np.array(found, np.int64)


def _others(rows: Indices, done: set[int]) -> Indices:
    return np.array([row for row in rows.tolist() if row not in done], np.int64)


def _marks(points: Points) -> list[frozenset[tuple[str, int, int]]]:
    """Return for each point which levels and which ends of axes it has."""
    low = np.nanmin(points.numbers, axis=0, initial=np.inf)
    high = np.nanmax(points.numbers, axis=0, initial=-np.inf)
    found = []
    for numbers, codes in zip(points.numbers, points.codes, strict=True):
        marks = {("level", i, int(code)) for i, code in enumerate(codes)}
        marks |= {("low", int(i), 0) for i in np.flatnonzero(numbers == low)}
        marks |= {("high", int(i), 0) for i in np.flatnonzero(numbers == high)}
        found.append(frozenset(marks))
    return found


def _covering(marks: list[frozenset[tuple[str, int, int]]], n: int) -> list[int]:
    """Return the places of n points that have as many marks as can be, in order."""
    chosen: list[int] = []
    left = set().union(*marks)
    # Half of the places at least are those of the order itself.
    head = list(range(min(n // 2, len(marks))))
    for place in head:
        left -= marks[place]
    rest = [place for place in range(len(marks)) if place >= len(head)]
    while left and len(chosen) < n - len(head):
        place = max(rest, key=lambda p: (len(marks[p] & left), -p))
        if not marks[place] & left:
            break
        chosen.append(place)
        left -= marks[place]
    known = {*head, *chosen}
    return [*head, *chosen, *(p for p in rest if p not in known)][:n]


def _most_telling(logs: Floats, means: Floats, noises: Floats, n: int) -> list[int]:
    """Return the points whose costs explain most of the spread of the total."""
    away = logs - logs.mean(axis=1, keepdims=True)
    total = np.log(means.sum(axis=0))
    total = total - total.mean()
    noise = float((noises**2).mean())
    found: list[int] = []
    for _ in range(min(n, len(logs))):
        spread = (away**2).mean(axis=1) + noise
        gain = (away @ total / len(total)) ** 2 / spread
        gain[found] = -1
        best = int(np.argmax(gain))
        found.append(best)
        weights = away[best] / spread[best] / len(total)
        # What remains when this one is known.
        total = total - (away[best] @ total) * weights
        away = away - (away @ away[best])[:, None] * weights
    return found
