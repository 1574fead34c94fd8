"""Which version of a task its source is."""

from __future__ import annotations

from pathlib import Path

from psyrun.files import read_json, write_json
from psyrun.fingerprint import fingerprint
from psyrun.layout import TaskLayout
from psyrun.tasks import Task


def version_of(task: Task) -> str:
    """Return the fingerprint of a task; digests of large files are remembered.

    Parameters
    ----------
    task : Task
        The task.

    Raises
    ------
    TaskError
        If a file that it depends on cannot be read.
    """
    cache = TaskLayout.of(task.workdir, task.name).digests
    digests: dict[str, str] = read_json(cache) or {}
    before = dict(digests)
    found = fingerprint(task.path, task.conf_path, task.file_dep, Path.cwd(), digests)
    if digests != before:
        write_json(cache, digests)
    return found
