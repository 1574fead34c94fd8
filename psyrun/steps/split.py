"""Freeze the space and divide it among the process jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from psyrun.counts import Counts
from psyrun.division import Division
from psyrun.errors import PsyrunError
from psyrun.layout import SPLIT
from psyrun.pspace import ParameterSpace, match_rows
from psyrun.rounds import Columns, RoundData

if TYPE_CHECKING:
    from psyrun.steps.run import Job


def split(job: Job) -> None:
    """Write the frozen space of a round.

    Parameters
    ----------
    job : Job
        The job. Its plan says how many blocks there are, and which rows are
        taken over from before.
    """
    with job.lock(SPLIT):
        division = _divide(job)
        division.save(job.round, job.plan.block_ext)
        job.round.blocks.mkdir(exist_ok=True)
    print(
        f"{len(division.space)} assignments, {division.n_kept} of them with rows from "
        f"before; {len(division.open)} to evaluate in {division.n_blocks} blocks"
    )


def _divide(job: Job) -> Division:
    if job.plan.keep == "round":
        return _divide_after_round(job)
    if job.plan.keep == "result":
        return _divide_after_result(job)
    return Division(job.task.pspace, job.plan.n_blocks)


def _divide_after_round(job: Job) -> Division:
    former_round = job.layout.round(job.plan.keep_round)
    counts = Counts.load(former_round)
    if counts is None:
        raise PsyrunError(
            f"{former_round.folder}: is gone; its rows cannot be taken over. Start the "
            "task again with 'psy run'."
        )
    old = RoundData(former_round, job.store(counts.ext))
    job.round.folder.mkdir(parents=True, exist_ok=True)
    store = job.store(job.plan.block_ext)
    with store.writer(str(job.round.kept(store.ext))) as writer:
        old.write(writer)
    if not job.plan.same_space:
        return _matched(job.task.pspace, old.parameters(), job.plan.n_blocks)
    kept = np.full(len(old.division.space), -1, np.int64)
    known = old.known()
    kept[known] = np.arange(len(known))
    former = np.arange(len(known), len(known) + old.n_former())
    return Division(old.division.space, job.plan.n_blocks, kept, former)


def _divide_after_result(job: Job) -> Division:
    path = job.plan.resultfile
    columns = job.store(job.plan.result_ext).load(path)
    job.round.folder.mkdir(parents=True, exist_ok=True)
    store = job.store(job.plan.block_ext)
    with store.writer(str(job.round.kept(store.ext))) as writer:
        writer.append(columns)
    return _matched(job.task.pspace, columns, job.plan.n_blocks)


def _matched(space: ParameterSpace, old: Columns, n_blocks: int) -> Division:
    kept = match_rows(space, old)
    n_old = len(next(iter(old.values()), ()))
    return Division(space, n_blocks, kept, _unused(kept, n_old))


def _unused(kept: NDArray[np.int64], n_old: int) -> NDArray[np.int64]:
    """Return the old rows that no assignment uses, in their order."""
    is_unused = np.ones(n_old, dtype=bool)
    is_unused[kept[kept >= 0]] = False
    return np.flatnonzero(is_unused)
