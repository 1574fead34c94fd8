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
    """Write the rows of some files into one, file after file.

    Little is in memory at a time if the store reads and writes in pieces, as
    `psyrun.store.H5Store` does.

    Parameters
    ----------
    sources : iterable of path-like
        The files in the order of their rows.
    target : path-like
        The file to create or replace; it may be one of the sources.
    store : Store, optional
        Reads and writes all files; by default the one for the extension of
        `target`.

    Raises
    ------
    StoreError
        If a file cannot be read or written, or the rows do not go together.
        A previous `target` is then left as it was.
    """
    store = store or store_for(target)
    with store.writer(target) as writer:
        for source in sources:
            for piece in store.pieces(source):
                writer.append(piece)


def merge_directory(directory: Filename, merged: Filename) -> list[Path]:
    """Merge all files of a folder that have the extension of `merged`.

    Parameters
    ----------
    directory : path-like
        The folder. Hidden files and `merged` itself are left out.
    merged : path-like
        The file to create or replace.

    Returns
    -------
    list of pathlib.Path
        The files that were merged, in natural order: 2 comes before 10.

    Raises
    ------
    StoreError
        If there is no such folder or no such file in it, or as `merge` does.
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
    """Return the files of a folder that `merge_directory` merges.

    Parameters
    ----------
    directory : path-like
        The folder.
    merged : path-like
        The file to merge into.

    Returns
    -------
    list of pathlib.Path
        In natural order.

    Raises
    ------
    StoreError
        If there is no such folder.
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
