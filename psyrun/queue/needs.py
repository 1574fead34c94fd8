"""How much more a job needs that was given too little, from what rows have cost.

To give it twice as much is a guess. Where the model of costs is surer than that, it
says how much the rest of the block takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.queue.job import QueuedJob
from psyrun.scheduler.jobs import Cause
from psyrun.store.registry import store_named
from psyrun.utils.text import memory_size, rough_duration
from psyrun.workdir.attempts import Evaluating, JobTraces
from psyrun.workdir.layout import PROCESS, Round

if TYPE_CHECKING:
    from psyrun.estimate import Estimate, Evaluated, Prediction
    from psyrun.estimate.columns import Floats
    from psyrun.store.arrays import Indices
    from psyrun.workdir.division import Division

_MARGIN = 1.2  # what is asked for, relative to what is needed at most
_START = 60.0  # seconds for what a job does beside evaluations
_LEAST_MEMORY = 1.25  # times as much: what it had did not suffice
_MOST = 16.0  # times as much
_SURE = 2.0  # how many times the lower end of an interval the upper one may be
_DEVIATIONS = 2.0  # of the error of a prediction, that are allowed for
_EXPLAINED = 0.7  # of what the job had, that the model must account for
_FRESH = 60.0  # seconds for which a fitted model is used again
_BYTES = 1e6  # of a megabyte


@dataclass(frozen=True)
class Need:
    """What a job needs.

    Attributes
    ----------
    factor : float
        How many times as much as it had, at least 1.
    why : str
        From what that follows, in a few words.
    """

    factor: float
    why: str


@dataclass(frozen=True)
class _Known:
    """What is known of the assignments of a round."""

    estimate: Estimate
    evaluated: Evaluated
    division: Division
    is_open: Indices
    n_unfinished: int

    def rest(self, block: int) -> Indices:
        """Return what a block has left, as indices in the whole space."""
        import numpy as np

        indices = np.asarray(self.division.indices(block), np.int64)
        return self.division.in_whole(np.intersect1d(indices, self.is_open))

    @property
    def rest_of_all(self) -> Indices:
        """What all blocks have left, as indices in the whole space."""
        return self.division.in_whole(self.is_open)


@dataclass(frozen=True)
class _Rest:
    """What a job may have to do.

    Attributes
    ----------
    rows : ndarray of int64
        Assignments, as indices in the whole space.
    n_workers : int
        How many workers share these: those of the job, or of all jobs that fetch.
    name : str
        What to call it.
    """

    rows: Indices
    n_workers: int
    name: str

    @classmethod
    def of(cls, item: QueuedJob, known: _Known, block: int) -> _Rest:
        plan = item.task.plan
        if not plan.fetches:
            return cls(known.rest(block), plan.pool_size, "the rest")
        # Nobody knows which of it the next job will fetch.
        n_jobs = max(1, known.n_unfinished)
        return cls(known.rest_of_all, n_jobs * plan.pool_size, "what is left")


class Needs:
    """What jobs need; the model of a task is fitted once for jobs that end together."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Path, tuple[float, _Known | None]] = {}

    def of(self, item: QueuedJob, cause: Cause) -> Need | None:
        """Return what a job needs that had too little memory or time.

        Parameters
        ----------
        item : QueuedJob
            The job, which has ended.
        cause : Cause
            `Cause.MEMORY` or `Cause.TIME`.

        Returns
        -------
        Need or None
            None if the model is no surer than to double what it had, or does not
            explain why that did not suffice.
        """
        block, batch = item.step.block, item.batch
        if block is None or batch is None or item.step.step != PROCESS:
            return None
        # Whatever is wrong with it, the job is given twice as much.
        try:
            known = self._of_round(item.round, item.task.plan.names)
            if known is None:
                return None
            job = batch.job(item.position)
            at = JobTraces.find(item.round, int(block), job).evaluating
            of_cause = _time if cause is Cause.TIME else _memory
            return of_cause(item, known, _Rest.of(item, known, int(block)), at)
        except Exception:
            return None

    def _of_round(self, round_: Round, names: Sequence[str]) -> _Known | None:
        made, known = self._known.get(round_.folder, (-_FRESH, None))
        if self._clock() - made >= _FRESH:
            known = _look(round_, names)
            self._known[round_.folder] = self._clock(), known
        return known


def _look(round_: Round, names: Sequence[str]) -> _Known | None:
    from psyrun.estimate import Estimate, estimate
    from psyrun.workdir.division import DivisionCounts
    from psyrun.workdir.evaluated import evaluated_in, not_evaluated
    from psyrun.workdir.rows import RoundData

    counts = DivisionCounts.load(round_)
    if counts is None:
        return None
    data = RoundData(round_, store_named(counts.ext))
    evaluated = evaluated_in(data, names)
    found = estimate(data.division.whole_space, evaluated)
    if not isinstance(found, Estimate):
        return None
    blocks = (round_.block(n, counts.ext) for n in range(counts.n_blocks))
    n_unfinished = sum(not path.exists() for path in blocks)
    # What failed is tried again, with more.
    is_open = not_evaluated(data, ())
    return _Known(found, evaluated, data.division, is_open, n_unfinished)


def _time(
    item: QueuedJob, known: _Known, rest: _Rest, at: Sequence[Evaluating]
) -> Need | None:
    import numpy as np

    from psyrun.estimate import OpenBlock, OpenWork, seconds_left

    minutes, prediction = _asked(item, "runtime"), known.estimate.time
    if not minutes or not prediction.fits or not len(rest.rows):
        return None
    for one in at:
        # What takes longer than predicted is something else.
        (longest,) = _upper(prediction, known.division.in_whole(np.array([one.index])))
        if one.after is None or 60 * minutes - one.after > longest:
            return None
    none = np.empty(0, np.int64)
    block = OpenBlock(rest.rows, none, np.empty(0), rest.n_workers, is_running=True)
    left = seconds_left(OpenWork([block], 1), prediction, known.evaluated)
    if left is None or not left.high <= _SURE * left.low:
        return None
    factor = (_START + _MARGIN * left.high) / (60 * minutes)
    why = f"{rest.name} is predicted to take up to {rough_duration(left.high)}"
    return Need(min(_MOST, max(1.0, factor)), why)


def _memory(
    item: QueuedJob, known: _Known, rest: _Rest, at: Sequence[Evaluating]
) -> Need | None:
    import numpy as np

    megabytes, prediction = _asked(item, "mem_mb"), known.estimate.memory
    if not megabytes:
        megabytes = _asked(item, "mem_mb_per_cpu") * (
            _asked(item, "cpus_per_task") or 1
        )
    if not megabytes or prediction is None or not prediction.fits or not at:
        return None
    if not prediction.error ** (2 * _DEVIATIONS) <= _SURE:
        return None
    n_workers, had = item.task.plan.pool_size, megabytes * _BYTES
    ended = np.array([one.index for one in at], np.int64)
    used = n_workers * float(_upper(prediction, known.division.in_whole(ended)).max())
    # Something else has taken it.
    if used < _EXPLAINED * had:
        return None
    upper = _upper(prediction, rest.rows)
    most = n_workers * float(upper.max(initial=used / n_workers))
    factor = max(_LEAST_MEMORY, _MARGIN * most / had)
    why = f"{rest.name} is predicted to need up to {memory_size(most)}"
    return Need(min(_MOST, factor), why)


def _upper(prediction: Prediction, rows: Indices) -> Floats:
    """Return what assignments cost at most, within a few times the error."""
    upper: Floats = prediction.medians(rows) * prediction.error**_DEVIATIONS
    return upper


def _asked(item: QueuedJob, resource: str) -> int:
    """Return what a job has asked for; 0 where that is not known."""
    found = item.task.scheduler.resources(item.values).get(resource)
    return found if isinstance(found, int) else 0
