"""Which store reads and writes which file name extension.

Other packages add stores through entry points of the group `psyrun.stores`
whose names are extensions (`.ext = package.module:ClassName`).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError, did_you_mean, one_line
from psyrun.store.base import Store
from psyrun.utils.files import Filename

GROUP = "psyrun.stores"


# Known without installed metadata, as when psyrun runs from its source folder.
_BUILT_IN = {
    ".h5": "psyrun.store.h5:H5Store",
    ".npz": "psyrun.store.npz:NpzStore",
    ".pkl": "psyrun.store.pickle:PickleStore",
}


def extensions() -> list[str]:
    """Return the extensions for which there is a store.

    Returns
    -------
    list of str
        Sorted, each with its full stop.
    """
    return sorted({entry.name for entry in _entries()})


def store_for(filename: Filename) -> Store:
    """Return the store for the extension of a file name.

    Parameters
    ----------
    filename : path-like
        The file; it need not exist.

    Returns
    -------
    Store
        A new instance.

    Raises
    ------
    StoreError
        If no store has the extension, or the plug-in for it is not usable.
    """
    return _instance(Path(filename).suffix, f"{filename}: ")


def store_named(name: str) -> Store:
    """Return the store for an extension that a user wrote.

    Parameters
    ----------
    name : str
        The extension, with or without its full stop.

    Returns
    -------
    Store
        A new instance.

    Raises
    ------
    StoreError
        If no store has the extension, or the plug-in for it is not usable.
    """
    return _instance(f".{name.removeprefix('.')}", "")


def _entries() -> list[EntryPoint]:
    built_in = [EntryPoint(name, value, GROUP) for name, value in _BUILT_IN.items()]
    return [*built_in, *entry_points(group=GROUP)]


def _instance(extension: str, where: str) -> Store:
    # One value can be listed twice: by us and by our installed metadata.
    found = {e.value: e for e in _entries() if e.name == extension}
    if not found:
        raise StoreError(
            f"{where}no store has the extension {extension!r}; choose one of "
            f"{', '.join(extensions())}.{did_you_mean(extension, extensions())}"
        )
    if len(found) > 1:
        raise _ambiguous(extension, list(found.values()))
    return _load(*found.values())


def _ambiguous(extension: str, found: Sequence[EntryPoint]) -> StoreError:
    packages = " and ".join(f"{e.value!r} of {_package(e)}" for e in found)
    return StoreError(
        f"several plug-ins of the group {GROUP!r} claim the extension "
        f"{extension!r}: {packages}; uninstall all but one of them."
    )


def _load(entry: EntryPoint) -> Store:
    plug_in = f"plug-in '{entry.name} = {entry.value}' of {_package(entry)}"
    where = f"{plug_in} in the group {GROUP!r}"
    try:
        loaded: Any = entry.load()
        store = loaded()
    except Exception as error:
        raise StoreError(
            f"{where} cannot be loaded ({one_line(error)}); repair or uninstall "
            "the package."
        ) from error
    if not isinstance(store, Store):
        raise StoreError(
            f"{where} gives a {type(store).__name__} where a subclass of "
            "psyrun.store.Store is needed; repair or uninstall the package."
        )
    return store


def _package(entry: EntryPoint) -> str:
    distribution = entry.dist
    return f"the package {distribution.name!r}" if distribution else "psyrun"


def store_with(ext: str, preferred: Store) -> Store:
    """Return a store for files with extension `ext`, `preferred` if it is one."""
    return preferred if preferred.ext == ext else store_named(ext)
