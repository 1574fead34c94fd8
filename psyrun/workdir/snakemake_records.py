"""What Snakemake has recorded of files that psyrun makes, in ``.snakemake``.

It marks a file as incomplete while its job runs, keeps a backup of what that updates,
and records much of it afterwards. It removes none of these if its process is killed, or
if the file is never wanted again.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = Path(".snakemake")


def forget_incomplete(folder: Path, results: Collection[Path] = ()) -> None:
    """Have Snakemake take no file below a folder, nor its results, for incomplete.

    What psyrun's rules make is whole or not there. For ``--rerun-incomplete`` Snakemake
    would make it again and, as rules call it ancient, forget what is missing and made
    from it (9.27). To ignore all that is incomplete would be wrong for a user's rules.
    For whoever holds the lock of the task.
    """
    for record, path in _records("incomplete"):
        if _is_in(path, folder, results):
            _remove(record)


def forget_missing(folder: Path, results: Collection[Path] = ()) -> None:
    """Remove the records of files below a folder, or of results, that are gone."""
    for record, path in _records("metadata"):
        if _is_in(path, folder, results) and not os.path.lexists(path):
            _remove(record)


def forget_backups(results: Collection[Path]) -> None:
    """Remove the backups of results that were to be replaced when Snakemake was killed.

    A merge replaces a result at once, so each is whole. For whoever holds the lock of
    the task.
    """
    for result in results:
        parts = result.parts[1:] if result.is_absolute() else result.parts
        backup = Path(_FOLDER, "backups", *parts)
        with suppress(OSError):
            if result.exists() and ".." not in parts:
                backup.unlink()


def _is_in(path: str, folder: Path, results: Collection[Path]) -> bool:
    return path in map(str, results) or path.startswith(f"{folder}{os.sep}")


def _records(kind: str) -> Iterator[tuple[Path, str]]:
    """Yield records, and which files they are of, as the Snakefile names them."""
    top = str(_FOLDER / kind)
    for folder, _, names in os.walk(top):
        # Names that are too long are those of folders as well.
        begin = folder.removeprefix(top).replace(f"{os.sep}@", "")
        for name in names:
            # There may be other files.
            with suppress(ValueError):
                path = urlsafe_b64decode(begin + name).decode()
                yield Path(folder, name), path


def _remove(record: Path) -> None:
    with suppress(OSError):
        record.unlink()
        # Only those that are empty.
        for folder in record.parents:
            if not folder.name.startswith("@"):
                break
            folder.rmdir()
