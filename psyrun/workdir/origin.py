"""Where a work folder was made, by which a copy of it is known as a copy.

A copy names the folder that it was copied from, and that is still there. A folder that
was moved, or that is reached by another path, through a link or another mount, is the
folder itself.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.utils.files import read_json, write_json
from psyrun.utils.leftovers import hidden_beside
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan


@dataclass(frozen=True)
class Origin:
    """Where a work folder was made.

    Attributes
    ----------
    folder, project : str
        The folder of the task, and that of the project, which paths are relative to.
    inode : int
        Number of the folder on its disk.
    taskfile : str
        The task file whose plan was accepted last; empty if there was none.
    former : str
        The folder that this one is a copy of, if it is one.
    inherited : tuple of str
        Results of that folder, which the copy has records of.
    token : str
        Text that only copies have in common.
    """

    folder: str
    project: str
    inode: int
    taskfile: str = ""
    former: str = ""
    inherited: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def here(cls, layout: TaskLayout) -> Origin:
        """Return that of a new folder."""
        inode = layout.folder.stat().st_ino
        return cls(os.path.realpath(layout.folder), str(Path.cwd()), inode)

    @classmethod
    def load(cls, layout: TaskLayout) -> Origin | None:
        """Read the record; None for a folder of a former version, or if damaged."""
        with suppress(PsyrunError, OSError, AttributeError, TypeError):
            record = read_json(layout.origin)
            names = {each.name for each in fields(cls)}
            known = {name: v for name, v in record.items() if name in names}
            origin = cls(**{**known, "inherited": tuple(known.get("inherited", ()))})
            return origin if origin._is_sound else None
        return None

    @property
    def _is_sound(self) -> bool:
        texts = (self.folder, self.project, self.taskfile, self.former, self.token)
        return all(isinstance(text, str) for text in (*texts, *self.inherited))

    def save(self, layout: TaskLayout) -> None:
        """Write the record."""
        write_json(layout.origin, asdict(self))


def original_of(layout: TaskLayout) -> TaskLayout | None:
    """Return the work folder that this one is a copy of; None if it is none."""
    origin = Origin.load(layout)
    if origin is None:
        return None
    there = TaskLayout(Path(origin.folder))
    other = Origin.load(there)
    if other is None or other.token != origin.token:
        # It is gone, or something else is there: this one was moved.
        return None
    with suppress(OSError):
        if there.folder.samefile(layout.folder) or _is_original(layout, there, origin):
            return None
    return there


def _is_original(layout: TaskLayout, there: TaskLayout, origin: Origin) -> bool:
    """Whether this folder is the one that was made, and the other one is a copy.

    One folder can have two numbers of devices, where it is mounted twice.
    """
    if layout.folder.stat().st_ino != origin.inode:
        return False
    if there.folder.stat().st_ino != origin.inode:
        return True
    return _is_seen(layout.folder, there.folder)


def _is_seen(folder: Path, other: Path) -> bool:
    """Whether a file that is made in a folder appears in another one."""
    probe = hidden_beside(folder / "origin")
    try:
        probe.touch(exist_ok=False)
        return (other / probe.name).exists()
    except OSError:
        # What cannot be found out is not taken for a copy.
        return True
    finally:
        with suppress(OSError):
            probe.unlink()


def note_taskfile(layout: TaskLayout, taskfile: Path) -> None:
    """Record whose work folder it is."""
    origin = Origin.load(layout)
    path = str(taskfile.absolute())
    if origin is not None and origin.taskfile != path:
        replace(origin, taskfile=path).save(layout)


def other_owner(layout: TaskLayout, taskfile: Path) -> Path | None:
    """Return the task file whose work folder it is, if that is another one.

    A project that was moved, or copied with its work folder, has it for itself.
    """
    origin = Origin.load(layout)
    if origin is not None and original_of(layout) is not None:
        return None
    owner = "" if origin is None else origin.taskfile
    if not owner:
        with suppress(PsyrunError, OSError):
            plan = Plan.load(layout)
            owner = "" if plan is None else plan.taskfile
    try:
        is_other = bool(owner) and not Path(owner).samefile(taskfile)
    except OSError:
        is_other = Path(owner).exists()
    return Path(owner) if is_other else None
