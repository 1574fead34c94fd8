"""Removing what was generated for a task."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psyrun.errors import PsyrunError, RunningError
from psyrun.queue.asking import ignore_warning
from psyrun.queue.recovery import find_earlier_jobs, release_locks
from psyrun.run.controller_job import controllers
from psyrun.utils.text import counted
from psyrun.workdir.layout import TaskLayout, layout_of, record_of_task
from psyrun.workdir.lock import Lock, running_jobs
from psyrun.workdir.progress import MergeRecord

GENERATED = "# Written by psyrun"
"""How the Snakefiles begin that psyrun generates."""


def clean_task(taskdir: Path, name: str) -> int:
    """Remove what was generated for a task, and return the exit status."""
    layout = layout_of(taskdir, name)
    removed = _clean_folder(layout) if _is_own(layout) else []
    record_of_task(taskdir, name).unlink(missing_ok=True)
    if not removed:
        print(f"{name}: there is nothing to remove")
        return 0
    for path in removed:
        print(f"removed {path}")
    if layout.folder.exists():
        print(f"{layout.folder}: kept, as psyrun did not write all that is in it")
    return 0


def _is_own(layout: TaskLayout) -> bool:
    """Whether a folder that is called like the task's was made by psyrun."""
    if layout.state.is_file():
        return True
    with suppress(OSError, UnicodeDecodeError):
        return layout.snakefile.read_text(encoding="utf-8").startswith(GENERATED)
    return False


def _clean_folder(layout: TaskLayout) -> list[Path]:
    """Remove what psyrun wrote of a task, and the folder if that was all."""
    with _locked_and_idle(layout):
        results = _results(layout)
        # Somebody else may have cleaned while the lock was waited for.
        is_own = _is_own(layout)
        for path in [*results, *_own_entries(layout)]:
            _remove(path)
    elsewhere = [path for path in results if layout.folder not in path.parents]
    with suppress(OSError):
        layout.folder.rmdir()
    return [*elsewhere, layout.folder] if is_own else []


def _results(layout: TaskLayout) -> list[Path]:
    """Return the result files that were merged into."""
    paths = set()
    for round_ in layout.rounds().values():
        # A damaged record must not keep the rest from being removed.
        with suppress(PsyrunError):
            merged = MergeRecord.load(round_)
            paths |= set() if merged is None else {Path(merged.into)}
    return sorted(path for path in paths if path.is_file())


def _own_entries(layout: TaskLayout) -> list[Path]:
    folder = layout.folder
    entries = [
        layout.snakefile,
        layout.environment,
        layout.state,
        layout.digests,
        layout.source,
        layout.version,
        layout.loaded,
        layout.results,
        layout.snakemake_log,
        layout.queue,
        layout.controllers,
        layout.run_record,
        layout.run_log,
        layout.stop,
        *folder.glob(f"{layout.name}:*.log"),
        # Left by processes that were killed while they wrote one of the above.
        *folder.glob(".lock.*"),
        *folder.glob(".*.tmp"),
        *(round_.folder for round_ in layout.rounds().values()),
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
    found = find_earlier_jobs(layout, None, ignore_warning, records=True)
    release_locks(layout, found)
    found += controllers(layout, ignore_warning)
    n_jobs = sum(len(one.alive) for one in found)
    if n_jobs:
        raise RunningError(
            f"task {layout.name!r}: {counted(n_jobs, 'job')} of it are in the queue. "
            f"{hint}"
        )
    for job, holder in running_jobs(layout):
        raise RunningError(
            f"task {layout.name!r}: its job {job} is still run by {holder}. {hint}"
        )
