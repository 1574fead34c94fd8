"""Removing what was generated for a task."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

from psyrun.errors import PsyrunError, RunningError, TaskError
from psyrun.queue.asking import ignore_warning
from psyrun.queue.ledger import Ledger
from psyrun.queue.recovery import EarlierJobs, find_earlier_jobs, release_locks
from psyrun.queue.trust import never
from psyrun.run.controller_job import controllers, controllers_of
from psyrun.scheduler.registry import installed
from psyrun.tasks.changes import forget_versions
from psyrun.utils.files import file_beside, read_bytes, write_json
from psyrun.utils.text import counted
from psyrun.utils.users import name_of_user
from psyrun.workdir.copies import separate
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import TaskLayout, layout_of, record_of_task
from psyrun.workdir.lock import Lock, live_holder, running_jobs
from psyrun.workdir.origin import other_owner
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import MergeRecord, is_merged
from psyrun.workdir.result_file import (
    is_in_work_folder,
    merge_records,
    original_of_result,
)
from psyrun.workdir.snakemake_records import forget_incomplete, forget_missing

Kept: TypeAlias = list[tuple[Path, str]]
_LEFT_BEHIND = re.compile(r"lock|\.lock\..*|\..*\.tmp")

GENERATED = "# Written by psyrun"
"""How the Snakefiles begin that psyrun generates."""


def clean_task(taskdir: Path, name: str) -> int:
    """Remove what was generated for a task, and return the exit status."""
    layout = layout_of(taskdir, name)
    refuse_other_owner(layout, taskdir)
    is_there = _is_own(layout) or _is_left_behind(layout)
    removed, kept = _clean_folder(layout) if is_there else ([], [])
    record_of_task(taskdir, name).unlink(missing_ok=True)
    for path, why in kept:
        print(f"{path}: kept, as {why}")
    if not removed:
        print(f"{name}: there is nothing to remove")
        return 0
    for path in removed:
        print(f"removed {path}")
    if layout.folder.exists():
        print(f"{layout.folder}: kept, as psyrun did not write all that is in it")
    return 0


def clean_old(taskdir: Path, name: str) -> int:
    """Remove the rows of a task that are not in its result; return the exit status."""
    from psyrun.workdir.old_rounds import recover, remove_round

    layout = layout_of(taskdir, name)
    refuse_other_owner(layout, taskdir)
    plan = Plan.load(layout)
    if plan is None:
        print(f"{name}: there is nothing to remove")
        return 0
    with _locked_and_idle(layout):
        plan = Plan.required(layout)
        if not is_merged(layout, plan):
            raise PsyrunError(
                f"task {name!r}: is not finished, so that rows of before may still be "
                f"needed. Finish it with 'psy run {plan.arguments}', then clean it."
            )
        recover(layout)
        old = [r for n, r in layout.rounds().items() if n != plan.round]
        size = sum(_size_of(round_.folder) for round_ in old)
        for round_ in old:
            remove_round(round_)
        last = layout.round(plan.round)
        counts = DivisionCounts.load(last)
        n_rows = 0 if counts is None else counts.n_left_out
        if counts is not None and n_rows:
            write_json(last.division, asdict(replace(counts, n_left_out=0)))
        _forget_versions(layout, plan, counts)
    if not old:
        print(f"{name}: there is nothing to remove")
    else:
        rows = counted(n_rows, "row")
        print(f"{name}: removed {rows} that are not in the result, {size / 1e6:.1f} MB")
    return 0


def _forget_versions(
    layout: TaskLayout, plan: Plan, counts: DivisionCounts | None
) -> None:
    """Remove what former versions of a task consisted of, of which no rows are left."""
    if counts is None or counts.n_older or counts.n_former:
        # Only the rows themselves tell of which versions they are.
        return
    of_rows = {counts.fingerprint, counts.space_source}
    keep = {*plan.names, plan.space_source, *of_rows} - {""}
    forget_versions(layout.versions, keep)


def _size_of(folder: Path) -> int:
    """Return how many bytes are given back if a folder is removed."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            status = path.lstat()
            size += status.st_size if status.st_nlink == 1 else 0
    return size


def refuse_other_owner(layout: TaskLayout, taskdir: Path) -> None:
    """Refuse what is of a task of another folder, or another project, of that name."""
    owner = other_owner(layout, taskdir / f"task_{layout.name}.py")
    if owner is not None:
        raise TaskError(
            f"{layout.folder}: is the work folder of {owner}, not of the task in "
            f"{taskdir}. Name the folder of that task with --taskdir, in its project."
        )


def _is_own(layout: TaskLayout) -> bool:
    """Whether a folder that is called like the task's was made by psyrun."""
    if layout.state.is_file() or layout.origin.is_file():
        return True
    with suppress(OSError, UnicodeDecodeError):
        return read_bytes(layout.snakefile).startswith(GENERATED.encode())
    return False


def _is_left_behind(layout: TaskLayout) -> bool:
    """Whether a removal of a folder was cut off at its very end."""
    with suppress(OSError, PsyrunError):
        names = [path.name for path in layout.folder.iterdir()]
        is_all = all(map(_LEFT_BEHIND.fullmatch, names))
        # Who is still at it says so itself.
        return is_all and live_holder(layout.lock) is None
    return False


def _clean_folder(layout: TaskLayout) -> tuple[list[Path], Kept]:
    """Remove what psyrun wrote of a task, and the folder if that was all.

    Whoever is cut off in between finds all that tells of the rest.
    """
    separate(layout)
    is_left_behind = _is_left_behind(layout)
    with _locked_and_idle(layout):
        results, kept = _results(layout)
        # Somebody else may have cleaned while the lock was waited for.
        is_own = is_left_behind or _is_own(layout)
        beside = _beside_results(layout, kept)
        for path in [*results, *beside, *_own_entries(layout)]:
            _remove(path)
        forget_incomplete(layout.folder, results)
        forget_missing(layout.folder, results)
    elsewhere = [path for path in results if not is_in_work_folder(layout, path)]
    with suppress(OSError):
        layout.folder.rmdir()
    return [*elsewhere, layout.folder] if is_own else [], kept


def _results(layout: TaskLayout) -> tuple[list[Path], Kept]:
    """Return the results to be removed, and those to be kept, with the reason."""
    results: list[Path] = []
    kept: Kept = []
    for record in merge_records(layout):
        path = Path(record.into)
        if not path.is_file() or path in results:
            continue
        why = _why_kept(layout, record)
        if why:
            kept.append((path, why))
        else:
            # A link is the user's; what was written is the file it points to.
            results.append(path.resolve() if path.is_symlink() else path)
    return sorted(results), kept


def _beside_results(layout: TaskLayout, kept: Kept) -> list[Path]:
    """Return what stands beside results that are not kept."""
    names = {file_beside(record.into) for record in merge_records(layout)}
    names -= {file_beside(path) for path, _ in kept}
    return sorted(path for path in names if path.is_file())


def _why_kept(layout: TaskLayout, record: MergeRecord) -> str:
    """Return why a file is kept that is recorded as a result; empty if it is not."""
    path = Path(record.into)
    if path.stem == "result" and path.absolute().parent == layout.folder.absolute():
        return ""
    original = original_of_result(layout, path)
    if original is not None:
        return f"it is the result of {original}, which was copied"
    if record.result is None:
        return (
            "it was written by a former version of psyrun, which recorded too little "
            "to recognize it; delete it if you do not need it"
        )
    if problem := record.problem_of_result(path):
        return f"it is not what psyrun wrote: it {problem}"
    if path.stat().st_uid != layout.folder.stat().st_uid:
        return f"it belongs to {name_of_user(path.stat().st_uid)}"
    return ""


def _own_entries(layout: TaskLayout) -> list[Path]:
    folder = layout.folder
    entries = [
        layout.environment,
        layout.digests,
        layout.source,
        layout.version,
        layout.versions,
        layout.description,
        layout.loaded,
        layout.provenance,
        layout.snakemake_log,
        layout.queue,
        layout.controllers,
        layout.damaged,
        layout.run_record,
        layout.run_log,
        layout.stop,
        *layout.logs(),
        layout.plain_names,
        # Left by processes that were killed while they wrote one of the above.
        *folder.glob(".lock.*"),
        *folder.glob(".*.tmp"),
        *folder.glob(".round-*"),
        *(round_.folder for round_ in layout.rounds().values()),
        layout.results,
        # By these, the folder is known as psyrun's.
        layout.snakefile,
        layout.state,
        layout.origin,
    ]
    return [path for path in entries if path.exists()]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _locked_and_idle(layout: TaskLayout) -> Iterator[None]:
    """Hold the lock of a task, none of whose jobs is queued or running."""
    lock = Lock(layout.lock, f"task {layout.name!r}")
    hint = f"Stop it with 'psy kill {layout.name}', then clean it."
    try:
        lock.acquire()
    except RunningError as error:
        raise RunningError(f"{error} {hint}") from None
    try:
        _refuse_jobs(layout, hint)
        yield
    finally:
        lock.release()


def _refuse_jobs(layout: TaskLayout, hint: str) -> None:
    found = find_earlier_jobs(layout, None, ignore_warning, records=True, thaw=never)
    release_locks(layout, found)
    found += controllers(layout, ignore_warning, never)
    n_jobs = sum(len(one.alive) for one in found)
    if n_jobs:
        raise RunningError(
            f"task {layout.name!r}: {counted(n_jobs, 'job')} of it are in the queue. "
            f"{hint}"
        )
    _refuse_jobs_of_others(layout, found, hint)
    for job, holder in running_jobs(layout):
        raise RunningError(
            f"task {layout.name!r}: its job {job} is still run by {holder}. {hint}"
        )


def _refuse_jobs_of_others(
    layout: TaskLayout, found: Sequence[EarlierJobs], hint: str
) -> None:
    """Refuse jobs that have not ended, as far as is recorded, in other queues.

    To ask those would take code of the project.
    """
    asked = {batch.key for one in found for batch in one.batches}
    ledgers = (Ledger(layout), Ledger(layout, controllers_of(layout)))
    for batch in (batch for ledger in ledgers for batch in ledger.batches()):
        is_other = batch.key not in asked and not installed(batch.intent.scheduler)
        if is_other and (n_jobs := len(batch.open())):
            name = batch.intent.scheduler.replace(":", ".")
            raise RunningError(
                f"task {layout.name!r}: {counted(n_jobs, 'job')} of it may be in the "
                f"queue of {name!r}. {hint} If that scheduler is gone, and the jobs "
                f"have ended, delete {batch.folder} first."
            )
