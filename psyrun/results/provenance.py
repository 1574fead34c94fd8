"""Where the rows of a result come from."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from psyrun.results.load import RecordedTask, find
from psyrun.store.base import Store
from psyrun.store.metadata import PROVENANCE, metadata_of, unpacked
from psyrun.store.registry import store_for
from psyrun.tasks.provenance import recorded_provenance
from psyrun.utils.files import Filename, damaged

_SHOWN = 12  # digits of a version, as in `psyrun.results.costs`


def provenance(
    task_or_path: Filename, taskdir: Filename | None = None
) -> dict[str, dict[str, Any]]:
    """Return where the rows of a task, or of a data file, come from.

    Parameters
    ----------
    task_or_path, taskdir : path-like
        As for `psyrun.load`.

    Returns
    -------
    dict of str to dict
        For each version of the task, by the begin of its fingerprint, what was
        recorded when it was run first: ``recorded`` (seconds since the epoch),
        ``command``, ``host``, ``python``, ``platform``, ``psyrun``, ``libraries``
        (versions by name), ``git`` (see the documentation), ``files`` and ``source``
        (text by file). It is empty if nothing is known.

    Raises
    ------
    PsyrunError
        If there is no such task or file, or it cannot be read.
    """
    return provenance_of(find(task_or_path, taskdir))


def provenance_of(found: RecordedTask | Path) -> dict[str, dict[str, Any]]:
    """Return where the rows of a task, or of a file, come from; see `provenance`."""
    if isinstance(found, Path):
        known = _of_file(store_for(found), found)
    else:
        known = _of_task(found)
    by_time = sorted(known.items(), key=lambda item: _seconds(item[1]))
    return {fingerprint[:_SHOWN]: record for fingerprint, record in by_time}


def _seconds(record: Mapping[str, Any]) -> float:
    recorded = record.get("recorded")
    return float(recorded) if isinstance(recorded, int | float) else 0.0


def within(known: Mapping[str, Any], most: int) -> dict[str, dict[str, Any]]:
    """Return what is known of versions, without texts where it would be too much.

    Parameters
    ----------
    known : dict of str to dict
        As `provenance` returns it; versions that come later are more important.
    most : int
        About how many characters the texts may have together. Of source files and of
        the changes that git knows, those that are too long are left out; the names of
        files are then in ``left_out``.
    """
    found, left = {}, most
    for version, record in reversed(list(known.items())):
        source, left_out = {}, []
        for name, text in (record.get("source") or {}).items():
            if len(text) <= left:
                source[name], left = text, left - len(text)
            else:
                left_out.append(name)
        found[version] = {**record, "source": source}
        git = record.get("git")
        diff = git.get("diff") if isinstance(git, dict) else None
        if isinstance(diff, str) and len(diff) > left:
            found[version]["git"] = {**git, "diff": None}
            left_out.append("git diff")
        elif isinstance(diff, str):
            left -= len(diff)
        if left_out:
            found[version]["left_out"] = left_out
    return dict(reversed(list(found.items())))


def _of_task(task: RecordedTask) -> dict[str, Any]:
    folder = task.layout.provenance
    names = sorted(path.stem for path in folder.glob("[!.]*.json"))
    return _in_result(task) | recorded_provenance(folder, names)


def _in_result(task: RecordedTask) -> dict[str, Any]:
    return task.read_result(_of_file) if task.resultfile.exists() else {}


def _of_file(store: Store, path: Path) -> dict[str, Any]:
    metadata = metadata_of(store, path, (PROVENANCE,))
    if metadata is None or PROVENANCE not in metadata.arrays:
        return {}
    with suppress(ValueError, zlib.error):
        known = unpacked(metadata.arrays[PROVENANCE])
        if isinstance(known, dict) and all(map(_is_record, known.values())):
            return known
    raise damaged(path, "has a provenance that cannot be read")


def _is_record(value: object) -> bool:
    return isinstance(value, dict)
