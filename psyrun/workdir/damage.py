"""What a work folder lacks or has damaged, and what is advised then."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from psyrun.errors import PsyrunError
from psyrun.utils.files import damaged, file_advice
from psyrun.workdir.layout import RECORDS, Round, TaskLayout

T = TypeVar("T")
SUFFIX = ".damaged"
"""What the name of a file ends with that was set aside."""


def task_of(path: Path) -> str:
    """Return the task that a file of psyrun's belongs to; empty if there is none."""
    folders = path.absolute().parents
    if folders[0].name == RECORDS:
        return path.stem
    for folder in folders:
        if folder.name.startswith("round-"):
            return folder.parent.name
    layout = TaskLayout(folders[0])
    return layout.name if layout.state.exists() or layout.snakefile.exists() else ""


def _advice(path: Path) -> str:
    task = task_of(path)
    return f"mend it with 'psy doctor --repair {task}'" if task else ""


file_advice.append(_advice)


def is_in_use(round_: Round) -> bool:
    """Whether jobs have begun with what was divided for them."""
    folders = round_.blocks, round_.journals
    return any(map(_has_files, folders)) or round_.merged.exists()


def _has_files(folder: Path) -> bool:
    # Files whose names begin with a full stop may be left of one that was not whole.
    with suppress(OSError), os.scandir(folder) as entries:
        return any(not e.name.startswith(".") for e in entries if _is_whole(e.name))
    return False


def _is_whole(name: str) -> bool:
    return SUFFIX not in name


def rounds_in_use(layout: TaskLayout) -> dict[int, Round]:
    """Return the rounds in which something was computed."""
    return {n: r for n, r in layout.rounds().items() if is_in_use(r)}


def check_division(round_: Round) -> None:
    """Refuse a round whose jobs have begun, but whose division is gone."""
    for path in (round_.space, round_.division):
        if not path.exists() and is_in_use(round_):
            raise damaged(path, "is gone")


def try_to(read: Callable[..., T], *arguments: Any) -> T | None:
    """Return what a function returns, None if it finds something damaged."""
    try:
        return read(*arguments)
    except (PsyrunError, OSError):
        return None


def set_aside(path: Path) -> Path:
    """Give a file that cannot be used another name, and return that."""
    aside = path.with_name(f"{path.name}{SUFFIX}")
    number = 2
    while aside.exists():
        aside = path.with_name(f"{path.name}{SUFFIX}-{number}")
        number += 1
    path.rename(aside)
    return aside
