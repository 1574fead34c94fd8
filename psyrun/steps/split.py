"""Freeze the space and divide it among the process jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from psyrun.errors import PsyrunError, enough_memory_for
from psyrun.pspace import ParameterSpace
from psyrun.steps.job import Job
from psyrun.store.arrays import Indices, RowType
from psyrun.store.base import Store
from psyrun.store.rows import count_rows
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.layout import SPLIT
from psyrun.workdir.progress import RoundProgress
from psyrun.workdir.reuse import ReusedRows, from_result, from_rounds
from psyrun.workdir.rows import RoundData


def split(job: Job) -> None:
    """Write the frozen space of a round.

    Parameters
    ----------
    job : Job
        The job. Its plan says how many blocks there are, and which rows are
        taken over from before.
    """
    with job.lock(SPLIT):
        with enough_memory_for(job.task.pspace, job.plan.taskfile):
            division = _divide(job)
            division.save(job.round, job.plan)
        job.round.blocks.mkdir(exist_ok=True)
    print(
        f"{len(division.space)} assignments, {division.n_kept} of them with rows from "
        f"before; {len(division.open)} to evaluate in {division.n_blocks} blocks"
    )


def _divide(job: Job) -> Division:
    if job.plan.keep == "round":
        return _divide_after_rounds(job)
    if job.plan.keep == "result":
        return _divide_after_result(job)
    return Division(job.task.pspace, job.plan.n_blocks)


def _divide_after_rounds(job: Job) -> Division:
    made = [_old_round(job, number) for number in job.plan.keep_rounds]
    olds = [old for old, _ in made]
    job.round.folder.mkdir(parents=True, exist_ok=True)
    store = job.store(job.plan.block_ext)
    with store.writer(str(job.round.kept(store.ext))) as writer:
        for old in olds:
            old.write(writer)
    kept_types = _types_of(store, str(job.round.kept(store.ext)))
    fingerprints, versions = _versions(made)
    if job.plan.same_space:
        division = _in_same_space(olds[0], job.plan.n_blocks)
    else:
        space = job.task.pspace
        found = from_rounds(space, [old.points() for old in olds])
        division = _divided(space, job.plan.n_blocks, found)
    return replace(
        division, fingerprints=fingerprints, versions=versions, kept_types=kept_types
    )


def _types_of(store: Store, path: str) -> dict[str, RowType]:
    """Return the types in the columns of a file; none if it has no rows."""
    if not store.has_typed_columns or not store.count(path):
        return {}
    columns = store.load(path, slice(0, 1))
    return {key: RowType.of(np.asarray(column)) for key, column in columns.items()}


def _old_round(job: Job, number: int) -> tuple[RoundData, str]:
    """Return a round with rows, and the fingerprint of what made it."""
    round_ = job.layout.round(number)
    counts = DivisionCounts.load(round_)
    if counts is None:
        raise PsyrunError(
            f"{round_.folder}: is gone; its rows cannot be taken over. Start the task "
            "again with 'psy run'."
        )
    return RoundData(round_, job.store(counts.ext)), counts.fingerprint


def _divided(space: ParameterSpace, n_blocks: int, found: ReusedRows) -> Division:
    return Division(space, n_blocks, found.rows, found.former, found.former_points)


def _versions(
    olds: Sequence[tuple[RoundData, str]],
) -> tuple[tuple[str, ...], Indices]:
    """Return which version of the task each row of the kept file comes from."""
    fingerprints: list[str] = []
    versions = [np.empty(0, np.int64)]
    for old, made_by in olds:
        versions.append(_versions_of(old) + len(fingerprints))
        fingerprints += [made_by, *old.division.fingerprints]
    return tuple(fingerprints), np.concatenate(versions)


def _versions_of(old: RoundData) -> Indices:
    """Return the versions of the rows of a round; 0 is the one of the round itself."""
    division, known = old.division, old.with_row()
    of_known = np.zeros(len(known), np.int64)
    if division.kept is None or division.versions is None or division.former is None:
        return of_known
    kept = division.kept[known]
    of_known[kept >= 0] = division.versions[kept[kept >= 0]] + 1
    return np.concatenate([of_known, division.versions[division.former] + 1])


def _in_same_space(old: RoundData, n_blocks: int) -> Division:
    known = old.with_row()
    kept = np.full(len(old.division.space), -1, np.int64)
    kept[known] = np.arange(len(known))
    former = np.arange(len(known), len(known) + old.division.n_former)
    tally = RoundProgress(old.round).tally()
    slots = [old.round.in_flight(block) for block in range(old.division.n_blocks)]
    lost = {index for path in slots for index in interrupted(path)} - set(
        known.tolist()
    )
    return Division(
        old.division.space,
        n_blocks,
        kept,
        former,
        old.division.former_points,
        failed_before=tally.failed,
        cut_off_before=len(lost),
    )


def _divide_after_result(job: Job) -> Division:
    columns = job.store(job.plan.result_ext).load(job.plan.resultfile)
    job.round.folder.mkdir(parents=True, exist_ok=True)
    store = job.store(job.plan.block_ext)
    with store.writer(str(job.round.kept(store.ext))) as writer:
        writer.append(columns)
    excluded = job.task.exclude_from_result
    found = from_result(job.task.pspace, columns, excluded)
    division = _divided(job.task.pspace, job.plan.n_blocks, found)
    # Nothing is known of the version that wrote the result.
    versions = np.zeros(count_rows(columns), np.int64)
    kept_types = _types_of(store, str(job.round.kept(store.ext)))
    return replace(
        division, fingerprints=("",), versions=versions, kept_types=kept_types
    )
