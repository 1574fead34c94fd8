"""Put the rows of all blocks into one file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from psyrun.errors import JobError, PsyrunError, one_line
from psyrun.steps.job import Job
from psyrun.store.arrays import Indices
from psyrun.tasks.loaded_code import forget_others
from psyrun.utils.checksums import Checksum, keep_beside
from psyrun.utils.files import check_all, make_folder
from psyrun.utils.leftovers import remove_abandoned
from psyrun.utils.process.basics import log_line
from psyrun.workdir import frames, journal
from psyrun.workdir.costs import keep_costs_of_rows
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.failures import accepted_failures
from psyrun.workdir.layout import MERGE, Round, block_of_journal
from psyrun.workdir.lock import remove_abandoned_rights
from psyrun.workdir.merged_rows import empty_blocks, keep_rows
from psyrun.workdir.old_rounds import reduce_round, remove_round
from psyrun.workdir.progress import MergeRecord
from psyrun.workdir.result_file import KEPT, is_foreign, note_result, original_of_result
from psyrun.workdir.rows import RoundData
from psyrun.workdir.taken import Taken
from psyrun.workdir.unusable_journals import keep_unusable_of

_SHARE = 0.5


def merge(job: Job) -> None:
    """Write the result file; the former one stays until the new one is whole."""
    plan = job.plan
    with job.locked(MERGE):
        indices = job.data.with_row()
        _check_complete(job, indices)
        result = Path(plan.resultfile)
        make_folder(result.parent)
        check_all()
        _keep_foreign(job)
        note_result(job.layout, MergeRecord(plan.merge, plan.resultfile, 0))
        lacks = _without_row(job, indices)
        _remove_lists_without_use(job, lacks)
        _remove_taken_over(job)
        n_rows = _write(job, result)
        written, modified = Checksum.of(result), result.stat().st_mtime_ns
        n_failed = len(lacks)
        repeated = _repetitions(job)
        record = MergeRecord(
            plan.merge,
            plan.resultfile,
            n_rows,
            n_failed,
            **repeated,
            result=written,
            modified=modified,
            described=_described(job),
        )
        note_result(job.layout, record)
        record.save(job.round)
        check_all()
        _keep_once(job, record, lacks)
        _clean_up(job)
        log_line(f"{n_rows} rows written to {result}")
        check_all()
        # The last thing of all: Snakemake takes it away if the job fails after it.
        mark = job.round.merge_mark(plan.merge)
        mark.touch()
        # As long as nobody touches both, only the result itself has this time.
        os.utime(mark, ns=(modified, modified))


def _keep_foreign(job: Job) -> None:
    """Set a file aside that is not the result, and has come there during the run."""
    path = Path(job.plan.resultfile)
    original = original_of_result(job.layout, path)
    if original is not None and path.exists():
        raise JobError(f"{path}: is the result of {original}, which was copied.")
    # All rows of a result that is continued are in the new one.
    if job.plan.keep != "result" and is_foreign(job.layout, path):
        kept = keep_beside(path, KEPT)
        log_line(f"{path} was not written by psyrun; it is kept as {kept}")


def _write(job: Job, result: Path) -> int:
    """Write all rows to the result, and return their number once that is checked."""
    # Other steps need not wait for these.
    from psyrun.tasks.provenance import recorded_provenance
    from psyrun.workdir.result_metadata import save_result

    store = job.store(job.plan.result_ext)
    n_rows = save_result(
        job.layout,
        job.data,
        store,
        str(result),
        lambda versions: recorded_provenance(job.layout.provenance, versions),
    )
    n_found = store.count(str(result))
    if n_found != n_rows:
        raise JobError(
            f"{result}: has {n_found} rows instead of the {n_rows} that were written. "
            "Check the disk, then run again."
        )
    return n_rows


def _described(job: Job) -> str | None:
    from psyrun.workdir.result_metadata import recorded_description

    return recorded_description(job.layout)


def _keep_once(job: Job, record: MergeRecord, lacks: list[int]) -> None:
    """Let the rows of the result be the only ones on disk, where that is possible."""
    plan, written = job.plan, record.result
    if plan.result_ext != plan.block_ext or written is None:
        return
    result = Path(plan.resultfile)
    compared = job.data.compared()
    keep_costs_of_rows(job.round, result)
    is_kept = keep_rows(job.round, result, record.n_rows, lacks, written, compared)
    if is_kept and not plan.keep_blocks:
        empty_blocks(job.round, plan.block_ext)


def _without_row(job: Job, indices: Indices) -> list[int]:
    is_there = np.zeros(len(job.data.division.space), dtype=bool)
    is_there[indices] = True
    found: list[int] = np.flatnonzero(~is_there).tolist()
    return found


def _remove_lists_without_use(job: Job, lacks: list[int]) -> None:
    """Remove lists of failures that are left of blocks which have all rows now."""
    lacking = set(lacks)
    for block in range(job.plan.n_blocks):
        listed = accepted_failures(job.round, block)
        if listed and lacking.isdisjoint(listed):
            job.round.failed(block).unlink(missing_ok=True)


def _remove_taken_over(job: Job) -> None:
    """Remove the rows of former rounds that this one has as well.

    Records stay that tell what the result is that is still there.
    """
    left_out = job.data.division.left_out
    for number in job.plan.keep_rounds:
        if number in left_out:
            continue
        round_ = job.layout.round(number)
        keep_unusable_of(round_, round_.all_journals())
        for folder in (round_.blocks, round_.finished, round_.journals):
            shutil.rmtree(folder, ignore_errors=True)
        round_.merged_rows.unlink(missing_ok=True)
        for path in (*round_.folder.glob("rows-*"), *round_.folder.glob("kept.*")):
            path.unlink(missing_ok=True)


def _repetitions(job: Job) -> dict[str, int]:
    """Count assignments that were evaluated again, by cause."""
    keys = ("failed_before", "cut_off_before")
    jobs: dict[tuple[str, int, int, str], dict[str, int]] = {}
    for path in job.round.all_journals():
        sessions = [e for e in journal.scan(path) if e.kind == frames.SESSION]
        for session in journal.failures(sessions):
            # All workers of a job note the same numbers; a process does several jobs.
            block = block_of_journal(path)
            token = session.get("token", "")
            jobs[session["host"], session["job"], block, token] = session
    counts = DivisionCounts.load(job.round)
    return {
        key: getattr(counts, key, 0) + sum(session[key] for session in jobs.values())
        for key in keys
    }


def _check_complete(job: Job, indices: Indices) -> None:
    """Refuse to merge with rows missing, as jobs that had fetched them were killed."""
    data, n_items = job.data, len(job.data.division.space)
    # They are sorted, and there may be very many.
    n_twice = int(np.count_nonzero(indices[1:] == indices[:-1]))
    if n_twice:
        raise JobError(
            f"{job.round.blocks}: holds the rows of {n_twice} assignments twice. Mend "
            f"it with 'psy doctor --repair {job.plan.task}'."
        )
    n_missing = n_items - len(indices) - data.n_accepted_failures()
    if n_missing:
        raise JobError(
            f"{n_missing} of {n_items} assignments have no row, as "
            "jobs were killed or saw another random space. Run again: only what is "
            "missing is evaluated then."
        )


def _clean_up(job: Job) -> None:
    """Remove journals, claims, marks of earlier merges, and rounds without use."""
    for mark in job.round.folder.glob(job.round.merge_mark("*").name):
        mark.unlink(missing_ok=True)
    rounds, left_out = job.layout.rounds(), job.data.division.left_out
    earlier = [n for n in rounds if n < job.plan.round]
    for number in earlier:
        keep_unusable_of(rounds[number], rounds[number].all_journals())
        if number not in left_out:
            remove_round(rounds[number])
        else:
            _reduce(job, rounds[number], left_out[number])
    keep_unusable_of(job.round, job.round.all_journals())
    for folder in (job.round.journals, job.round.claims, job.round.finished):
        shutil.rmtree(folder, ignore_errors=True)
    _remove_leftovers(job)
    forget_others(job.layout.loaded, job.imported.version.source.code)


def _reduce(job: Job, round_: Round, left_out: Indices) -> None:
    """Have a round of before not hold more than twice the rows that it is left for."""
    counts = DivisionCounts.load(round_)
    if counts is None:
        return
    data = RoundData(round_, job.store(counts.ext), _ignore, _ignore)
    try:
        if len(left_out) < _SHARE * data.n_rows:
            reduce_round(Taken(data, left_out), job.plan)
    except (PsyrunError, OSError) as error:
        # It only takes more room than it need.
        log_line(f"{round_.folder}: is kept as it is: {one_line(error)}")


def _ignore(*_: object) -> None:
    pass


def _remove_leftovers(job: Job) -> None:
    """Remove what jobs were writing that were killed; no other may write now."""
    result = Path(os.path.realpath(job.plan.resultfile))
    remove_abandoned(result.parent, result.name, of_all=True)
    for folder in (job.round.folder, job.round.blocks):
        remove_abandoned(folder, of_all=True)
    layout = job.layout
    for folder in (job.round.locks, layout.loaded, layout.versions, layout.folder):
        remove_abandoned(folder)
    remove_abandoned_rights(job.layout)
    for path in job.round.folder.glob(".rows-*"):
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
