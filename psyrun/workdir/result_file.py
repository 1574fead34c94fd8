"""Whose a file is that stands where a result is to go: users' own are never replaced.

What a task has in its work folder is psyrun's. Elsewhere, a file is a result if it is
recorded as one: by the merge of its round, or in the list of all results of the task.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.utils.files import Filename, read_json, write_json
from psyrun.workdir.layout import Round, TaskLayout
from psyrun.workdir.origin import Origin
from psyrun.workdir.progress import MergeRecord

KEPT = "kept"
"""Word in the name of a file that had to make room, as in ``data.kept.pkl``."""


def is_free(path: Filename) -> bool:
    """Whether nothing is lost if a file of that name is replaced."""
    target = Path(os.path.realpath(path))
    if not os.path.lexists(target):
        return True
    return target.is_file() and target.stat().st_size == 0


def is_in_work_folder(layout: TaskLayout, path: Filename) -> bool:
    """Whether a file is in the folder of its task, also through links."""
    folder = Path(os.path.realpath(layout.folder))
    return folder in Path(os.path.realpath(path)).parents


def is_result(layout: TaskLayout, path: Filename) -> bool:
    """Whether a file is what a merge of the task wrote there, as it was written.

    What is not known of it, as a former version of psyrun wrote it, does not count.
    """
    if original_of_result(layout, path) is not None:
        return False
    for written in _written(layout):
        if os.path.realpath(written.into) == os.path.realpath(path):
            round_ = _round_of(layout, written)
            return not written.problem_of_result(Path(path), quick_in=round_)
    return False


def note_result(layout: TaskLayout, record: MergeRecord) -> None:
    """Record what is written, for as long as the task lives.

    Before it is written, the record has no checksum.
    """
    place = os.path.realpath(record.into)
    known = _listed(layout)
    others = [each for each in known if os.path.realpath(each.into) != place]
    records = [asdict(each) for each in (record, *others)]
    write_json(layout.results, {"written": records})


def _round_of(layout: TaskLayout, record: MergeRecord) -> Round | None:
    rounds = layout.rounds().values()
    return next((each for each in rounds if record.is_complete(each)), None)


def _written(layout: TaskLayout) -> Iterator[MergeRecord]:
    """Yield what is known of results, the last one first."""
    yield from _listed(layout)
    # Former versions had no list.
    yield from merge_records(layout)


def original_of_result(layout: TaskLayout, path: Filename) -> Path | None:
    """Return the work folder whose result a file is, if this is a copy of it."""
    origin = Origin.load(layout)
    if origin is None or os.path.realpath(path) not in origin.inherited:
        return None
    former = Path(origin.former)
    return former if former.exists() else None


def recorded_results(layout: TaskLayout) -> list[str]:
    """Return where results were written to, the last one first."""
    return list(dict.fromkeys(record.into for record in _written(layout)))


def _listed(layout: TaskLayout) -> list[MergeRecord]:
    with suppress(PsyrunError, AttributeError, TypeError, ValueError):
        record = read_json(layout.results) or {}
        return [MergeRecord.of_record(each) for each in record.get("written", ())]
    return []


def merge_records(layout: TaskLayout) -> Iterator[MergeRecord]:
    """Yield the records of merges, the last one first; damaged ones are left out."""
    for round_ in reversed(layout.rounds().values()):
        with suppress(PsyrunError):
            record = MergeRecord.load(round_)
            if record is not None:
                yield record


def is_foreign(layout: TaskLayout, path: Filename) -> bool:
    """Whether there is a file that this task has not written, and that is not empty."""
    return not (
        is_free(path) or is_in_work_folder(layout, path) or is_result(layout, path)
    )
