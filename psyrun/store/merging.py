"""Many data files into one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from psyrun.errors import StoreError
from psyrun.store.base import Store
from psyrun.store.registry import store_for
from psyrun.utils.files import Filename


def merge(
    sources: Iterable[Filename], target: Filename, store: Store | None = None
) -> None:
    """Write the rows of some files into one, which may be one of them.

    Little is in memory at a time with `psyrun.store.H5Store` and
    `psyrun.store.NpzStore`, one file with `psyrun.store.PickleStore`. The store is by
    default the one for the extension of `target`. Raises `StoreError`, and leaves a
    previous `target` as it was, if a file cannot be read or written, or the rows do not
    go together.
    """
    (store or store_for(target)).merge(target, list(sources))


def merge_directory(directory: Filename, merged: Filename) -> list[Path]:
    """Merge all files of a folder that have the extension of `merged`.

    Returns them in natural order: 2 comes before 10. Hidden files and `merged`
    itself are left out. Raises `StoreError` as `merge` does, and if there is no such
    folder or no such file in it.
    """
    sources = data_files(directory, merged)
    if not sources:
        raise StoreError(
            f"{directory}: there are no files with the extension "
            f"{Path(merged).suffix!r} to merge into {merged}; check the folder, or "
            "give the merged file the extension of the files in it."
        )
    merge(sources, merged)
    return sources


def data_files(directory: Filename, merged: Filename) -> list[Path]:
    """Return the files that `merge_directory` merges, in natural order.

    Raises `StoreError` if there is no such folder.
    """
    folder, target = Path(directory), Path(merged)
    if not folder.is_dir():
        raise StoreError(f"{directory}: there is no such folder; check the path.")
    store_for(target)
    found = [path for path in folder.iterdir() if _is_data_file(path, target)]
    return sorted(found, key=_natural)


def _is_data_file(path: Path, target: Path) -> bool:
    return (
        path.suffix == target.suffix
        and not path.name.startswith(".")
        and path.resolve() != target.resolve()
        and path.is_file()
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    # Alternately text and digits, so that like is compared with like.
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(p), p) if p.isdecimal() else (-1, p) for p in parts]
