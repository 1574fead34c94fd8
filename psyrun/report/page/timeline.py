"""When each machine and each worker was busy, in intervals of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.pspace.columns import Indices
from psyrun.store.costs import Costs

N_INTERVALS = 240
"""About how many there are."""
_LONGEST_GAP = 0.1  # of the time that is shown: what is longer is left out
_SHORTEST_GAP = 60.0  # seconds
_MOST_GAPS = 9
_MOST_WORKERS = 64  # that are lanes of their own; for more, machines are
_MOST_MACHINES = 100
_FEWEST_FOR_RATE, _MOST_FOR_RATE = 5, 200  # evaluations
_ROUNDED = 2.0**-22  # of a duration, which has 24 bits
_CLOCK = 1e-5  # seconds by which clocks of one machine may differ
_SHORTEST = 1e-6  # seconds that are more than the last bit of a time since the epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lane:
    """A worker, or all workers of some machines.

    Attributes
    ----------
    machine : str
        Name of the machine; empty if it is not known.
    worker : int
        Number of the worker on this machine, from 1; 0 if all are meant.
    n_workers : int
        How many there are, at least.
    n_rows, n_failed : int
        Rows that they evaluated, and evaluations that failed.
    seconds, failed_seconds : float
        How long they were busy, all together, and with those that failed.
    busy, failed : ndarray of float64, shape (n_intervals,)
        Which share of each interval they were busy, from 0 to 1, on average, and with
        those that failed.
    """

    machine: str
    worker: int
    n_workers: int
    n_rows: int
    n_failed: int
    seconds: float
    failed_seconds: float
    busy: Floats
    failed: Floats


@dataclass(frozen=True)
class Timeline:
    """When rows were evaluated, and assignments that failed.

    Attributes
    ----------
    begins : ndarray of float64, shape (n_intervals,)
        Begins of intervals, in seconds since the epoch. Where the next one begins later
        than this one ends, there was a long time without evaluations.
    step : float
        Length of an interval, in seconds.
    lanes : list of Lane
        The workers, machine by machine; or machines, if there are many workers.
    n_unknown, n_failed_unknown : int
        Rows of which the time is not known, and assignments that failed.
    n_hidden : int
        Machines that are left out: those that were busy for the shortest time.
    newest : ndarray of float64, shape (n_newest,)
        When the last evaluations ended since there was a long time without any,
        ascending, in seconds since the epoch.
    """

    begins: Floats
    step: float
    lanes: list[Lane]
    newest: Floats
    n_unknown: int = 0
    n_failed_unknown: int = 0
    n_hidden: int = 0

    def rate(self, now: float) -> float | None:
        """Return how many evaluations a second have ended of late; None if few have.

        Parameters
        ----------
        now : float
            The present, in seconds since the epoch.
        """
        if len(self.newest) < _FEWEST_FOR_RATE or now <= self.newest[0]:
            return None
        return float((len(self.newest) - 1) / (now - self.newest[0]))


def timeline_of(costs: Costs, failed: Costs | None = None) -> Timeline | None:
    """Return when the rows with some costs were evaluated; None if that is not known.

    Rows do not say which worker made them. Those of one machine at the same time are of
    different ones, and who has ended a row last begins the next: in this way, there are
    as few workers as can be. Assignments that `failed` were evaluated like the others.
    """
    n_rows = len(costs)
    if failed is not None and len(failed):
        costs = Costs.joined([costs, failed])
    starts, lengths = costs.columns["start"], costs.columns["duration"].astype(float)
    known = np.flatnonzero(np.isfinite(starts) & (starts > 0) & (lengths >= 0))
    if not len(known):
        return None
    order = known[np.argsort(starts[known], kind="stable")]
    rows = _Rows(
        starts[order],
        np.maximum(starts[order] + lengths[order], starts[order] + _SHORTEST),
        costs.columns["host"][order].astype(np.int64),
        order >= n_rows,
    )
    begins, step = _intervals(rows)
    workers = np.zeros(len(order), np.int64)
    for machine in np.unique(rows.machines):
        own = np.flatnonzero(rows.machines == machine)
        workers[own] = _workers(rows.starts[own], rows.ends[own])
    lanes, n_hidden = _lanes(rows, workers, costs.hosts, begins, step)
    n_failed = int(rows.failed.sum())
    return Timeline(
        begins,
        step,
        lanes,
        newest=_newest(rows, begins, step),
        n_unknown=n_rows - (len(known) - n_failed),
        n_failed_unknown=len(starts) - n_rows - n_failed,
        n_hidden=n_hidden,
    )


@dataclass(frozen=True)
class _Rows:
    """Rows in the order of their starts, with what failed among them."""

    starts: Floats
    ends: Floats
    machines: Indices
    failed: NDArray[np.bool_]

    def take(self, which: NDArray[np.bool_]) -> _Rows:
        """Return some of them."""
        return _Rows(
            self.starts[which],
            self.ends[which],
            self.machines[which],
            self.failed[which],
        )


def _intervals(rows: _Rows) -> tuple[Floats, float]:
    """Return the begins of intervals without long gaps, and their length."""
    ends = np.maximum.accumulate(rows.ends)
    gaps = np.maximum(rows.starts[1:] - ends[:-1], 0.0)
    length = ends[-1] - rows.starts[0]
    cuts = []
    for place in np.argsort(-gaps, kind="stable")[:_MOST_GAPS]:
        if gaps[place] <= max(_SHORTEST_GAP, _LONGEST_GAP * (length - gaps[place])):
            break
        cuts.append(int(place))
        length -= gaps[place]
    step = max(length / N_INTERVALS, _CLOCK)
    firsts = [0, *(place + 1 for place in sorted(cuts))]
    lasts = [*sorted(cuts), len(ends) - 1]
    begins = [
        rows.starts[first]
        + step * np.arange(max(1, _number(ends[last] - rows.starts[first], step)))
        for first, last in zip(firsts, lasts, strict=True)
    ]
    return np.concatenate(begins), float(step)


def _newest(rows: _Rows, begins: Floats, step: float) -> Floats:
    """Return the ends of the last evaluations after the last gap."""
    (gaps,) = np.nonzero(np.diff(begins) > 1.5 * step)
    since = begins[gaps[-1] + 1] if len(gaps) else begins[0]
    ends = np.sort(rows.ends[rows.starts >= since])
    newest: Floats = ends[-_MOST_FOR_RATE:]
    return newest


def _number(length: float, step: float) -> int:
    # What is a hair longer needs no interval of its own.
    return int(np.ceil(length / step - 1e-6))


def _workers(starts: Floats, ends: Floats) -> Indices:
    """Return the worker of each row of a machine, from 0; starts ascend."""
    lengths = ends - starts
    ends = np.maximum(ends - lengths * _ROUNDED - _CLOCK, starts + _SHORTEST / 2)
    ending = np.argsort(ends, kind="stable").tolist()
    end_times, start_times = ends[ending].tolist(), starts.tolist()
    found = [0] * len(start_times)
    free: list[int] = []
    n_workers = n_ended = 0
    for row, start in enumerate(start_times):
        while end_times[n_ended] <= start:
            free.append(found[ending[n_ended]])
            n_ended += 1
        if free:
            found[row] = free.pop()
        else:
            found[row] = n_workers
            n_workers += 1
    return np.array(found, np.int64)


def _lanes(
    rows: _Rows, workers: Indices, names: Sequence[str], begins: Floats, step: float
) -> tuple[list[Lane], int]:
    """Return the lanes of workers, or of machines, and how many are left out."""
    pairs = rows.machines * (workers.max() + 1) + workers
    different, first, lane_of = np.unique(pairs, return_index=True, return_inverse=True)
    machines = rows.machines[first]
    are_workers = len(different) <= _MOST_WORKERS
    n_workers = np.bincount(machines)
    if not are_workers:
        machines, lane_of = np.unique(rows.machines, return_inverse=True)
    n_lanes = len(machines)
    of_all = _BusyLanes.of(rows, lane_of, n_lanes, begins, step)
    which = rows.failed
    of_failed = _BusyLanes.of(rows.take(which), lane_of[which], n_lanes, begins, step)
    found = []
    for lane, machine in enumerate(machines.tolist()):
        n, name = (1 if are_workers else int(n_workers[machine])), names[machine]
        n_failed = int(of_failed.n[lane])
        found.append(
            Lane(
                machine=name,
                worker=int(workers[first[lane]]) + 1 if are_workers else 0,
                n_workers=n,
                n_rows=int(of_all.n[lane]) - n_failed,
                n_failed=n_failed,
                seconds=float(of_all.seconds[lane]),
                failed_seconds=float(of_failed.seconds[lane]),
                busy=of_all.shares(lane, n * step),
                failed=of_failed.shares(lane, n * step),
            )
        )
    shown = sorted(found, key=lambda lane: -lane.seconds)[:_MOST_MACHINES]
    kept = found if are_workers else [lane for lane in found if lane in shown]
    return kept, len(found) - len(kept)


@dataclass(frozen=True)
class _BusyLanes:
    """How many evaluations each lane had, how long they took, and when that was.

    Numbers of evaluations and seconds have the shape (n_lanes,), seconds within each
    interval (n_lanes, n_intervals).
    """

    n: Indices
    seconds: Floats
    within: Floats

    @classmethod
    def of(
        cls, rows: _Rows, lane_of: Indices, n_lanes: int, begins: Floats, step: float
    ) -> _BusyLanes:
        return cls(
            np.bincount(lane_of, minlength=n_lanes),
            np.bincount(lane_of, rows.ends - rows.starts, n_lanes).astype(np.float64),
            _busy_seconds(rows, lane_of, n_lanes, begins, step),
        )

    def shares(self, lane: int, seconds: float) -> Floats:
        """Return which share of the seconds of an interval a lane was busy."""
        found: Floats = np.clip(self.within[lane] / seconds, 0.0, 1.0)
        return found


def _busy_seconds(
    rows: _Rows, lane_of: Indices, n_lanes: int, begins: Floats, step: float
) -> Floats:
    """Return how long each lane was busy in each interval, shape (n_lanes, n)."""
    n = len(begins)
    first = np.maximum(np.searchsorted(begins, rows.starts, "right") - 1, 0)
    last = np.maximum(np.searchsorted(begins, rows.ends, "right") - 1, first)
    found = np.zeros(n_lanes * n)
    is_one = first == last

    def add(which: NDArray[np.bool_], interval: Indices, seconds: Floats) -> None:
        cells = lane_of[which] * n + interval[which]
        found[:] += np.bincount(cells, seconds[which], len(found))

    add(is_one, first, rows.ends - rows.starts)
    add(~is_one, first, begins[first] + step - rows.starts)
    add(~is_one, last, rows.ends - begins[last])
    # Whole intervals between them, by where they begin and end.
    changes = np.zeros((n_lanes, n + 1))
    np.add.at(changes, (lane_of[~is_one], first[~is_one] + 1), step)
    np.add.at(changes, (lane_of[~is_one], last[~is_one]), -step)
    whole = np.cumsum(changes, axis=1)[:, :n]
    return found.reshape(n_lanes, n) + whole
