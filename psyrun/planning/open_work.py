"""What the jobs of a round have left to do, and when they will have done it.

It takes NumPy, the space and the costs of all rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from psyrun.estimate import (
    Estimate,
    Evaluated,
    OpenBlock,
    OpenWork,
    Range,
    estimate,
    seconds_left,
)
from psyrun.queue.ledger import QueueReport
from psyrun.queue.waiting import waiting_of
from psyrun.workdir.consistent_reads import retry_while_changing
from psyrun.workdir.evaluated import evaluated_in, not_evaluated
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.failures import failures_of
from psyrun.workdir.holder import Holder
from psyrun.workdir.in_flight import slots
from psyrun.workdir.layout import PROCESS, TaskLayout
from psyrun.workdir.lock import jobs_of
from psyrun.workdir.plan import Plan
from psyrun.workdir.rows import RoundData

Rows = NDArray[np.int64]
_ALL_TIME = Range(1.0, 1.0, 1.0)
_FEWEST = 3  # assignments with a known time from which an end is predicted


@dataclass(frozen=True)
class Pace:
    """What a run has seen of how its jobs go, which their files do not tell.

    Attributes
    ----------
    n_at_once : int
        How many jobs ran at once lately; 0 if that is not known.
    efficiency : Range
        The part of their time that workers spend with evaluations.
    """

    n_at_once: int = 0
    efficiency: Range = _ALL_TIME


@dataclass(frozen=True)
class Outlook:
    """What is known of the rest of a round.

    Attributes
    ----------
    data : RoundData
        The round.
    evaluated : Evaluated
        Its assignments that have ended, with what they have cost.
    blocks : sequence of OpenBlock
        What is left of them.
    n_queued : int
        Jobs that wait in a queue.
    starts : tuple of float
        When some of them start, in seconds since the epoch, as the queue says.
    made : float
        When that was so, in seconds since the epoch.
    """

    data: RoundData
    evaluated: Evaluated
    blocks: Sequence[OpenBlock]
    n_queued: int
    starts: tuple[float, ...]
    made: float

    @classmethod
    def of(cls, data: RoundData, layout: TaskLayout, plan: Plan) -> Outlook:
        """Look at a round, which may be evaluated now.

        Parameters
        ----------
        data : RoundData
            The round. What was read of it before is read again, apart from its
            division.
        layout : TaskLayout
            Of its task.
        plan : Plan
            That the round is for.

        Raises
        ------
        PsyrunError
            If something is damaged, or changes time after time while it is read.
        """

        def look() -> Outlook:
            fresh, now = _anew(data), time.time()
            queue = QueueReport.of(layout)
            waiting = waiting_of(layout, queue)
            starts = () if waiting is None else waiting.starts
            blocks = list(_open_blocks(fresh, plan, dict(_running(fresh, plan, now))))
            evaluated = evaluated_in(fresh, plan.names)
            return cls(fresh, evaluated, blocks, queue.n_queued, starts, now)

        return retry_while_changing(look)

    @property
    def n_running(self) -> int:
        """Number of jobs that run, as far as they have something left."""
        return sum(block.is_running for block in self.blocks)

    def n_places(self, n_at_once: int) -> int:
        """Return how many assignments are evaluated at once, if so many jobs run.

        There are no more jobs than those with something left.
        """
        running = [block.n_workers for block in self.blocks if block.is_running]
        waiting = [block.n_workers for block in self.blocks if not block.is_running]
        return sum(running) + sum(waiting[: max(0, n_at_once - len(running))])

    def end(self, pace: Pace = Pace()) -> ExpectedEnd | None:
        """Return when it will be done; None if that is not known.

        `pace` is what a run has seen of it.
        """
        if len(self.evaluated.succeeded) < _FEWEST or not self.blocks:
            return None
        space, ended = self.data.division.whole_space, self.evaluated.timed_out
        limit = float(ended.seconds.max()) if len(ended) else np.inf
        found = estimate(space, self.evaluated, limit=limit)
        if not isinstance(found, Estimate):
            return None
        at_once = max(pace.n_at_once, self.n_running)
        work = OpenWork(
            blocks=self.blocks,
            n_at_once=at_once,
            most_at_once=at_once + self.n_queued,
            starts=tuple(max(0.0, start - self.made) for start in self.starts),
            efficiency=pace.efficiency.value,
        )
        left = seconds_left(work, found.time, self.evaluated)
        if left is None:
            return None
        slower = pace.efficiency.value / pace.efficiency.low
        faster = pace.efficiency.value / pace.efficiency.high
        left = Range(left.value, left.low * faster, left.high * slower)
        return _at(left, found.time.fits, self.made)


def _anew(data: RoundData) -> RoundData:
    """Return a round as it is now; a damaged block counts as gone."""
    fresh = RoundData(data.round, data.store, on_damaged=lambda block, problem: None)
    # It does not change, and is long for a large space.
    fresh.__dict__["division"] = data.division
    return fresh


def _at(left: Range, fits: bool, now: float) -> ExpectedEnd | None:
    """Return an end from the seconds until it; None if that is beyond calendars."""
    end = ExpectedEnd(
        end=now + left.value,
        earliest=now + left.low,
        latest=None if np.isinf(left.high) else now + left.high,
        made=now,
        fits=fits,
    )
    return end if end.is_sound else None


@dataclass(frozen=True)
class _Running:
    """What a running job evaluates, and for how long already."""

    begun: Rows
    elapsed: NDArray[np.float64]
    n_workers: int


def _running(data: RoundData, plan: Plan, now: float) -> Iterator[tuple[int, _Running]]:
    """Yield the blocks whose jobs run, with what they do."""
    last = data.round.last_in_flight()
    for job, holder in jobs_of(data.round).items():
        step, _, number = job.partition(":")
        if step == PROCESS:
            block = int(number)
            session, path = last.get(block, ("", data.round.in_flight(block)))
            yield block, _job(data, block, session, path, holder, plan, now)


def _job(
    data: RoundData,
    block: int,
    session: str,
    path: Path,
    holder: Holder,
    plan: Plan,
    now: float,
) -> _Running:
    workers = slots(path)
    begun, elapsed = [], []
    for worker, slot in enumerate(workers):
        if slot is not None:
            since = holder.since
            # It begins with the next one when it has recorded the one before.
            with suppress(OSError):
                journal = data.round.journal(block, worker, session)
                since = max(since, journal.stat().st_mtime)
            begun.append(slot.index)
            elapsed.append(max(0.0, now - since))
    return _Running(
        np.array(begun, np.int64),
        np.array(elapsed, np.float64),
        len(workers) or plan.pool_size,
    )


def _open_blocks(
    data: RoundData, plan: Plan, running: dict[int, _Running]
) -> Iterator[OpenBlock]:
    """Yield the blocks with assignments that have no outcome yet."""
    division = data.division
    rest = not_evaluated(data, failures_of(data.round))
    if not len(rest):
        return
    if plan.fetches:
        yield _open_block(data, rest, list(running.values()))
        return
    is_open = np.zeros(len(division.space), dtype=np.bool_)
    is_open[rest] = True
    for block in range(division.n_blocks):
        indices = np.asarray(division.indices(block), np.int64)
        rows = indices[is_open[indices]]
        if len(rows):
            jobs = [running[block]] if block in running else []
            yield _open_block(data, rows, jobs, plan.pool_size)


def _open_block(
    data: RoundData, rows: Rows, jobs: Sequence[_Running], n_workers: int = 1
) -> OpenBlock:
    """Return what jobs have left that share some assignments."""
    found = data.division.in_whole
    begun = np.concatenate([np.empty(0, np.int64), *(job.begun for job in jobs)])
    elapsed = np.concatenate([np.empty(0), *(job.elapsed for job in jobs)])
    # What has ended since then is not evaluated any more.
    is_open = np.isin(begun, rows)
    return OpenBlock(
        waiting=found(np.setdiff1d(rows, begun)),
        begun=found(begun[is_open]),
        elapsed=elapsed[is_open],
        n_workers=sum(job.n_workers for job in jobs) or n_workers,
        is_running=bool(jobs),
    )
