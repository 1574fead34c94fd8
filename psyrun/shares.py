"""What one process job is to evaluate, according to the backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from psyrun.errors import JobError
from psyrun.plan import Plan
from psyrun.rounds import RoundData
from psyrun.sources import Rows
from psyrun.supply import ClaimSupply, PipeSupply, Supply


class Share(NamedTuple):
    """The work of one process job.

    Attributes
    ----------
    indices : ndarray of int64
        Assignments that its workers may be handed, by position.
    supply : Supply
        Hands out positions.
    n_workers : int
        Number of worker processes.
    """

    indices: Rows
    supply: Supply
    n_workers: int


def fetched_share(plan: Plan, data: RoundData) -> Share:
    """Return the share of a job that fetches work until none is left.

    Raises
    ------
    JobError
        If the round was merged, so that it is not known any more what was
        fetched.
    """
    if data.round.merged.exists():
        raise JobError(
            f"{data.round.folder}: was merged already. Start the task with 'psy run'."
        )
    indices = np.asarray(data.division.open, dtype=np.int64)
    n_workers = plan.n_blocks * plan.pool_size
    supply = ClaimSupply(data.round.claims, len(indices), n_workers)
    return Share(indices, supply, plan.pool_size)


def divided_share(
    plan: Plan, data: RoundData, block: int, settled: Sequence[int]
) -> Share:
    """Return the share of a job with a part of the space of its own.

    Parameters
    ----------
    plan : Plan
        The plan.
    data : RoundData
        What its round knows.
    block : int
        Number of the block.
    settled : sequence of int
        Assignments that are not to be evaluated (again).
    """
    indices = np.asarray(data.division.indices(block), dtype=np.int64)
    open_indices = indices[~np.isin(indices, np.asarray(settled, dtype=np.int64))]
    n_workers = min(plan.pool_size, len(open_indices))
    supply = PipeSupply(len(open_indices), max(1, n_workers))
    return Share(open_indices, supply, n_workers)
