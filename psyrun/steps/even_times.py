"""Blocks that are predicted to take equally long, once some assignments have a row.

Where jobs fetch their work, they fetch first what is predicted to take longest. As long
as there are no such rows, the model of costs is not even imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psyrun.backend import equal_ranges
from psyrun.errors import one_line
from psyrun.steps.job import Job
from psyrun.steps.work_queue import CLAIM_FRACTION, shrinking_ranges
from psyrun.store.arrays import Indices
from psyrun.store.costs import Costs
from psyrun.utils.environment import cores_at_once
from psyrun.utils.process.basics import log_line
from psyrun.workdir.costs import costs_of_kept
from psyrun.workdir.division import Division
from psyrun.workdir.shares import Shares

if TYPE_CHECKING:
    from psyrun.estimate import Evaluated

Floats = NDArray[np.float64]

_FEWEST = 8  # rows from which times are predicted
_MOST = 64  # of them; more take long and help little
_WORTH = 20.0  # seconds of work that are left; to predict them takes some 0.1 s
_WORTH_RECORDING = 60.0  # seconds; to predict all that it may cost takes longer
_BETTER = 0.95  # of the time that equal parts would take
_BETTER_FETCHED = 0.99  # of the time that it would take to fetch in the order of space
_MOST_LISTED = 2**20  # assignments that are all predicted; of more a sample is
_N_OF_MANY = 2**18  # assignments in that sample
_FEWEST_OF_BLOCK = 16  # of these in each block
_MOST_SIMULATED = 4096  # blocks for which several numbers of workers are tried


def with_even_times(job: Job, division: Division) -> Division:
    """Return a division with blocks of equal predicted times.

    Or one with portions to be fetched, the slowest first. It is the same where nothing
    is predicted, or that would not help: the task does not want it, there are too few
    rows of this version, the work that is left is too little, the model does not fit,
    or equal parts, or the order of the space, are as good.
    """
    costs = _worthwhile_costs(job, division)
    if costs is None:
        return division
    try:
        return _divided(job, division, costs)
    except Exception as error:
        # Without a prediction, the run is only slower. Values of a space are the
        # user's, and reading them as numbers may raise anything.
        log_line(f"times are not predicted: {one_line(error)}")
        return division


def _worthwhile_costs(job: Job, division: Division) -> Costs | None:
    """Return the costs of kept rows, None if they are not to be predicted from."""
    plan, n_open = job.plan, len(division.open)
    if not job.task.predict_times or plan.is_of_pilots or division.kept is None:
        return None
    n_takers = _n_fetching(job, division) if plan.fetches else division.n_blocks
    if n_takers < 2 or n_open < n_takers:
        return None
    costs = costs_of_kept(job.round, job.store(plan.block_ext), division)
    if costs is None:
        return None
    seconds = costs.columns["duration"]
    seconds = seconds[np.isfinite(seconds)]
    if len(seconds) < _FEWEST or seconds.mean() * n_open < _WORTH:
        return None
    return costs


def _divided(job: Job, division: Division, costs: Costs) -> Division:
    from psyrun.workdir.evaluated import evaluated_before

    known = evaluated_before(division, costs, job.plan.names)
    if len(known) < _FEWEST:
        return division
    if known.seconds.mean() * len(division.open) >= _WORTH_RECORDING:
        _record(job, division, known)
    timeout = job.task.timeout or np.inf
    if job.plan.fetches:
        n_fetching = _n_fetching(job, division)
        return divided_evenly(division, known, timeout, n_fetching=n_fetching)
    n_at_once = cores_at_once() // job.plan.pool_size
    return divided_evenly(division, known, timeout, n_at_once=n_at_once)


def _n_fetching(job: Job, division: Division) -> int:
    """Return how many workers fetch, if they do."""
    return division.n_blocks * job.plan.pool_size


def divided_evenly(
    division: Division,
    known: Evaluated,
    timeout: float = np.inf,
    *,
    n_fetching: int = 0,
    n_at_once: int = 0,
) -> Division:
    """Return a division whose blocks are predicted to take equally long.

    Or one of which the slowest assignments are fetched first.

    Parameters
    ----------
    division : Division
        With blocks of equal size. It is returned if the model does not fit, or if these
        are as good, or the order of evaluation is where work is fetched.
    known : Evaluated
        Assignments of its space that were evaluated.
    timeout : float
        Seconds after which an evaluation is ended.
    n_fetching : int
        How many workers fetch their work; 0 where it is divided beforehand.
    n_at_once : int
        How many blocks are evaluated at once; 0 where that is not known.
    """
    from psyrun.estimate import predicted_times
    from psyrun.estimate.evaluated import spread_rows

    if len(known) > _MOST:
        known = known.take(spread_rows(len(known), _MOST, seed=0))
    times_of = predicted_times(division.space, known)
    if times_of is None:
        return division

    def limited(rows: Indices) -> Floats:
        return np.minimum(times_of(rows), timeout)

    predicted = _Predicted.of(division, limited)
    if n_fetching:
        return predicted.portioned(n_fetching)
    return predicted.divided(n_at_once)


def _record(job: Job, division: Division, known: Evaluated) -> None:
    """Keep what the round is predicted to cost, as nobody knows it any more later."""
    from psyrun.estimate import NoEstimate, estimate
    from psyrun.workdir.prediction import PredictionRecord

    last, names = PredictionRecord.load(job.layout), job.plan.names
    is_of_this = last is not None and last.n_assignments == len(division.space)
    if last is None or not is_of_this or last.fingerprint not in names:
        found = estimate(division.space, known, most=_MOST)
        if isinstance(found, NoEstimate):
            return
        last = PredictionRecord.of(found, job.plan.fingerprint)
    last.save_as_first(job.round)


@dataclass(frozen=True)
class _Predicted:
    """What open assignments are predicted to take, in the order of evaluation.

    Attributes
    ----------
    edges : ndarray of int64, shape (n + 1,)
        Positions of the first of each of n groups, and the number of all.
    times : ndarray of float64, shape (n,)
        What each group takes, in seconds.
    """

    division: Division
    edges: Indices
    times: Floats

    @classmethod
    def of(
        cls, division: Division, times_of: Callable[[Indices], Floats]
    ) -> _Predicted:
        """Predict the open assignments of a division.

        Of many, one stands for a group that follow one another.
        """
        from psyrun.estimate.evaluated import spread_rows

        n = len(division.open)
        if n <= _MOST_LISTED:
            return cls(division, np.arange(n + 1), times_of(division.at(np.arange(n))))
        n_groups = min(n, max(_N_OF_MANY, _FEWEST_OF_BLOCK * division.n_blocks))
        edges = np.linspace(0, n, n_groups + 1).astype(np.int64)
        times = times_of(division.at(spread_rows(n, n_groups, seed=n)))
        return cls(division, edges, times * np.diff(edges))

    def divided(self, n_at_once: int = 0) -> Division:
        """Return the division with blocks that take equally long, if that is better.

        `n_at_once` of them are evaluated at once, as far as that is known.
        """
        from psyrun.estimate.blocks import last_end, shared_blocks

        n_blocks = self.division.n_blocks
        # Who asks for an order wants to have blocks in it.
        shared = shared_blocks(
            self.times,
            n_blocks,
            are_sorted=self.division.order is None,
            n_at_once=n_at_once,
        )
        before, after = self._of_equal_parts().tolist(), shared.times.tolist()
        if not any(
            last_end(after, n) < _BETTER * last_end(before, n)
            # The run may be gone on with by another number.
            for n in {max(1, n_at_once), *_numbers_of_workers(n_blocks)}
        ):
            return self.division
        starts = self.edges[shared.starts].tolist()
        return replace(
            self.division, shares=Shares(tuple(starts), tuple(shared.blocks.tolist()))
        )

    def portioned(self, n_workers: int) -> Division:
        """Return the division with the slowest fetched first, if that is better.

        `n_workers` are those that fetch.
        """
        from psyrun.estimate.blocks import last_end, portions

        # Who asks for an order wants to have it.
        if self.division.order is not None:
            return self.division
        found = portions(self.times, n_workers, CLAIM_FRACTION)
        before, after = self._in_order(n_workers).tolist(), found.times.tolist()
        if not any(
            last_end(after, n) < _BETTER_FETCHED * last_end(before, n)
            for n in _numbers_of_workers(n_workers)
        ):
            return self.division
        starts = self.edges[found.starts].tolist()
        return replace(
            self.division, portions=Shares(tuple(starts), tuple(found.blocks.tolist()))
        )

    def _in_order(self, n_workers: int) -> Floats:
        """Return what portions take that are fetched in the order of the space."""
        ranges = shrinking_ranges(len(self.division.open), n_workers, CLAIM_FRACTION)
        edges = [0, *(each.stop for each in ranges)]
        ends = np.concatenate([[0.0], np.cumsum(self.times)])
        return np.diff(np.interp(edges, self.edges, ends))

    def _of_equal_parts(self) -> Floats:
        """Return what each block takes if all have equally many assignments."""
        n, n_blocks = len(self.division.open), self.division.n_blocks
        if self.division.order is None:
            ends = np.concatenate([[0.0], np.cumsum(self.times)])
            at = [begin for begin, _ in equal_ranges(n, n_blocks)]
            return np.diff(np.interp([*at, n], self.edges, ends))
        if len(self.times) < n:
            # Each has some of all parts.
            return np.full(n_blocks, self.times.sum() / n_blocks)
        of_blocks = np.bincount(np.arange(n) % n_blocks, self.times, n_blocks)
        return np.asarray(of_blocks, np.float64)


def _numbers_of_workers(n_blocks: int) -> Iterator[int]:
    """Yield some numbers of workers that there may be, as that is not known."""
    n = 2
    while n < n_blocks <= _MOST_SIMULATED:
        yield n
        n *= 2
    yield n_blocks
