"""Copies of work folders, which have nothing of a run of the original's."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.utils.files import can_be_made
from psyrun.workdir.holder import recorded_holder
from psyrun.workdir.layout import SPLIT, TaskLayout
from psyrun.workdir.lock import Lock, locks_of
from psyrun.workdir.origin import Origin, original_of
from psyrun.workdir.result_file import recorded_results
from psyrun.workdir.run_record import RunRecord


def settle(layout: TaskLayout) -> None:
    """Record where a work folder is, and make a copy a folder of its own.

    What the copy has of a run of the original's is forgotten. Raises `RunningError` if
    another process does so.
    """
    layout.folder.mkdir(parents=True, exist_ok=True)
    separate(layout)
    _note_place(layout)


def separate(layout: TaskLayout) -> None:
    """Make a copy a folder of its own; do nothing to another folder."""
    if original_of(layout) is None:
        return
    with Lock(layout.settling, f"the copy {str(layout.folder)!r}"):
        original, origin = original_of(layout), Origin.load(layout)
        if original is not None and origin is not None:
            _separate(layout, original, origin)


def _note_place(layout: TaskLayout) -> None:
    here, known = Origin.here(layout), Origin.load(layout)
    if known is not None:
        here = replace(
            known, folder=here.folder, project=here.project, inode=here.inode
        )
    if here != known:
        note_possible_names(layout)
        here.save(layout)


def note_possible_names(layout: TaskLayout) -> None:
    """Record whether the disk of a folder takes no colon in the name of a file.

    FAT and exFAT take none, nor do network disks of Windows.
    """
    log = layout.log(SPLIT)
    if not can_be_made(log) and can_be_made(log.with_name(SPLIT)):
        layout.plain_names.touch()


def _separate(layout: TaskLayout, original: TaskLayout, origin: Origin) -> None:
    for path in (layout.lock, *locks_of(layout)):
        there = original.folder / path.relative_to(layout.folder)
        if _is_copied_lock(path, there, original):
            path.unlink(missing_ok=True)
    if _token_of_run(layout) == _token_of_run(original):
        layout.run_record.unlink(missing_ok=True)
    shared = {
        os.path.realpath(path)
        for path in recorded_results(layout)
        if os.path.realpath(path) == os.path.realpath(Path(origin.project, path))
    }
    here = Origin.here(layout)
    inherited = tuple(sorted(shared))
    note_possible_names(layout)
    replace(here, former=origin.folder, inherited=inherited).save(layout)


def _token_of_run(layout: TaskLayout) -> str:
    with suppress(PsyrunError, OSError):
        record = RunRecord.load(layout)
        return "" if record is None else record.token
    return ""


def _is_copied_lock(path: Path, there: Path, original: TaskLayout) -> bool:
    """Whether a lock names who runs the original, or has done so last."""
    with suppress(PsyrunError, OSError):
        holder, run = recorded_holder(path), RunRecord.load(original)
        if holder is None:
            return False
        is_of_run = run is not None and holder.is_same_process(run.holder)
        return is_of_run or holder == recorded_holder(there)
    return False
