"""Which store reads and writes which file name extension.

Other packages add stores through entry points of the group `psyrun.stores`
whose names are extensions (`.ext = package.module:ClassName`).
"""

from __future__ import annotations

from pathlib import Path

from psyrun.errors import StoreError, did_you_mean
from psyrun.store.base import Store
from psyrun.utils.files import Filename
from psyrun.utils.plugins import Plugins

_STORES: Plugins[Store] = Plugins(
    group="psyrun.stores",
    kind="store",
    base=Store,  # type: ignore[type-abstract]
    base_path="psyrun.store.Store",
    error=StoreError,
    built_in={
        ".h5": "psyrun.store.h5:H5Store",
        ".npz": "psyrun.store.npz:NpzStore",
        ".pkl": "psyrun.store.pickle:PickleStore",
    },
)


def extensions() -> list[str]:
    """Return the extensions for which there is a store.

    Returns
    -------
    list of str
        Sorted, each with its full stop.
    """
    return _STORES.names()


def store_for(filename: Filename) -> Store:
    """Return the store for the extension of a file name, also in capitals.

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
    extension = Path(filename).suffix
    # Capitals make no difference, unless a plug-in has some of its own.
    known = extension if extension in extensions() else extension.lower()
    return _store(known, f"{filename}: ")


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
    return _store(f".{name.removeprefix('.')}", "")


def _store(extension: str, where: str) -> Store:
    if extension not in extensions():
        raise StoreError(
            f"{where}no store has the extension {extension!r}; choose one of "
            f"{', '.join(extensions())}.{did_you_mean(extension, extensions())}"
        )
    return _STORES.make(extension)


def store_with(ext: str, preferred: Store) -> Store:
    """Return a store for files with extension `ext`, `preferred` if it is one."""
    return preferred if preferred.ext == ext else store_named(ext)
