"""Blocks that are predicted to take equally long, once some assignments have a row.

As long as there are no such rows, the model of costs is not even imported.
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
from psyrun.store.arrays import Indices
from psyrun.store.costs import Costs
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
_MOST_LISTED = 2**20  # assignments that are all predicted; of more a sample is
_N_OF_MANY = 2**18  # assignments in that sample
_FEWEST_OF_BLOCK = 16  # of these in each block
_MOST_SIMULATED = 4096  # blocks for which several numbers of workers are tried


def with_even_times(job: Job, division: Division) -> Division:
    """Return a division with blocks of equal predicted times.

    It is the same where nothing is predicted, or that would not help: the task does
    not want it, jobs fetch their work, there are too few rows of this version, the work
    that is left is too little, the model does not fit, or equal parts are as good.
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
    if not job.task.predict_times or plan.is_of_pilots:
        return None
    if plan.fetches or division.kept is None:
        return None
    if division.n_blocks < 2 or n_open < division.n_blocks:
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
    return divided_evenly(division, known, job.task.timeout or np.inf)


def divided_evenly(
    division: Division, known: Evaluated, timeout: float = np.inf
) -> Division:
    """Return a division whose blocks are predicted to take equally long.

    Parameters
    ----------
    division : Division
        With blocks of equal size. It is returned if the model does not fit, or if these
        are as good.
    known : Evaluated
        Assignments of its space that were evaluated.
    timeout : float
        Seconds after which an evaluation is ended.
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

    return _Predicted.of(division, limited).divided()


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

    def divided(self) -> Division:
        """Return the division with blocks that take equally long, if that is better."""
        from psyrun.estimate.blocks import last_end, shared_blocks

        n_blocks = self.division.n_blocks
        # Who asks for an order wants to have blocks in it.
        shared = shared_blocks(
            self.times, n_blocks, are_sorted=self.division.order is None
        )
        before, after = self._of_equal_parts().tolist(), shared.times.tolist()
        if not any(
            last_end(after, n) < _BETTER * last_end(before, n)
            for n in _numbers_of_workers(n_blocks)
        ):
            return self.division
        starts = self.edges[shared.starts].tolist()
        return replace(
            self.division, shares=Shares(tuple(starts), tuple(shared.blocks.tolist()))
        )

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
