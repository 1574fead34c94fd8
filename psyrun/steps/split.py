"""Freeze the space and divide it among the process jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psyrun.errors import PsyrunError, StoreError, TaskError, enough_memory_for
from psyrun.steps.job import Job
from psyrun.store.arrays import Indices, RowType, has_large_integers
from psyrun.store.base import Store
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.storable import KeptColumns, check_parameters
from psyrun.utils.files import link, make_folder
from psyrun.utils.process.basics import log_line
from psyrun.workdir.costs import keep_costs, keep_costs_of_file
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import SPLIT
from psyrun.workdir.merged_rows import sound_rows
from psyrun.workdir.progress import RoundProgress
from psyrun.workdir.reuse import ReusedRows, from_result, from_rounds
from psyrun.workdir.rows import RoundData
from psyrun.workdir.unusable_journals import REPEATED, keep_unusable_of


class _Kept(NamedTuple):
    """What rows that are kept are, as in `Division`."""

    kept_types: dict[str, RowType]
    kept_large: frozenset[str]
    kept_compared: tuple[str, ...] = ()


def split(job: Job) -> None:
    """Write the frozen space of a round, and the rows that its plan keeps."""
    with job.locked(SPLIT):
        if _is_put_back(job):
            print("the space of the result stays, as its rows belong to it")
            return
        with enough_memory_for(job.task.pspace, job.plan.taskfile):
            division = _divide(job)
            _check_parameters(job, division)
            division.save(job.round, job.plan)
        make_folder(job.round.blocks)
    print(
        f"{len(division.space)} assignments, {division.n_kept} of them with rows from "
        f"before; {len(division.open)} to evaluate in {division.n_blocks} blocks"
    )


def _is_put_back(job: Job) -> bool:
    """Take the frozen space of a round that was merged, which Snakemake has removed."""
    round_ = job.round
    is_merged = sound_rows(round_) is not None and round_.merged_space.exists()
    return is_merged and link(round_.merged_space, round_.space)


def _check_parameters(job: Job, division: Division) -> None:
    """Refuse parameters that the store cannot hold, which may be drawn at random."""
    kept = KeptColumns(division.kept_types, division.kept_large)
    excluded = job.task.exclude_from_result
    try:
        if len(division.space):
            store = job.store(job.plan.block_ext)
            check_parameters(division.space, store, excluded, kept)
    except StoreError as error:
        raise TaskError(f"{job.plan.taskfile}: pspace: {error}") from error


def _divide(job: Job) -> Division:
    if job.plan.keep == "round":
        return _divide_after_rounds(job)
    if job.plan.keep == "result":
        return _divide_after_result(job)
    return Division(job.task.pspace, job.plan.n_blocks)


def _divide_after_rounds(job: Job) -> Division:
    for round_ in map(job.layout.round, job.plan.keep_rounds):
        keep_unusable_of(round_, round_.all_journals(), REPEATED)
    found = [_earlier_round(job, number) for number in job.plan.keep_rounds]
    rounds = [data for data, _ in found]
    pieces = (rows for data in rounds for rows in data.pieces())
    kept = _keep(job, pieces, _file_of(rounds))
    store = job.store(job.plan.block_ext)
    keep_costs(store, job.round.kept(store.ext), rounds)
    fingerprints, versions = _versions(found)
    if job.plan.same_space:
        division = _in_same_space(rounds[0], job.plan.n_blocks)
    else:
        points = [data.points() for data in rounds]
        division = _in_new_space(job, from_rounds(job.task.pspace, points))
    # Rows were found by their parameters, so that they have those of the space.
    compared = set.intersection(*(data.compared() for data in rounds))
    kept = kept._replace(kept_compared=tuple(sorted(compared)))
    return replace(
        division, fingerprints=fingerprints, versions=versions, **kept._asdict()
    )


def _divide_after_result(job: Job) -> Division:
    result = job.plan.resultfile
    columns = job.store(job.plan.result_ext).load(result)
    kept = _keep(job, [columns], Path(result))
    path = job.round.kept(job.store(job.plan.block_ext).ext)
    keep_costs_of_file(job.store(job.plan.result_ext), path, result)
    found = from_result(job.task.pspace, columns, job.task.exclude_from_result)
    return replace(
        _in_new_space(job, found),
        # Nothing is known of the version that wrote the result.
        fingerprints=("",),
        versions=np.zeros(count_rows(columns), np.int64),
        **kept._asdict(),
    )


def _earlier_round(job: Job, number: int) -> tuple[RoundData, str]:
    """Return a round with rows, and the fingerprint of the version that made it."""
    round_ = job.layout.round(number)
    counts = DivisionCounts.load(round_)
    if counts is None:
        raise PsyrunError(
            f"{round_.folder}: is gone; its rows cannot be taken over. Start the task "
            "again with 'psy run'."
        )
    store = job.store(counts.ext)
    data = RoundData(round_, store, _say_unreadable, _say_damaged)
    return data, counts.fingerprint


def _say_unreadable(row: Entry, cause: str) -> None:
    log_line(f"assignment {row.index} of before has no row: {cause}")


def _say_damaged(block: int, problem: str) -> None:
    log_line(f"block {block} of before is not used: {problem}")


def _file_of(rounds: Sequence[RoundData]) -> Path | None:
    """Return the file that has all rows of some rounds, None if there is none."""
    return rounds[0].whole_file() if len(rounds) == 1 else None


def _keep(job: Job, pieces: Iterable[ColumnDict], whole: Path | None = None) -> _Kept:
    """Write rows to the kept file of the round and return what they are.

    If there is a file that is as `whole` as that will be, it gets a second name.
    """
    make_folder(job.round.folder)
    store = job.store(job.plan.block_ext)
    path = str(job.round.kept(store.ext))
    large: set[str] = set()
    is_whole = whole is not None and whole.suffix == store.ext
    is_there = whole is not None and is_whole and link(whole, Path(path))
    with nullcontext() if is_there else store.writer(path) as writer:
        for rows in pieces if writer or store.has_typed_columns else ():
            if writer is not None:
                writer.append(rows)
            if store.has_typed_columns:
                large.update(key for key in rows if has_large_integers(key, rows[key]))
    return _Kept(_types_in(store, path), frozenset(large))


def _types_in(store: Store, path: str) -> dict[str, RowType]:
    """Return the types in the columns of a file; none if it has no rows."""
    if not store.has_typed_columns or not store.count(path):
        return {}
    columns = store.load(path, slice(0, 1))
    return {key: RowType.of(np.asarray(column)) for key, column in columns.items()}


def _versions(
    rounds: Sequence[tuple[RoundData, str]],
) -> tuple[tuple[str, ...], Indices]:
    """Return which version of the task each row of the kept file comes from."""
    fingerprints: list[str] = []
    versions = [np.empty(0, np.int64)]
    for data, fingerprint in rounds:
        versions.append(_versions_of(data) + len(fingerprints))
        fingerprints += [fingerprint, *data.division.fingerprints]
    return tuple(fingerprints), np.concatenate(versions)


def _versions_of(data: RoundData) -> Indices:
    """Return the versions of the rows of a round; 0 is the one of the round itself."""
    division, indices = data.division, data.with_row()
    versions = np.zeros(len(indices), np.int64)
    if division.kept is None or division.versions is None or division.former is None:
        return versions
    kept = division.kept[indices]
    versions[kept >= 0] = division.versions[kept[kept >= 0]] + 1
    return np.concatenate([versions, division.versions[division.former] + 1])


def _in_new_space(job: Job, found: ReusedRows) -> Division:
    return Division(
        job.task.pspace,
        job.plan.n_blocks,
        found.rows,
        found.former,
        found.former_points,
    )


def _in_same_space(data: RoundData, n_blocks: int) -> Division:
    division, indices = data.division, data.with_row()
    n_rows = len(indices)
    kept = np.full(len(division.space), -1, np.int64)
    kept[indices] = np.arange(n_rows)
    paths = [path for _, path in data.round.last_in_flight().values()]
    lost = {index for path in paths for index in interrupted(path)}
    return Division(
        division.space,
        n_blocks,
        kept,
        np.arange(n_rows, n_rows + division.n_former),
        division.former_points,
        failed_before=RoundProgress(data.round).tally().failed,
        cut_off_before=len(lost.difference(indices.tolist())),
    )
