"""What a work folder lacks or has damaged, what is advised, and where it is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from psyrun.errors import PsyrunError, is_refusal
from psyrun.utils.checksums import free_name
from psyrun.utils.files import damaged, file_advice
from psyrun.workdir.layout import RECORDS, Round, TaskLayout

T = TypeVar("T")
_ROUND = re.compile(r"round-\d+")


def task_of(path: Path) -> str:
    """Return the task that a file of psyrun's belongs to; empty if there is none."""
    folders = path.absolute().parents
    if folders[0].name == RECORDS:
        return path.stem
    layout = TaskLayout(folders[0])
    if layout.state.exists() or layout.snakefile.exists():
        return layout.name
    # Files are in the folder of a round, or in one below it.
    rounds = (each for each in folders[:2] if _ROUND.fullmatch(each.name))
    return next((each.parent.name for each in rounds), "")


def _advice(path: Path) -> str:
    task = task_of(path)
    return f"mend it with 'psy doctor --repair {task}'" if task else ""


file_advice.append(_advice)


def is_in_use(round_: Round) -> bool:
    """Whether jobs have begun with what was divided for them."""
    folders = round_.blocks, round_.finished, round_.journals
    return any(map(_has_files, folders)) or round_.merged.exists()


def _has_files(folder: Path) -> bool:
    # Files whose names begin with a full stop may be left of one that was not whole.
    with suppress(OSError), os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)
    return False


def rounds_in_use(layout: TaskLayout) -> dict[int, Round]:
    """Return the rounds in which something was computed."""
    return {n: r for n, r in layout.rounds().items() if is_in_use(r)}


def check_division(round_: Round) -> None:
    """Refuse a round whose jobs have begun, but whose division is gone."""
    for path in (round_.space, round_.division):
        if not path.exists() and is_in_use(round_):
            raise damaged(path, "is gone")


def try_to(read: Callable[..., T], *arguments: Any) -> T | None:
    """Return what a function returns, None if it finds something damaged.

    What the system refuses is raised as it is: the file may be whole.
    """
    try:
        return read(*arguments)
    except (PsyrunError, OSError) as error:
        if is_refusal(error):
            raise
        return None


def set_aside(path: Path, folder: Path) -> Path:
    """Move a file that cannot be used to its task's folder of such, and return where.

    It goes below the folder as it was below that of the task, with a number in its name
    if there is one of that name already.
    """
    target = free_name(folder / path.relative_to(folder.parent))
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.replace(target)


def n_set_aside(layout: TaskLayout) -> int:
    """Return how many files of a task were set aside."""
    return sum(not path.is_dir() for path in layout.damaged.rglob("*"))
