"""Records of Snakemake that are damaged, or of files that are gone.

It only says why files were made, which psyrun knows better, so that a record that
cannot be read may be removed. Snakemake itself would end with a
traceback, or wait for ever for a named pipe.
"""

from __future__ import annotations

import os
import stat
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_FOLDER = Path(".snakemake")
_KINDS = ("metadata", "incomplete")
_NAMES = ("_io_read", "_read_record", "_record_path")
_UNREADABLE = (OSError, ValueError, TypeError, AttributeError, RecursionError)
# Of Snakemake: a long name is a path, whose folders have this in front.
_PART = "@"


def remove_unreadable_records() -> None:
    """Have Snakemake take records that it cannot read for absent, and remove them."""
    from snakemake.persistence.file import FilePersistence

    if not all(hasattr(FilePersistence, name) for name in _NAMES):
        return
    read, read_record = FilePersistence._io_read, FilePersistence._read_record

    def io_read(self: Any, subject: str, key: str) -> Any:
        path = Path(self._record_path(subject, key))
        with suppress(*_UNREADABLE):
            # Not to be opened if it is a named pipe.
            found = read(self, subject, key) if _is_file_or_absent(path) else None
            if isinstance(found, dict):
                return found
        remove_record(path)
        return {}

    def read_valid_record(self: Any, key: str) -> Any:
        with suppress(*_UNREADABLE):
            return read_record(self, key)
        remove_record(Path(self._record_path(self._metadata_path, key)))
        return None

    FilePersistence._io_read = io_read
    FilePersistence._read_record = read_valid_record


def _is_file_or_absent(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return not path.is_symlink()


def remove_record(path: Path) -> None:
    """Remove a record, or what stands in its place, if that is possible."""
    # What is in the way of nobody but Snakemake is left to its user.
    with suppress(OSError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def forget_records(folder: Path, *files: Path) -> None:
    """Remove what is recorded of some files, and of those in a folder.

    Paths are as they stand in the rules of psyrun.
    """
    names, below = {str(path) for path in files}, f"{folder}{os.sep}"
    for path, record in _records():
        if path in names or path.startswith(below):
            remove_record(record)


def _records() -> Iterator[tuple[str, Path]]:
    """Yield the records that there are, after the path that each is about."""
    for kind in _KINDS:
        root = _FOLDER / kind
        for folder, _, files in os.walk(root):
            for name in files:
                record = Path(folder, name)
                parts = record.relative_to(root).parts
                with suppress(ValueError):
                    text = "".join(part.removeprefix(_PART) for part in parts)
                    yield urlsafe_b64decode(text).decode(), record
