"""How long jobs, and whole runs, take by what is predicted of assignments."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from psyrun.estimate import Estimate, Range
from psyrun.estimate.blocks import shared_blocks
from psyrun.estimate.columns import Floats
from psyrun.estimate.evaluated import listed_or_spread_rows
from psyrun.planning.proposals.answers import WallTime
from psyrun.planning.proposals.situation import Situation
from psyrun.pspace.columns import Indices
from psyrun.pspace.order import order_of

_MOST_CUT = 2000  # blocks that are made equally long; of more the sizes are equal
_MOST_FOLLOWED = 2**14  # jobs that are followed one by one, where they take turns
_UNBOUNDED = float("inf")


class _Blocks(NamedTuple):
    """Of each block the sum of its times, the longest of them, and their number."""

    sums: Floats
    tops: Floats
    counts: Floats

    def most(self, longest: float) -> Floats:
        """Return what they take at most if no assignment takes longer."""
        return np.maximum(1.0, self.counts) * longest


@dataclass(frozen=True)
class Work:
    """What is to be evaluated, in the order of evaluation.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Assignments; of many, some that are spread evenly.
    times : ndarray of float64, shape (n,)
        Seconds that they take on average.
    n : int
        How many assignments there are in all.
    low, high : float
        Ends of the interval of the sum, as factors.
    longest : Range
        Seconds of the longest one.
    noise : float
        Standard deviation of the time of one assignment, relative to its mean.
    """

    rows: Indices
    times: Floats
    n: int
    low: float
    high: float
    longest: Range
    noise: float

    @classmethod
    def of(cls, estimate: Estimate, situation: Situation) -> Work:
        """Return what is to be evaluated.

        The estimate is that of all assignments, and so is its interval; that of those
        that are left is taken to be as wide, relative to its middle.
        """
        rows = in_order(situation)
        times = estimate.time.means(rows)
        if situation.timeout is not None:
            times = np.minimum(times, situation.timeout)
        total, spent = estimate.time.total, situation.spent
        rest = max(0.0, total.value - spent)
        low, high = 1.0, 1.0
        if rest > 0:
            low = min(1.0, max(0.0, total.low - spent) / rest)
            high = max(1.0, (total.high - spent) / rest)
        return cls(
            rows=rows,
            times=times,
            n=situation.n_left,
            low=low,
            high=high,
            longest=_longest(estimate, situation, times),
            noise=float(np.sqrt(max(0.0, estimate.time.smearing**2 - 1))),
        )

    @property
    def weight(self) -> float:
        """How many assignments each of the times stands for."""
        return self.n / max(1, len(self.times))

    @property
    def seconds(self) -> Range:
        """The sum of all times."""
        total = float(self.times.sum()) * self.weight
        return Range(total, self.low * total, self.high * total)

    @property
    def mean(self) -> float:
        """Seconds of an assignment on average."""
        return float(self.times.mean()) if len(self.times) else 0.0

    def wall_time(
        self, situation: Situation, n_jobs: int, pool_size: int, cores: int | None
    ) -> tuple[Range, Range]:
        """Return seconds of a whole run, and of its longest job.

        Jobs have equal predicted times, as far as assignments allow and the task does
        not say otherwise, and the longest are started first. On this machine, `cores`
        are busy at once; None is for a queue, where all jobs begin together.
        """
        blocks = self._blocks(situation, n_jobs)
        if not len(blocks.sums):
            return Range(0.0, 0.0, 0.0), Range(0.0, 0.0, 0.0)
        n = len(blocks.sums)
        at_once = n if cores is None else max(1, cores // pool_size)
        # More workers than cores take turns.
        n_busy = pool_size if cores is None else min(pool_size, cores)
        found = []
        for factor, longest, by_chance in (
            (1.0, 0.0, 0.0),
            (self.low, self.longest.low, 0.0),
            (self.high, self.longest.high, self._surplus(n)),
        ):
            tops = blocks.tops * min(1.0, factor)
            jobs = np.maximum(factor * blocks.sums / n_busy, tops)
            noisy = np.minimum(jobs * (1 + by_chance), blocks.most(self.longest.high))
            longest = max(longest, float(noisy.max())) + situation.overhead
            jobs = np.minimum(jobs, noisy) + situation.overhead
            found.append((max(longest, _makespan(jobs, at_once, n_jobs)), longest))
        (value, job), (low, job_low), (high, job_high) = found
        return (
            Range(value, min(low, value), max(high, value)),
            Range(job, min(job_low, job), max(job_high, job)),
        )

    def _blocks(self, situation: Situation, n_jobs: int) -> _Blocks:
        n = min(n_jobs, len(self.times))
        if n < 1:
            return _Blocks(np.empty(0), np.empty(0), np.empty(0))
        if situation.backend.fetches:
            # Each takes the next assignment when it is idle.
            sums, tops = np.full(n, self.seconds.value / n_jobs), np.zeros(n)
            tops[0] = self.times.max()
            return _Blocks(sums, tops, np.full(n, float(self.n)))
        if not situation.predict_times or n > _MOST_CUT:
            starts = np.arange(n + 1) * len(self.times) // n
            owners = np.arange(n)
        else:
            starts, owners, _ = shared_blocks(self.times, n)
        sums, tops = np.zeros(n), np.zeros(n)
        pieces = np.add.reduceat(self.times, starts[:-1])
        np.add.at(sums, owners, pieces * self.weight)
        np.maximum.at(tops, owners, np.maximum.reduceat(self.times, starts[:-1]))
        counts = np.zeros(n)
        np.add.at(counts, owners, np.diff(starts) * self.weight)
        if n_jobs > n:
            # Each stands for as many jobs as there are assignments for each.
            sums, counts = sums * (n / n_jobs), counts * (n / n_jobs)
        return _Blocks(np.maximum(sums, tops), tops, counts)

    def _surplus(self, n_jobs: int) -> float:
        """Return how much longer than predicted the longest of n jobs is, by chance.

        That is the usual largest of so many normal numbers.
        """
        share = self.times / self.times.sum() if self.times.sum() > 0 else self.times
        spread = self.noise * float(np.sqrt((share**2).sum() * n_jobs / self.weight))
        return spread * float(np.sqrt(2 * np.log(n_jobs + 1)))


def in_order(situation: Situation) -> Indices:
    """Return assignments that are left in the order of evaluation; of many, some."""
    order = order_of(situation.space, situation.order)
    if situation.left is not None:
        rows = situation.left[listed_or_spread_rows(len(situation.left))]
        return rows if order is None else rows[np.argsort(order.times(rows))]
    times = listed_or_spread_rows(len(situation.space) if situation.n_left else 0)
    return times if order is None else order.points(times)


def _longest(estimate: Estimate, situation: Situation, times: Floats) -> Range:
    """Return what the longest of the assignments that are left takes."""
    largest = estimate.time.largest
    cost = largest.cost
    if not len(times):
        return Range(0.0, 0.0, 0.0)
    if situation.left is not None and largest.index not in situation.left:
        top = float(times.max())
        ends = (cost.low / cost.value, cost.high / cost.value)
        cost = Range(top, top * ends[0], top * ends[1])
    most = _UNBOUNDED if situation.timeout is None else situation.timeout
    return Range(*(min(each, most) for each in (cost.value, cost.low, cost.high)))


def _makespan(jobs: Floats, at_once: int, n_jobs: int) -> float:
    """Return when the last of n jobs ends, if the longest are started first.

    `jobs` has what each takes, or what some of very many do.
    """
    if at_once >= len(jobs):
        return float(jobs.max())
    if len(jobs) > _MOST_FOLLOWED:
        # Jobs as small as that fill every gap.
        even = float(jobs.mean()) * max(n_jobs, len(jobs)) / at_once
        return max(even, float(jobs.max()))
    ends = [0.0] * at_once
    for seconds in np.sort(jobs)[::-1].tolist():
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def walls(
    work: Work, situation: Situation, also: tuple[int, ...] = ()
) -> tuple[WallTime, ...]:
    """Return how long the run takes as it is set, and otherwise.

    In a queue, `max_jobs` varies, and is also what is in `also`; on this machine the
    cores do.
    """
    s = situation
    now = s.n_jobs(s.max_jobs, s.min_items)
    if s.cores is None:
        others = {s.n_jobs(n, s.min_items) for n in (1, 10, 100, 1000, *also)}
        choices = [(n, None) for n in sorted({*others, now} - {0})]
    else:
        most = max(s.limits.cores or 1, s.cores)
        powers = {2**i for i in range(most.bit_length())}
        counts = sorted({*powers, s.cores, most})
        choices = [(now, n) for n in counts if n >= s.pool_size or n == s.cores]
    found = []
    for n_jobs, cores in choices:
        wall, job = work.wall_time(s, n_jobs, s.pool_size, cores)
        used = n_jobs * s.n_cpus if cores is None else cores
        is_current = n_jobs == now and cores == s.cores
        found.append(WallTime(n_jobs, used, wall, job, is_current))
    return tuple(found)
