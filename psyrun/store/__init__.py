"""Data stores: where the rows of a result are kept.

The names below are the public interface. The stores that need NumPy or
PyTables are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from psyrun.store.autodetect import AutodetectStore
from psyrun.store.base import Store, Writer
from psyrun.store.pickle import PickleStore
from psyrun.utils.former import former_names

if TYPE_CHECKING:
    from psyrun.store.h5 import H5Store as H5Store
    from psyrun.store.npz import NpzStore as NpzStore

_former = former_names(__name__, {"DefaultStore": "psyrun.store:PickleStore"})
_LAZY = {"H5Store": "psyrun.store.h5", "NpzStore": "psyrun.store.npz"}

__all__ = [
    "AutodetectStore",
    "H5Store",
    "NpzStore",
    "PickleStore",
    "Store",
    "Writer",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    return _former(name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
