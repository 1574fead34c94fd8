"""Many data files into one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError
from psyrun.store.base import Store
from psyrun.store.costs import Costs
from psyrun.store.metadata import (
    PROVENANCE,
    Metadata,
    metadata_of,
    packed,
    save_with,
    unpacked,
)
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
    go together. What the rows have cost and where they come from is kept.
    """
    used, paths = store or store_for(target), list(sources)
    metadata = _joined(used, paths)

    def save(name: str) -> int:
        used.merge(name, paths)
        return 0

    if metadata is None:
        used.merge(target, paths)
    else:
        save_with(used, target, save, metadata)


def _joined(store: Store, paths: Sequence[Filename]) -> Metadata | None:
    """Return what is to be known of the rows of all files, None if nothing is."""
    found = [_known(store, path) for path in paths]
    if len(found) == 1 or not any(found):
        return found[0] if found else None
    costs = [_costs(store, path, each) for path, each in zip(paths, found, strict=True)]
    joined = Costs.joined(costs).metadata()
    about, arrays = dict(joined.about), dict(joined.arrays)
    descriptions = [each.about.get("description") for each in found if each]
    if all(each == descriptions[0] for each in descriptions):
        about["description"] = descriptions[0]
    provenance: dict[str, Any] = {}
    for each in filter(None, found):
        with suppress(KeyError, ValueError, zlib.error):
            provenance |= unpacked(each.arrays[PROVENANCE])
    if provenance:
        arrays[PROVENANCE] = packed(provenance)
    return Metadata(about, arrays)


def _known(store: Store, path: Filename) -> Metadata | None:
    # What is damaged is lost, but no reason not to merge; rows are read later.
    with suppress(StoreError, OSError):
        return metadata_of(store, path)
    return None


def _costs(store: Store, path: Filename, metadata: Metadata | None) -> Costs:
    n_rows = store.count(path)
    with suppress(StoreError):
        return Costs.of(metadata, n_rows, path)
    return Costs.unknown(n_rows)


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
