"""What processes were writing when they were killed, and how it is known from its name.

What is written gets its own name only when it is whole. Until then it has either none
at all, or a hidden one beside it, which tells who writes it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_LONGEST_STEM = 100
_LONGEST_HOST = 50
_SUFFIX = ".tmp"
_MADE = re.compile(
    r"\.(?P<stem>.+)\.(?P<host>[^/]{1,50})\.(?P<pid>[0-9]{1,9})"
    r"\.(?P<place>[0-9a-f]{8})\.[0-9a-z_]+\.tmp",
    re.DOTALL,
)
_PATIENCE = 86400.0  # seconds; nobody writes for that long without a change


def hidden_beside(target: Path) -> Path:
    """Return a new hidden name beside a file, for what it is to be made from."""
    random = secrets.token_hex(4)
    return target.with_name(f".{stem_of(target)}.{owner()}.{random}{_SUFFIX}")


def words_of_folder(target: Path) -> tuple[str, str]:
    """Return how the name of such a folder begins and ends."""
    return f".{stem_of(target)}.{owner()}.", _SUFFIX


def stem_of(target: Path) -> str:
    """Return what such names have of that of their file, also if it has such a name."""
    if made := _MADE.fullmatch(target.name):
        return made["stem"]
    # Names of 255 bytes are common on no file system; longer ones exist on none.
    return os.fsencode(target.name)[:_LONGEST_STEM].decode(errors="ignore")


def owner() -> str:
    """Return what such names tell of this process."""
    return f"{_host()}.{os.getpid()}.{system_id()}"


def _host() -> str:
    return socket.gethostname()[:_LONGEST_HOST]


@cache
def system_id() -> str:
    """Return what differs between machines, boots and containers of one name."""
    from psyrun.utils.process.identity import boot, process_table

    return f"{zlib.crc32(f'{boot()} {process_table()}'.encode()):08x}"


def nameless(folder: Path) -> int | None:
    """Open a new file to write, which has no name yet and goes with this process.

    Returns None where the file system, or the system, has no such files.
    """
    kind = getattr(os, "O_TMPFILE", 0)
    # What is wrong with the folder, the named file will tell that is made then.
    with suppress(OSError):
        if kind:
            return os.open(folder, kind | os.O_WRONLY, 0o666)
    return None


def name_it(file: int, path: Path) -> bool:
    """Give a file of `nameless` its name, and return whether that was possible.

    Raises `FileExistsError` if another file has it.
    """
    try:
        # The number of a folder has the system follow the first path, which is a link.
        os.link(f"/proc/self/fd/{file}", path, src_dir_fd=file, follow_symlinks=True)
        return True
    except FileExistsError:
        # Network file systems may ask again for a link that was made already.
        if not _is_name_of(path, file):
            raise
        return True
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # There may be no /proc.
        return False


def _is_name_of(path: Path, file: int) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(file), path.stat())
    return False


@contextmanager
def probe(folder: Path) -> Iterator[int]:
    """Open a new empty file in a folder for a moment, to look at what it is like.

    Raises `OSError` if none can be made.
    """
    file = nameless(folder)
    path = None if file is not None else hidden_beside(folder / "probe")
    try:
        if path is not None:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        assert file is not None
        yield file
    finally:
        if file is not None:
            os.close(file)
            if path is not None:
                path.unlink(missing_ok=True)


def remove_abandoned(folder: Path, stem: str = "", *, of_all: bool = False) -> None:
    """Remove what processes were writing in a folder when they died.

    That is what has such a name, and, of processes elsewhere, was not changed for a
    day; with a `stem`, only what is for a file of that name; with `of_all`, also what
    others write, for whoever knows that none of them may.
    """
    for entry in _entries(folder):
        if _is_abandoned(entry, stem, of_all):
            _remove(entry)


def remove_all_abandoned(folder: Path) -> None:
    """Remove what processes were writing in a folder, and in those below it."""
    for entry in _entries(folder):
        if _is_abandoned(entry, "", of_all=False):
            _remove(entry)
        elif _is_folder(entry):
            remove_all_abandoned(Path(entry.path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir(follow_symlinks=False)
    return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _is_abandoned(entry: os.DirEntry[str], stem: str, of_all: bool) -> bool:
    made = _MADE.fullmatch(entry.name) if entry.name.endswith(_SUFFIX) else None
    if made is None or (stem and made["stem"] != stem_of(Path(stem))):
        return False
    if of_all or (made["host"], made["place"]) != (_host(), system_id()):
        return of_all or _is_old(entry)
    return is_gone(int(made["pid"]))


def is_gone(pid: int) -> bool:
    """Whether there is no process of that number on this system any more."""
    from psyrun.utils.process.identity import process_start

    return process_start(pid) is None


def _is_old(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        return time.time() - status.st_mtime > _PATIENCE
    return False


def _remove(entry: os.DirEntry[str]) -> None:
    import shutil

    with suppress(OSError):
        if _is_folder(entry):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink()
