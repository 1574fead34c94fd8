"""Records of Snakemake that cannot be read.

They only say why files were made, which psyrun knows better, so that one that cannot
be read may be removed. Snakemake itself would end with a traceback, or wait for ever
for a named pipe.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

_NAMES = ("_io_read", "_read_record", "_record_path")
_UNREADABLE = (OSError, ValueError, TypeError, AttributeError, RecursionError)


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
        _remove(path)
        return {}

    def read_valid_record(self: Any, key: str) -> Any:
        with suppress(*_UNREADABLE):
            return read_record(self, key)
        _remove(Path(self._record_path(self._metadata_path, key)))
        return None

    FilePersistence._io_read = io_read
    FilePersistence._read_record = read_valid_record


def _is_file_or_absent(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return not path.is_symlink()


def _remove(path: Path) -> None:
    """Remove a record, or what stands in its place, if that is possible."""
    # What is in the way of nobody but Snakemake is left to its user.
    with suppress(OSError):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
