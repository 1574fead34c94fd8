"""What is left to do of one block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psyrun.steps.work_queue import ClaimWorkQueue
from psyrun.store.arrays import Indices
from psyrun.workdir.attempts import Attempts
from psyrun.workdir.division import Division
from psyrun.workdir.layout import Round
from psyrun.workdir.plan import Plan


@dataclass(frozen=True)
class BlockWork:
    """What a process job is to evaluate.

    Attributes
    ----------
    first, last : ndarray of int64
        Assignments that are evaluated one at a time: one of them has ended a job.
        In `last` are those that have failed.
    own : ndarray of int64
        The others of the block: those not evaluated yet, then those that failed.
    claims : ClaimWorkQueue or None
        Where more work is to be fetched after `first` and `own`; `fetchable` are the
        assignments that positions there stand for.
    """

    first: Indices
    own: Indices
    last: Indices
    claims: ClaimWorkQueue | None
    fetchable: Indices

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        is_fetched = self.claims is None or self.claims.is_empty
        return is_fetched and not sum(map(len, (self.first, self.own, self.last)))

    @classmethod
    def of(
        cls, round_: Round, division: Division, plan: Plan, block: int, past: Attempts
    ) -> BlockWork:
        """Return what is left of a block, after what its jobs did so far."""
        claims, fetchable = None, np.empty(0, np.int64)
        if plan.fetches:
            fetchable, sizes = division.fetchable()
            n_workers = plan.n_blocks * plan.pool_size
            claims = ClaimWorkQueue(
                round_.claims, len(fetchable), n_workers, str(block), sizes
            )
            # Most jobs are the first ones of their blocks.
            ranges = claims.claimed_by_owner() if _has_traces(round_, block) else ()
            indices = fetchable[_array(p for one in ranges for p in one)]
        else:
            indices = division.in_turn(division.indices(block))
        settled = past.done | (past.failed if plan.accept_failures else past.settled)
        indices = indices[~_is_in(indices, settled)]
        failed, alone = _is_in(indices, past.failed), _is_in(indices, past.suspects)
        return cls(
            first=indices[alone & ~failed],
            own=np.concatenate([indices[~alone & ~failed], indices[~alone & failed]]),
            last=indices[alone & failed],
            claims=claims,
            fetchable=fetchable,
        )


def _has_traces(round_: Round, block: int) -> bool:
    """Whether there were jobs of a block, though they may have recorded nothing."""
    return bool(round_.journals_of(block)) or round_.in_flight_of(block).exists()


def _array(indices: Iterable[int]) -> Indices:
    return np.fromiter(indices, np.int64)


def _is_in(indices: Indices, some: Iterable[int]) -> NDArray[np.bool_]:
    return np.isin(indices, _array(some))
