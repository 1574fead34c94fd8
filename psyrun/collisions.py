"""Tasks that would overwrite each other's files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from psyrun.errors import PsyrunError, StoreError, TaskError
from psyrun.files import read_json
from psyrun.layout import record_of_task
from psyrun.plan import Plan
from psyrun.taskdir import task_path
from psyrun.tasks import Task, load_task


def check_results(tasks: Sequence[Task]) -> None:
    """Refuse tasks whose result another task of their folder writes, too.

    Tasks that are not run now are known by what was recorded when they were, as
    their files may take long to import.

    Parameters
    ----------
    tasks : sequence of Task
        The tasks that are to be run together.

    Raises
    ------
    TaskError
        Naming both task files.
    """
    seen: dict[str, Path] = {}
    for task in tasks:
        other = seen.setdefault(os.path.realpath(task.resultfile), task.path)
        if other != task.path:
            raise _shared_result(task, other)
    for path, result in _recorded_results(tasks):
        if result in seen and _writes(path, result):
            task = next(task for task in tasks if task.path == seen[result])
            raise _shared_result(task, path)


def check_work_folder(task: Task, last: Plan | None, now: Plan) -> None:
    """Refuse a task whose work folder belongs to a task of another folder.

    Parameters
    ----------
    task : Task
        The task.
    last : Plan or None
        The plan that was accepted last in its work folder.
    now : Plan
        The plan that is to follow.

    Raises
    ------
    TaskError
        If the results of the other task would be replaced.
    """
    if last is None or last.fingerprint == now.fingerprint:
        return
    other = Path(last.taskfile)
    if not other.exists() or other.samefile(task.path) or _is_elsewhere(other, task):
        return
    raise TaskError(
        f"{task.path}: the results in {str(task.workdir / task.name)!r} are those of "
        f"{other}, which has the same name. Rename one of the tasks, or set another "
        f"workdir in {task.taskdir / 'psy-conf.py'}."
    )


def _is_elsewhere(other: Path, task: Task) -> bool:
    """Whether a file is that of the project from which this one was copied."""
    project = Path.cwd().resolve()
    workdir = task.workdir.resolve()
    return workdir.is_relative_to(project) and not other.resolve().is_relative_to(
        project
    )


def _recorded_results(tasks: Sequence[Task]) -> Iterator[tuple[Path, str]]:
    """Yield where the other tasks of the folders wrote their results last."""
    now = {task.path for task in tasks}
    for taskdir in {task.taskdir for task in tasks}:
        pattern = record_of_task(taskdir, "*")
        for record in sorted(pattern.parent.glob(pattern.name)):
            path = task_path(taskdir, record.stem)
            if path in now or not path.is_file():
                continue
            # Records are a convenience: a damaged one must not stop other tasks.
            with suppress(StoreError, KeyError, TypeError):
                yield path, os.path.realpath(read_json(record)["resultfile"])


def _writes(path: Path, result: str) -> bool:
    """Whether a task still has the result that was recorded."""
    try:
        task = load_task(path, with_space=False)
    except PsyrunError:
        return True
    return os.path.realpath(task.resultfile) == result


def _shared_result(task: Task, other: Path) -> TaskError:
    return TaskError(
        f"{other} and {task.path}: both write the resultfile "
        f"{str(task.resultfile)!r}. Set another one in one of the two, or leave "
        "resultfile out of both and of psy-conf.py."
    )
