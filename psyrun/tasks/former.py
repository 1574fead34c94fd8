"""Task files as objects, as psyrun 0.8 gave them to scripts and notebooks."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.tasks.discovery import find_tasks
from psyrun.tasks.loading import load_task
from psyrun.utils.console import warn


class TaskDef:
    """A task file that has been run.

    Its attributes are the special variables, and the other variables of the file.

    Parameters
    ----------
    path : path-like
        The task file.
    conf : object, optional
        Has no effect: the values of ``psy-conf.py`` beside the task file count.
    """

    TASK_PATTERN = re.compile(r"^task_(.*)$")

    def __init__(self, path: str | os.PathLike[str], conf: object = None) -> None:
        self.path = os.fspath(path)
        self._task = load_task(Path(path), with_space=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        places = (self._task, self._task.module)
        for place in places:
            if hasattr(place, name):
                return getattr(place, name)
        raise AttributeError(f"{self.path} has no variable {name!r}")


class PackageLoader:
    """The task files of a folder.

    Parameters
    ----------
    taskdir : path-like
        The folder.
    """

    def __init__(self, taskdir: str | os.PathLike[str]) -> None:
        self.taskdir = os.fspath(taskdir)

    def load_task_defs(self) -> list[TaskDef]:
        """Return the tasks of the folder, without those that cannot be loaded."""
        loaded = []
        for path in find_tasks(Path(self.taskdir)).values():
            try:
                loaded.append(TaskDef(path))
            except PsyrunError as error:
                warn(f"{error} It is left out.")
        return loaded
