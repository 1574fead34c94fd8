"""The project that a folder is in, found in the folders above it, as git does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from psyrun.utils.process.isolation import isolate

_IMPORT_PATH = "PYTHONPATH"
TASKDIR = Path("psy-tasks")
"""The folder of the task files, in that of the project."""


def project_above() -> Path | None:
    """Return the project folder above the current one; None if this is a project.

    It is the closest one with a folder ``psy-tasks``, as a path from the current
    folder, such as ``../..``. There is none beyond the home folder, or on another file
    system. Folders that belong to another user are passed over: files that others have
    left above, such as in ``/tmp``, are not run.
    """
    if TASKDIR.is_dir():
        return None
    here = Path.cwd()
    for folder in _above(here):
        if _is_own_folder(folder / TASKDIR):
            return Path(os.path.relpath(folder, here))
    return None


def _above(here: Path) -> Iterator[Path]:
    """Yield the folders above one, up to the home folder or the end of its disk."""
    home, disk = os.path.realpath(os.path.expanduser("~")), here.stat().st_dev  # noqa: PTH111
    below = here
    for folder in here.parents:
        # Beyond, the mere question for a name may have a network disk mounted.
        if str(below) == home or folder.stat().st_dev != disk:
            return
        yield folder
        below = folder


def _is_own_folder(path: Path) -> bool:
    try:
        return path.is_dir() and path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def is_of_task_files(project: Path) -> bool:
    """Whether the current folder holds the task files of a project, or is in it."""
    return Path.cwd().is_relative_to((project / TASKDIR).resolve())


def enter(project: Path) -> None:
    """Go to a project, so that all is as if this process had been started there.

    What PYTHONPATH names stays what it was.
    """
    if named := os.environ.get(_IMPORT_PATH):
        entries = [
            entry and str(Path(entry).absolute()) for entry in named.split(os.pathsep)
        ]
        os.environ[_IMPORT_PATH] = os.pathsep.join(entries)
    os.chdir(project)
    if "PWD" in os.environ:
        # Programs take it for the name of the current folder.
        os.environ["PWD"] = str(Path.cwd())
    isolate()


def seen_from(project: Path, word: str) -> str:
    """Return an argument for a program in which a path leads from the project.

    It is `word`, or the value in ``--option=value``. A path begins with ``./`` or
    ``../``, or has a ``/`` and leads to something from the current folder.
    """
    option, equals, path = word.rpartition("=") if word[:2] == "--" else ("", "", word)
    is_path = path.startswith(("./", "../")) or ("/" in path and Path(path).exists())
    if not is_path or Path(path).is_absolute():
        return word
    return f"{option}{equals}{os.path.relpath(path, project)}"
