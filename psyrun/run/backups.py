"""Snakemake's backups of results that a merge replaces take no space.

It copies what a job updates, and copies that back if the job fails, into the file that
is there then. A merge writes another file in the place of the result, so that a second
name of the former one is enough. And the new one must not be written to: it may be the
only file with its rows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from psyrun.utils.files import link, replacing

_NAMES = ("backup_output", "restore_output", "_get_backup_path")


def link_backups(results: Collection[Path]) -> None:
    """Have Snakemake back results up by links; other files it copies as before."""
    from snakemake.persistence import PersistenceBase

    if not all(hasattr(PersistenceBase, name) for name in _NAMES):
        return
    copy = PersistenceBase.backup_output
    copy_back = PersistenceBase.restore_output

    def backup_output(self: Any, path: Path) -> None:
        backup = self._get_backup_path(path)
        backup.parent.mkdir(parents=True, exist_ok=True)
        if path not in results or not link(path, backup):
            copy(self, path)

    def restore_output(self: Any, path: Path) -> bool:
        backup = self._get_backup_path(path)
        if path not in results or not backup.is_file():
            return bool(copy_back(self, path))
        if not path.exists() or not path.samefile(backup):
            _put_back(backup, path)
        backup.unlink(missing_ok=True)
        return True

    PersistenceBase.backup_output = backup_output
    PersistenceBase.restore_output = restore_output


def _put_back(backup: Path, path: Path) -> None:
    if not link(backup, Path(os.path.realpath(path))):
        with replacing(path) as beside:
            shutil.copyfile(backup, beside)
