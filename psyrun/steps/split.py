"""Freeze the space and divide it among the process jobs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from psyrun.counts import Counts
from psyrun.division import Division
from psyrun.errors import PsyrunError
from psyrun.layout import SPLIT
from psyrun.progress import RoundProgress
from psyrun.pspace import ParameterSpace, match_rows
from psyrun.rounds import RoundData
from psyrun.slots import cut_off
from psyrun.sources import Columns, Rows
from psyrun.steps.job import Job


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
        division.save(job.round, job.plan)
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
    fingerprints, versions = _versions(old.division, old.known(), counts.fingerprint)
    if job.plan.same_space:
        division = _in_same_space(old, job.plan.n_blocks)
    else:
        division = _matched(job.task.pspace, old.parameters(), job.plan.n_blocks)
    return replace(division, fingerprints=fingerprints, versions=versions)


def _versions(
    old: Division, known: Rows, fingerprint: str
) -> tuple[tuple[str, ...], Rows]:
    """Return which version of the task each row of the kept file comes from."""
    # Position 0 stands for the version of the old round itself.
    fingerprints = (fingerprint, *old.fingerprints)
    if old.kept is None or old.versions is None or old.former is None:
        return fingerprints, np.zeros(len(known), np.int64)
    kept = old.kept[known]
    of_known = np.where(kept < 0, 0, old.versions[kept] + 1)
    return fingerprints, np.concatenate([of_known, old.versions[old.former] + 1])


def _in_same_space(old: RoundData, n_blocks: int) -> Division:
    known = old.known()
    kept = np.full(len(old.division.space), -1, np.int64)
    kept[known] = np.arange(len(known))
    former = np.arange(len(known), len(known) + old.n_former())
    tally = RoundProgress(old.round).look()
    slots = [old.round.slots(block) for block in range(old.division.n_blocks)]
    lost = {index for path in slots for index in cut_off(path)} - set(known.tolist())
    return Division(
        old.division.space,
        n_blocks,
        kept,
        former,
        failed_before=tally.failed,
        cut_off_before=len(lost),
    )


def _divide_after_result(job: Job) -> Division:
    columns = job.store(job.plan.result_ext).load(job.plan.resultfile)
    job.round.folder.mkdir(parents=True, exist_ok=True)
    store = job.store(job.plan.block_ext)
    with store.writer(str(job.round.kept(store.ext))) as writer:
        writer.append(columns)
    division = _matched(job.task.pspace, columns, job.plan.n_blocks)
    n_rows = len(next(iter(columns.values()), ()))
    # Nothing is known of the version that wrote the result.
    versions = np.zeros(n_rows, np.int64)
    return replace(division, fingerprints=("",), versions=versions)


def _matched(space: ParameterSpace, old: Columns, n_blocks: int) -> Division:
    kept = match_rows(space, old)
    is_unused = np.ones(len(next(iter(old.values()), ())), dtype=bool)
    is_unused[kept[kept >= 0]] = False
    return Division(space, n_blocks, kept, np.flatnonzero(is_unused))
