"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psyrun.utils.files import (
    Filename,
    check_all,
    explained,
    folder_beside,
    synchronise,
)
from psyrun.utils.leftovers import hidden_beside


@contextmanager
def replacing_folder(folder: Filename) -> Iterator[Path]:
    """Write to a new folder beside `folder`, then let it take that name.

    When the body raises, what was written is removed and whatever was at `folder`
    stays. Raises `StoreError` if that cannot be written.
    """
    target = Path(os.path.realpath(folder))
    with folder_beside(target) as around:
        beside = Path(around, target.name)
        yield beside
        with explained(folder):
            _synchronise_all(beside)
            check_all()
            _swap(beside, target)
            synchronise(target.parent)


def _synchronise_all(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for name in names:
            synchronise(Path(where, name))
        synchronise(Path(where))


def _swap(beside: Path, target: Path) -> None:
    """Replace a folder, which no system call does at once on all systems."""
    former = hidden_beside(target)
    had_former = target.is_dir()
    if had_former:
        target.rename(former)
    try:
        beside.rename(target)
    except BaseException:
        if had_former:
            with suppress(OSError):
                former.rename(target)
        raise
    if had_former:
        shutil.rmtree(former, ignore_errors=True)
