"""Files that a task seems to depend on, though it does not say so."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from psyrun.tasks.fingerprint import Source
from psyrun.tasks.loading import Task
from psyrun.utils.process.code_watch import is_below, is_installed

_CODE = frozenset({".py", ".pyc", ".pyi", ".so", ".pyd", ".pth"})
_OF_THE_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib")


def unlisted_files(task: Task, source: Source, opened: Iterable[str]) -> list[str]:
    """Return the data files among those that the import of a task opened.

    They are not in `file_dep`, and the source that rows depend on has their names.
    """
    root = Path.cwd()
    paths = [Path(path) for path in sorted(opened) if _is_data(Path(path), task)]
    unlisted = [p for p in paths if os.path.realpath(p) not in source.judged]
    return [
        str(path.relative_to(root) if path.is_relative_to(root) else path)
        for path in unlisted
        if path.name in source.file_names
    ]


def _is_data(path: Path, task: Task) -> bool:
    text = str(path)
    if path.suffix in _CODE or text.startswith(_OF_THE_SYSTEM) or is_installed(text):
        return False
    made = is_below(text, task.workdir.absolute()) or path == task.resultfile.absolute()
    return not made and path.is_file()
