"""Whose code may run because a ledger names it.

A ledger names the class of a scheduler, and may hold one that was pickled. Those that
are installed are known by their names, and nothing is unpickled for them. For others,
a module of the project is imported, which may do anything: so nobody else may have
written it, or the ledger.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TypeAlias

from psyrun.errors import UntrustedError
from psyrun.queue.ledger import Batch
from psyrun.scheduler.base import Scheduler
from psyrun.scheduler.registry import installed, thawed
from psyrun.tasks.import_path import add_to_import_path
from psyrun.utils.users import name_of_user

Thaw: TypeAlias = Callable[[Batch], Scheduler | None]
"""Returns the scheduler of an array whose class is not installed; None to leave it."""


def never(batch: Batch) -> None:
    """Leave out arrays whose scheduler would have to be imported."""


def if_own(batch: Batch) -> Scheduler:
    """Import a scheduler if nobody else can have written it.

    Raises `UntrustedError` otherwise.
    """
    refuse_others(batch, sys.path)
    return thawed(batch.intent.scheduler, batch.intent.frozen_scheduler)


def like(scheduler: Scheduler) -> Thaw:
    """Take a scheduler that is there for all of its class, and import others."""

    def thaw(batch: Batch) -> Scheduler:
        kind = type(scheduler)
        is_same = batch.intent.scheduler == f"{kind.__module__}:{kind.__qualname__}"
        return scheduler if is_same else if_own(batch)

    return thaw


class IfTrusted:
    """Imports schedulers that are one's own, and others if the user says so.

    Parameters
    ----------
    taskdir : Path
        Folder of the task files, which may have modules.
    is_trusted : bool
        Whether the user has said so already.
    ask : callable
        Shows a question, and returns whether the answer is yes.
    """

    def __init__(
        self, taskdir: Path, *, is_trusted: bool, ask: Callable[[str], bool]
    ) -> None:
        self._taskdir = taskdir
        self._is_trusted = is_trusted
        self._ask = ask

    def __call__(self, batch: Batch) -> Scheduler:
        """Return the scheduler of an array; may raise `UntrustedError`."""
        folders = [str(self._taskdir.absolute()), str(Path.cwd()), *sys.path]
        try:
            if not self._is_trusted:
                refuse_others(batch, folders)
        except UntrustedError as error:
            if not self._ask(str(error)):
                raise
            self._is_trusted = True
        # Only now, so that no module of the project takes the place of another.
        add_to_import_path(self._taskdir)
        return thawed(batch.intent.scheduler, batch.intent.frozen_scheduler)


def scheduler_of(batch: Batch, thaw: Thaw) -> Scheduler | None:
    """Return the scheduler of an array; one that is installed is made anew."""
    return installed(batch.intent.scheduler) or thaw(batch)


def refuse_others(batch: Batch, folders: list[str]) -> None:
    """Raise `UntrustedError` if somebody else may have written what would be run."""
    task = batch.folder.parent.parent
    record = batch.folder / "array.json"
    places = [record, batch.folder, batch.folder.parent, task, task.parent]
    for path in (*places, *_files_of(batch.intent.scheduler, folders)):
        why = why_not_own(path)
        if why:
            name = batch.intent.scheduler.replace(":", ".")
            raise UntrustedError(
                f"{record}: names the scheduler {name!r}, whose code would be run, but "
                f"{path} {why}. If you trust it, run 'psy kill --trust {task.name}'."
            )


def _files_of(target: str, folders: list[str]) -> Iterator[Path]:
    """Yield the file that a module would be imported from, and its folder."""
    top = target.partition(":")[0].partition(".")[0]
    with suppress(ImportError, ValueError):
        spec = PathFinder.find_spec(top, folders)
        if spec is not None and spec.origin is not None:
            yield from (Path(spec.origin), Path(spec.origin).parent)


def why_not_own(path: Path) -> str:
    """Return why a file may be somebody else's, as a phrase; empty if it is not."""
    try:
        status = path.stat()
    except OSError:
        return "cannot be looked at"
    if status.st_uid not in (os.geteuid(), 0):
        return f"belongs to {name_of_user(status.st_uid)}"
    is_sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & stat.S_IWOTH and not is_sticky:
        return "can be written to by everybody"
    if status.st_mode & stat.S_IWGRP and not is_sticky and not _is_own_group(status):
        return "can be written to by a group"
    return ""


def _is_own_group(status: os.stat_result) -> bool:
    """Whether the group of a file has nobody else in it, as on many systems."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(status.st_uid)
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return user.pw_gid == status.st_gid and set(group.gr_mem) <= {user.pw_name}
