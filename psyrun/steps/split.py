"""Freeze the space and divide it among the process jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError, TaskError, enough_memory_for
from psyrun.pspace.candidates import Candidates
from psyrun.pspace.order import order_of
from psyrun.pspace.rows import places_of
from psyrun.pspace.space import ParameterSpace
from psyrun.pspace.tolerance import KnownAs
from psyrun.steps.even_times import with_even_times
from psyrun.steps.job import Job
from psyrun.store.arrays import Indices, RowType, has_large_integers
from psyrun.store.base import Store
from psyrun.store.rows import ColumnDict, count_rows
from psyrun.tasks.storable import KeptColumns, check_parameters
from psyrun.utils.checksums import Checksum
from psyrun.utils.files import link, make_folder
from psyrun.utils.process.basics import log_line
from psyrun.workdir.costs import keep_costs, keep_costs_of_file
from psyrun.workdir.division import Division, DivisionCounts
from psyrun.workdir.failures import failures_of
from psyrun.workdir.in_flight import interrupted
from psyrun.workdir.journal import Entry
from psyrun.workdir.layout import SPLIT
from psyrun.workdir.left_out import by_round, evaluated_again, rows_left_out
from psyrun.workdir.merged_rows import sound_rows
from psyrun.workdir.prediction import PredictionRecord
from psyrun.workdir.progress import RoundProgress
from psyrun.workdir.replaced import mark_replaced, replaced_in
from psyrun.workdir.reuse import ReusedRows, from_result, from_rounds
from psyrun.workdir.rows import RoundData
from psyrun.workdir.rows_there import RowsThere, rows_of_rounds
from psyrun.workdir.taken import Taken, pieces_of, taken_of
from psyrun.workdir.unusable_journals import REPEATED, keep_unusable_of

_NONE: Indices = np.empty(0, np.int64)
_LARGE = 8  # bytes of an integer


class _Kept(NamedTuple):
    """What rows that are kept are, as in `Division`."""

    kept_types: dict[str, RowType]
    kept_large: frozenset[str]
    kept_compared: tuple[str, ...] = ()
    kept_file: Checksum | None = None


class _RowsFound(NamedTuple):
    """The rows of earlier rounds, and those that belong to assignments of a plan."""

    among: Candidates
    there: RowsThere
    found: ReusedRows
    again: NDArray[np.bool_] | None


class _WholeFile(NamedTuple):
    """A file with just the rows that are kept, and its checksum, if that is known."""

    path: Path
    file: Checksum | None = None


def split(job: Job) -> None:
    """Write the frozen space of a round, and the rows that its plan keeps."""
    with job.locked(SPLIT):
        if _is_put_back(job):
            print("the space of the result stays, as its rows belong to it")
            return
        with enough_memory_for(job.task.pspace, job.plan.taskfile):
            division, marked = _divide(job)
            _check_parameters(job, division)
            order = order_of(division.space, job.plan.order)
            division = with_even_times(job, replace(division, order=order))
            division.save(job.round, job.plan)
            PredictionRecord.keep_for(job.layout, job.round, job.plan.names)
            if len(marked):
                mark_replaced(job.round, job.plan.fingerprint, marked)
        make_folder(job.round.blocks)
    how = "" if division.shares is None else " that are predicted to take equally long"
    if division.portions is not None:
        how = ", those first that are predicted to take longest"
    print(
        f"{len(division.space)} assignments, {division.n_kept} of them with rows from "
        f"before; {len(division.open)} to evaluate in {division.n_blocks} blocks{how}"
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


def _divide(job: Job) -> tuple[Division, Indices]:
    """Return the division, and what of it waits to be evaluated again by another run.

    That is marked, but not in the part that this run evaluates.
    """
    if not job.plan.same_space:
        _check_space(job)
    if job.plan.keep == "round":
        return _divide_after_rounds(job)
    if job.plan.keep == "result":
        return _divide_after_result(job), _NONE
    whole = job.task.pspace
    among = Candidates.of(whole, job.plan.part)
    return Division(among.space, job.plan.n_blocks).narrowed(whole, among), _NONE


def _check_space(job: Job) -> None:
    """Refuse a space whose source has changed since the rows for it were planned."""
    planned = job.plan.space_source
    if planned and job.imported.version.space_text != planned:
        raise TaskError(
            f"{job.plan.taskfile}: the space was changed after the run was planned. "
            f"Run it again: 'psy run {job.plan.arguments}'."
        )


def _divide_after_rounds(job: Job) -> tuple[Division, Indices]:
    plan = job.plan
    for round_ in map(job.layout.round, plan.keep_rounds):
        keep_unusable_of(round_, round_.all_journals(), REPEATED)
    rounds = [_earlier_round(job, number) for number in plan.keep_rounds]
    all_data, (first, first_version) = [data for data, _ in rounds], rounds[0]
    whole = first.division.whole_space if plan.same_space else job.task.pspace
    known_as = KnownAs() if plan.same_space else job.task.known_as
    here = _find_rows(job, rounds, whole, known_as)
    division = _in_new_space(job, here.among, here.found.renumbered())
    division = division.narrowed(whole, here.among)
    marked = _marked(division, here.there, here.found)
    if plan.same_space and first_version in plan.names:
        division = _with_attempts(division, first)
    lefts = rows_left_out(here.there, here.found, here.again)
    left_out = by_round(plan.keep_rounds, all_data, lefts)
    division = replace(division, left_out=left_out)
    if not len(here.found.used):
        return replace(division, kept=None, former=None, former_points=None), _NONE
    kept = _keep_of_rounds(job, taken_of(all_data, here.found.used), known_as)
    division = replace(
        division,
        fingerprints=here.there.fingerprints,
        versions=here.there.versions[here.found.used],
        **kept._asdict(),
    )
    return division, marked


def _find_rows(
    job: Job,
    rounds: Sequence[tuple[RoundData, str]],
    whole: ParameterSpace,
    known_as: KnownAs,
) -> _RowsFound:
    """Find rows of earlier rounds for the assignments of the plan in a whole space."""
    plan = job.plan
    there = rows_of_rounds(
        rounds,
        same_space=plan.same_space,
        may_stay=plan.may_stay,
        replaced=[replaced_in(data, plan.honoured) for data, _ in rounds],
    ).with_defaults(known_as)
    among = Candidates.of(whole, plan.part, there.points)
    there, wanted = there.among(among), known_as.as_in(among.space, there.points)
    found = from_rounds(
        wanted,
        there,
        plan.names,
        keeps_all=plan.keeps_all is not False,
        is_chosen=among.is_chosen,
    )
    return _RowsFound(among, there, found, evaluated_again(wanted, there, plan.names))


def _keep_of_rounds(job: Job, taken: Sequence[Taken], known_as: KnownAs) -> _Kept:
    """Write the rows that are taken over, and their costs."""
    kept = _keep_completed(job, taken, known_as)
    store = job.store(job.plan.block_ext)
    keep_costs(store, job.round.kept(store.ext), taken)
    # Rows were found by their parameters, so that they have those of the space, but
    # for those that are nearly equal.
    compared = set.intersection(*(each.data.compared() for each in taken))
    compared -= known_as.tolerances.keys()
    return kept._replace(kept_compared=tuple(sorted(compared)))


def _marked(division: Division, there: RowsThere, found: ReusedRows) -> Indices:
    """Return which of the assignments that are divided have a row that is marked."""
    if there.replaced is None or division.kept is None:
        return _NONE
    assignments = np.flatnonzero(division.kept >= 0)
    rows = found.used[division.kept[assignments]]
    return assignments[there.replaced[rows]]


def _keep_completed(job: Job, taken: Sequence[Taken], known_as: KnownAs) -> _Kept:
    """Write the rows that are taken over, with parameters that they lack."""
    keys = set(known_as.defaults).difference(job.task.exclude_from_result)
    if all(keys.issubset(each.data.division.space.keys()) for each in taken):
        return _keep(job, pieces_of(taken), _whole_file(taken))
    pieces = pieces_of(taken)
    return _keep(job, (known_as.completed_columns(rows, keys) for rows in pieces))


def _whole_file(taken: Sequence[Taken]) -> _WholeFile | None:
    """Return the file that has just the rows that are taken, None if there is none."""
    if len(taken) == 1 and taken[0].is_all:
        merged, path = taken[0].data.merged, taken[0].data.whole_file()
        if path is not None and merged is not None:
            return _WholeFile(path, merged.file)
    return None


def _divide_after_result(job: Job) -> Division:
    result = job.plan.resultfile
    columns = job.store(job.plan.result_ext).load(result)
    excluded, known_as = job.task.exclude_from_result, job.task.known_as
    keys = set(known_as.defaults) - {*excluded, *columns}
    completed = known_as.completed_columns(columns, keys)
    whole = None if keys else _WholeFile(Path(result))
    kept = _keep(job, [completed], whole)
    path = job.round.kept(job.store(job.plan.block_ext).ext)
    keep_costs_of_file(job.store(job.plan.result_ext), path, result)
    among = Candidates.of(job.task.pspace, job.plan.part)
    found = from_result(among.space, columns, excluded, known_as)
    return replace(
        _in_new_space(job, among, found).narrowed(job.task.pspace, among),
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
            f"again with 'psy run {job.plan.arguments}'."
        )
    store = job.store(counts.ext)
    data = RoundData(round_, store, _say_unreadable, _say_damaged)
    return data, counts.fingerprint


def _say_unreadable(row: Entry, cause: str) -> None:
    log_line(f"assignment {row.index} of before has no row: {cause}")


def _say_damaged(block: int, problem: str) -> None:
    log_line(f"block {block} of before is not used: {problem}")


def _keep(
    job: Job, pieces: Iterable[ColumnDict], whole: _WholeFile | None = None
) -> _Kept:
    """Write rows to the kept file of the round and return what they are.

    If there is a file that is as `whole` as that will be, it gets a second name.
    """
    make_folder(job.round.folder)
    store = job.store(job.plan.block_ext)
    path = job.round.kept(store.ext)
    if whole is not None and whole.path.suffix == store.ext and link(whole.path, path):
        return _Kept(*_types_in(store, path), kept_file=whole.file)
    with store.writer(str(path)) as writer:
        for rows in pieces:
            writer.append(rows)
    return _Kept(*_types_in(store, path))


def _types_in(store: Store, path: Path) -> tuple[dict[str, RowType], frozenset[str]]:
    """Return the types in the columns of a file, and which have large integers.

    Nothing is known if it has no rows.
    """
    if not store.has_typed_columns or not store.count(path):
        return {}, frozenset()
    types: dict[str, RowType] = {}
    large: set[str] = set()
    for rows in store.pieces(path):
        types = types or {key: RowType.of(np.asarray(rows[key])) for key in rows}
        wanted = [key for key in types if _may_be_large(types[key])]
        if not wanted:
            break
        large.update(key for key in wanted if has_large_integers(key, rows[key]))
    return types, frozenset(large)


def _may_be_large(row_type: RowType) -> bool:
    """Whether integers of a type may not be exact as float64."""
    return row_type.dtype.kind in "iu" and row_type.dtype.itemsize >= _LARGE


def _in_new_space(job: Job, among: Candidates, found: ReusedRows) -> Division:
    n_blocks, points = job.plan.n_blocks, found.former_points
    return Division(among.space, n_blocks, found.rows, found.former, points)


def _with_attempts(division: Division, data: RoundData) -> Division:
    """Return a division with what became of the assignments in a round before."""
    paths = [path for _, path in data.round.last_in_flight().values()]
    lost = {index for path in paths for index in interrupted(path)}
    lost -= set(data.with_row().tolist())
    n_failed, n_lost = RoundProgress(data.round).tally().failed, len(lost)
    if data.division.whole is None and division.whole is None:
        return replace(division, failed_before=n_failed, cut_off_before=n_lost)
    failed = _in_whole(data, {failure.index for failure in failures_of(data.round)})
    return replace(
        division,
        failed_before=_count_open(division, failed),
        cut_off_before=_count_open(division, _in_whole(data, lost)),
        failed_outside=_outside(division, failed, data.division.failed_outside),
    )


def _in_whole(data: RoundData, indices: set[int]) -> Indices:
    return data.division.in_whole(np.array(sorted(indices), np.int64))


def _count_open(division: Division, numbers: Indices) -> int:
    """Return how many of some points of the whole space are to be evaluated."""
    places = numbers if division.part is None else places_of(division.part, numbers)
    found, kept = places[places >= 0], division.kept
    return len(found) if kept is None else int((kept[found] < 0).sum())


def _outside(
    division: Division, failed: Indices, before: Indices | None
) -> Indices | None:
    """Return which points of the whole space that have failed are not divided."""
    if division.part is None:
        return None
    numbers = failed if before is None else np.union1d(failed, before)
    numbers = numbers[places_of(division.part, numbers) < 0]
    return numbers if len(numbers) else None
