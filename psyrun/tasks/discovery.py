"""Folders of task files, and the names of tasks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn, TypeAlias

from psyrun.errors import TaskError, did_you_mean

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def check_name(name: str) -> None:
    """Refuse a task name that cannot be part of file and rule names."""
    if not _SAFE_NAME.fullmatch(name):
        raise TaskError(
            f"task name {name!r}: only letters (a-z, A-Z), digits, '_', '-' and '.' "
            "are allowed, with '-' and '.' not in front. Choose another name."
        )


def task_path(taskdir: Path, name: str) -> Path:
    """Return the file that defines, or would define, a task with a valid name."""
    check_name(name)
    return taskdir / f"task_{name}.py"


Refuse: TypeAlias = Callable[[Path, Exception], None]
"""Is told of a task file that cannot be used, and why; may raise the exception."""


def find_tasks(
    taskdir: Path, *, all_are_meant: bool = False, refuse: Refuse | None = None
) -> dict[str, Path]:
    """Return the files of all tasks of a folder by their sorted names; runs none.

    A file that cannot be that of a task, as its name is not allowed or it is a link
    to nowhere, is left out, which `refuse` is told. Without that it is an error if
    `all_are_meant`, as something is to be done with each file, else a warning. Raises
    `TaskError` where there is no such folder, or two names cannot be told apart in
    file or rule names.
    """
    if refuse is None:
        refuse = raise_error if all_are_meant else _warn
    if not taskdir.is_dir():
        raise TaskError(
            f"{taskdir}: there is no such folder of task files. Create a task with "
            "'psy new-task NAME', or name another folder with --taskdir."
        )
    files = sorted(path for path in taskdir.glob("task_*.py") if not path.is_dir())
    tasks = dict(sorted(_named(files, refuse)))
    _check_distinct(tasks)
    return tasks


def _named(files: Iterable[Path], refuse: Refuse) -> Iterator[tuple[str, Path]]:
    """Yield task files by name, and leave out what cannot be one if it may be."""
    for path in files:
        try:
            name = task_name(path)
            _check_link(path)
        except TaskError as error:
            refuse(path, error)
        else:
            yield name, path


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise TaskError(
            f"{path}: is a link to {str(path.readlink())!r}, which is not there. Mend "
            "the link, or remove it."
        )


def raise_error(path: Path, error: Exception) -> NoReturn:
    """Refuse to go on without a task file."""
    raise error


def _warn(path: Path, error: Exception) -> None:
    warnings.warn(f"{error} The file is left out.", UserWarning, stacklevel=1)


def select(taskdir: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the files of some tasks of a folder, or of all if no name is given.

    Raises `TaskError`, naming tasks with similar names, for an unknown one.
    """
    tasks = find_tasks(taskdir)
    chosen = list(names) or list(tasks)
    for name in chosen:
        if name not in tasks:
            raise unknown_task(name, tasks, taskdir)
    return {name: tasks[name] for name in chosen}


def task_name(path: Path) -> str:
    """Return the name of the task that a file ``task_<name>.py`` defines."""
    name = path.name.removeprefix("task_").removesuffix(".py")
    if path.name != f"task_{name}.py":
        raise TaskError(
            f"{path}: this is not the name of a task file. Call it task_<name>.py."
        )
    try:
        check_name(name)
    except TaskError as error:
        raise TaskError(f"{str(path)!r}: {error}") from None
    return name


def _check_distinct(tasks: Mapping[str, Path]) -> None:
    """Refuse names that are equal on some file system or as rule names."""
    seen: dict[str, str] = {}
    for name in tasks:
        other = seen.setdefault(re.sub(r"[.-]", "_", name).lower(), name)
        if other != name:
            raise TaskError(
                f"{tasks[other]} and {tasks[name]}: two tasks with one name, as "
                "capitals, '-', '.' and '_' do not tell names apart. Rename one."
            )


def unknown_task(name: str, tasks: Iterable[str], taskdir: Path) -> TaskError:
    """Return an error that says which tasks may be meant.

    `name` is what the user wrote; perhaps the name of a file.
    """
    if (taskdir / f"task_{name}.py").is_file():
        task_name(taskdir / f"task_{name}.py")
    names = sorted(tasks)
    of_file = Path(name).name.removeprefix("task_").removesuffix(".py")
    meant, most = (of_file, 1) if of_file in names else (name, 3)
    hint = did_you_mean(meant, names, most=most, cutoff=0.5)
    return TaskError(
        f"{taskdir}: there is no task {name!r}.{hint} See all tasks with 'psy list'."
    )
