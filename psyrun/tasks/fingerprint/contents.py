"""Digests of the files that a task names as its dependencies."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from fnmatch import translate
from pathlib import Path

from psyrun.errors import TaskError

_LARGE = 2**20  # bytes; smaller files are read as quickly as they are looked up
# What programs leave in a folder for themselves; reading data may make some.
_LEFTOVERS = (
    *("__pycache__", "*.py[co]", "*$py.class", ".ipynb_checkpoints"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".snakemake"),
    *(".git", ".hg", ".svn", ".jj", ".idea", ".vscode"),
    *(".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".directory", ".Trash-*"),
    *("*~", ".*.sw[a-p]", ".#*", "#*#", ".~lock.*#", "~$*"),
    *(".nfs*", ".fuse_hidden*"),
)
_LEFTOVER = re.compile("|".join(map(translate, _LEFTOVERS)))
_SETTLED = 2.0  # seconds, the coarsest clock of a file system in use


def content_digests(
    names: Iterable[str | Path],
    root: Path,
    where: Path,
    digests: MutableMapping[str, str] | None = None,
    made: Iterable[str | Path] = (),
) -> Iterator[tuple[str, str]]:
    """Yield the names (relative to `root` if below) and SHA-256 digests of files.

    Of folders all files count, also those that links lead to, but none that Python,
    editors and file systems leave there for themselves, or that are `made` by a run of
    the task, as are its result and work folder. `digests` remembers those of large
    files. The order is one of its own. Raises `TaskError`, naming the file
    `where` the path was written, for a file that is missing or cannot be read.
    """
    known = {} if digests is None else digests
    real_made = [os.path.realpath(root / path) for path in made]
    files = {
        content_name(file, root): (file, is_listed)
        for name in names
        for file, is_listed in _files(name, root, real_made)
    }
    for name, (file, is_listed) in sorted(files.items()):
        try:
            yield name, _digest(file, known)
        except OSError as error:
            # Others may be at work in a folder.
            if is_listed or os.path.lexists(file):
                raise _unreadable(where, name, error) from error


def _files(
    name: str | Path, root: Path, made: Iterable[str]
) -> Iterator[tuple[Path, bool]]:
    """Yield files, and whether they are listed by themselves."""
    path = Path(os.path.normpath(root / name))
    if not path.is_dir():
        yield path, True
        return
    real = os.path.realpath(path)
    # In a folder that a run makes, somebody asks for what is there.
    others = frozenset(each for each in made if not _is_in(real, each))
    for file in _files_below(path, (real,), others):
        yield file, False


def _files_below(
    folder: Path, above: tuple[str, ...], made: frozenset[str]
) -> Iterator[Path]:
    """Yield the files in a folder and those below it, also where links lead.

    `above` are the real paths of the folders that lead here, of which no link is
    followed to one, nor to one that they are in. What is `made` is left out.
    """
    made_names = {os.path.basename(each) for each in made}  # noqa: PTH119
    for entry in _entries(folder):
        path = folder / entry.name
        if _LEFTOVER.match(entry.name):
            continue
        if _is_folder(entry):
            real = os.path.realpath(path)
            is_circle = any(_is_in(each, real) for each in above)
            if not (is_circle or any(_is_in(real, each) for each in made)):
                yield from _files_below(path, (*above, real), made)
        elif entry.name in made_names or entry.is_symlink():
            is_made = os.path.realpath(path) in made
            if not is_made and (_is_broken_link(entry) or entry.is_file()):
                yield path
        elif entry.is_file():
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
