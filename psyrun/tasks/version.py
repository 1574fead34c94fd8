"""Which version of a task its source is."""

from __future__ import annotations

from pathlib import Path

from psyrun.tasks.fingerprint import fingerprint
from psyrun.tasks.loading import Task
from psyrun.utils.files import read_json, write_json


def version_of(task: Task, cache: Path) -> str:
    """Return the fingerprint of a task; digests of large files are remembered.

    Parameters
    ----------
    task : Task
        The task.
    cache : Path
        File in which the digests are remembered.

    Raises
    ------
    TaskError
        If a file that it depends on cannot be read.
    """
    digests: dict[str, str] = read_json(cache) or {}
    before = dict(digests)
    found = fingerprint(task.path, task.conf_path, task.file_dep, Path.cwd(), digests)
    if digests != before:
        write_json(cache, digests)
    return found
