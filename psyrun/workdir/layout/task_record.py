"""Where a task was run last, recorded beside its task file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psyrun.utils.files import damaged
from psyrun.utils.records import is_name, read_record
from psyrun.workdir.layout.task import TaskLayout

RECORDS = ".psyrun"
"""Name of the folder beside task files with what is recorded of them."""


def record_of_task(taskdir: Path, name: str) -> Path:
    """Where it is recorded in which work folder a task was run last."""
    return taskdir / RECORDS / f"{name}.json"


@dataclass(frozen=True)
class TaskRecord:
    """What is known of a task without running its file.

    Attributes
    ----------
    workdir, resultfile : str
        As they were when it was run last; empty if that is not known.
    file_dep : tuple of str
        Files that it depends on.
    """

    workdir: str
    resultfile: str = ""
    file_dep: tuple[str, ...] = ()

    @classmethod
    def load(cls, taskdir: Path, name: str) -> TaskRecord | None:
        """Read the record of a task, None where there is none.

        Raises `StoreError` if it is damaged.
        """
        path = record_of_task(taskdir, name)
        record: TaskRecord | None = read_record(path, cls)
        if record and not all(
            map(is_name, (record.workdir, record.resultfile, *record.file_dep))
        ):
            raise damaged(path, "has names that no file can have")
        return record


def layout_of(taskdir: Path, name: str, default: str = "psy-work") -> TaskLayout:
    """Return the paths of a task without running its file.

    A task without a record is looked for in the work folder `default`.
    """
    record = TaskRecord.load(taskdir, name)
    return TaskLayout.of(default if record is None else record.workdir, name)
