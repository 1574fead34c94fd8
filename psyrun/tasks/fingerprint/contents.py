"""Digests of the files that a task names as its dependencies."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from psyrun.errors import TaskError

_LARGE = 2**20  # bytes; smaller files are read as quickly as they are looked up
# What programs leave in a folder for themselves; reading data may make some.
_LEFTOVERS = (
    "__pycache__",
    "*.py[co]",
    ".ipynb_checkpoints",
    ".git",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    ".*.sw[a-p]",
    ".#*",
    ".nfs*",
)
_SETTLED = 2.0  # seconds, the coarsest clock of a file system in use


def content_digests(
    names: Iterable[str | Path],
    root: Path,
    where: Path,
    digests: MutableMapping[str, str] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the names (relative to `root` if below) and SHA-256 digests of files.

    Of folders all files count, also those that links lead to, but none that Python,
    editors and file systems leave there for themselves. `digests` remembers those of
    large files. The order is one of its own. Raises `TaskError`, naming the file
    `where` the path was written, for a file that is missing or cannot be read.
    """
    known = {} if digests is None else digests
    files = {
        content_name(file, root): file for name in names for file in _files(name, root)
    }
    for name, file in sorted(files.items()):
        try:
            yield name, _digest(file, known)
        except OSError as error:
            raise _unreadable(where, name, error) from error


def _files(name: str | Path, root: Path) -> list[Path]:
    path = Path(os.path.normpath(root / name))
    if path.is_dir():
        return list(_files_below(path, (os.path.realpath(path),)))
    return [path]


def _files_below(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files in a folder and those below it, also where links lead.

    `above` are the real paths of the folders that lead here, of which no link is
    followed to one, nor to one that they are in.
    """
    for entry in _entries(folder):
        path = folder / entry.name
        if any(fnmatchcase(entry.name, pattern) for pattern in _LEFTOVERS):
            continue
        if _is_folder(entry):
            real = os.path.realpath(path)
            if not any(_is_in(each, real) for each in above):
                yield from _files_below(path, (*above, real))
        elif _is_broken_link(entry) or entry.is_file():
            # Others, such as sockets, have no content of their own.
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    # What cannot be listed, jobs cannot read either.
    with suppress(PermissionError, FileNotFoundError), os.scandir(folder) as entries:
        return list(entries)
    return []


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself has no type.
    with suppress(OSError):
        return entry.is_dir()
    return False


def _is_broken_link(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


def content_name(file: Path, root: Path) -> str:
    """Return the path that stands for a file, relative to `root` if it is below."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _digest(file: Path, known: MutableMapping[str, str]) -> str:
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        # To read it might take for ever.
        raise OSError(errno.EINVAL, "it is neither a file nor a folder")
    # A tool may set the time of modification, but nothing sets that of the inode
    # back. Where it is new, as in a copy of a project, the content decides.
    key = f"{file}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    if key in known:
        return known[key]
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    changed = max(status.st_mtime, status.st_ctime)
    # A file just written may change once more within one tick of its clock.
    if status.st_size >= _LARGE and time.time() - changed > _SETTLED:
        known[key] = digest
    return digest


def _unreadable(where: Path, name: str, error: OSError) -> TaskError:
    return TaskError(
        f"{where}: file_dep has {name!r}, which cannot be read: {error.strerror}. Put "
        "it there, or take it out of file_dep."
    )
