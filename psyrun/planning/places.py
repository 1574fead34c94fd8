"""Where a task may have its work folder: apart from other people's files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from psyrun.errors import TaskError
from psyrun.tasks.loading import Task
from psyrun.workdir.layout import RECORDS, TaskLayout

_TOOLS = {
    ".snakemake": "Snakemake",
    RECORDS: "psyrun, with what it records of task files",
    ".git": "Git",
    ".hg": "Mercurial",
    ".svn": "Subversion",
    "__pycache__": "Python",
}
"""Folders that belong to a program, which may remove what it does not know."""

_ROUND = re.compile(r"round-[0-9]+")


def check_apart(task: Task) -> None:
    """Refuse work folders and results among files that are not the task's.

    A work folder that is in use already stays where it is.
    """
    _check_tools(task)
    layout = TaskLayout.of(task.workdir, task.name)
    _check_result(task, layout)
    if layout.state.exists() or layout.origin.exists():
        return
    if what := _shared(task, layout):
        raise TaskError(
            f"{task.path}: workdir is {str(task.workdir)!r}, {what}. Choose a folder "
            "for psyrun alone, such as 'psy-work'."
        )
    if foreign := _foreign(layout):
        raise TaskError(
            f"{task.path}: workdir is {str(task.workdir)!r}, but {str(foreign)!r} is "
            "there and not psyrun's. Choose another workdir, or move that file away."
        )


def _check_tools(task: Task) -> None:
    for name, path in (("workdir", task.workdir), ("resultfile", task.resultfile)):
        for part in _parts(path):
            if part in _TOOLS:
                raise TaskError(
                    f"{task.path}: {name} is {str(path)!r}, in a folder {part!r} of "
                    f"{_TOOLS[part]}. Choose another path."
                )


def _parts(path: Path) -> tuple[str, ...]:
    """Return the folders on a path, without those in which the project is."""
    found, project = _real(path), _real(Path.cwd())
    is_inside = project in found.parents
    return (found.relative_to(project) if is_inside else found).parts


def _shared(task: Task, layout: TaskLayout) -> str:
    """Return for what else the work folder is used; empty if for nothing."""
    workdir, folder, project, taskdir = map(
        _real, (task.workdir, layout.folder, Path.cwd(), task.taskdir)
    )
    if workdir == project:
        return "which is the project folder"
    if workdir in project.parents:
        return "which contains the project folder"
    if workdir == taskdir or taskdir in workdir.parents:
        return f"in the folder of the task files, {str(task.taskdir)!r}"
    for home in _homes():
        if home in (workdir, folder) or folder in home.parents:
            return "which is your home folder"
    if folder == taskdir or folder in (project, *project.parents, *taskdir.parents):
        return f"so that {str(layout.folder)!r} has other files in it"
    for above in (workdir, *workdir.parents):
        if TaskLayout(above).origin.exists():
            return f"in {str(above)!r}, which is the work folder of another task"
    return ""


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _homes() -> Iterator[Path]:
    # There may be none.
    with suppress(RuntimeError):
        home = Path.home()
        if home.is_absolute() and home != Path("/"):
            yield _real(home)


def _check_result(task: Task, layout: TaskLayout) -> None:
    """Refuse a result among the files that psyrun itself has in the work folder."""
    result, folder = _real(task.resultfile), _real(layout.folder)
    if folder not in result.parents:
        return
    first = result.relative_to(folder).parts[0]
    if _ROUND.fullmatch(first) or first in _own_folders(layout):
        raise TaskError(
            f"{task.path}: resultfile is {str(task.resultfile)!r}, where psyrun has "
            f"files of its own. Leave resultfile out for "
            f"{str(layout.folder / f'result{task.store.ext}')!r}, or choose a path "
            "elsewhere."
        )


def _own_folders(layout: TaskLayout) -> set[str]:
    return {each.name for each in (layout.queue, layout.controllers, layout.loaded)}


def _foreign(layout: TaskLayout) -> Path | None:
    """Return a file where psyrun would write one of its own, if it is not psyrun's."""
    for path in (layout.snakefile, layout.environment):
        with suppress(OSError):
            if path.stat().st_size and b"psyrun" not in path.read_bytes():
                return path
    return None
