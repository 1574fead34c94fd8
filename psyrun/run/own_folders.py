"""Folders of one run outside of the project, which go even if the run is killed.

Each tells in a file who has made it, so that the next run can remove it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.utils.files import place
from psyrun.utils.leftovers import is_gone, system_id
from psyrun.workdir.holder import Holder, is_live, recorded_holder

_PREFIX, _HOLDER = "psyrun-", "holder"
_MADE = re.compile(r"psyrun-(?P<pid>[0-9]{1,9})\.(?P<place>[0-9a-f]{8})-[0-9a-z_]+")


def new_folder(parent: str) -> str:
    """Return a new folder of this process; raise `OSError` if there can be none."""
    prefix = f"{_PREFIX}{os.getpid()}.{system_id()}-"
    folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
    mark(Path(folder))
    return folder


def mark(folder: Path) -> None:
    """Note in a folder that it goes with this process."""
    place(folder / _HOLDER, json.dumps(asdict(Holder.me())))


def parents() -> Iterator[str]:
    """Yield where such folders can be."""
    # The usual one may be in the depth of a user's folders.
    usual: list[str] = []
    with suppress(OSError):
        usual = [tempfile.gettempdir()]
    yield from dict.fromkeys([*usual, "/tmp", "/var/tmp"])


def remove_all_abandoned() -> None:
    """Remove the folders of runs that were killed, and those of Snakemake in them."""
    for parent in parents():
        for prefix in (_PREFIX, "snakemake"):
            remove_abandoned(Path(parent), prefix)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders of this user's runs that were killed, on this system."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError, PsyrunError):
            status = folder.lstat()
            is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if is_ours and _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    path = folder / _HOLDER
    holder = recorded_holder(path)
    if holder is not None:
        return holder.is_here and not is_live(holder, path)
    # It was killed before it could tell.
    made = _MADE.fullmatch(folder.name)
    return (
        made is not None and made["place"] == system_id() and is_gone(int(made["pid"]))
    )
