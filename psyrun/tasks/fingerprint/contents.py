"""Digests of the files that a task names as its dependencies."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path

from psyrun.errors import TaskError

_LARGE = 2**20  # bytes; smaller files are read as quickly as they are looked up
_SETTLED = 2.0  # seconds, the coarsest clock of a file system in use


def content_digests(
    names: Iterable[str | Path],
    root: Path,
    where: Path,
    digests: MutableMapping[str, str] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the names (relative to `root` if below) and SHA-256 digests of files.

    Of folders all files count. `digests` remembers those of large files. The order is
    one of its own. Raises `TaskError`, naming the file `where` the path was written,
    for a file that is missing or cannot be read.
    """
    known = {} if digests is None else digests
    files = {_name(file, root): file for name in names for file in _files(name, root)}
    for name, file in sorted(files.items()):
        try:
            yield name, _digest(file, known)
        except OSError as error:
            raise _unreadable(where, name, error) from error


def _files(name: str | Path, root: Path) -> list[Path]:
    path = Path(os.path.normpath(root / name))
    if path.is_dir():
        return [file for file in path.rglob("*") if not file.is_dir()]
    return [path]


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def _digest(file: Path, known: MutableMapping[str, str]) -> str:
    status = file.stat()
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
