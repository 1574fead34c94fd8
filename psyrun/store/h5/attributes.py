"""Attributes of HDF5 files are read as they are.

PyTables takes a byte string that ends like a pickle for one, and loads it, as soon as
a file with such an attribute is opened (`tables.attributeset`). A pickle runs whatever
code its author likes, and a result file may come from somebody else.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tables.attributeset

from psyrun.errors import StoreError
from psyrun.utils.files import Filename


class _PickledAttributeError(pickle.UnpicklingError):
    """An attribute is a pickle; PyTables takes its bytes then, where it can."""


class _Pickle:
    """Stands for the module `pickle` in that of PyTables."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pickle, name)

    def loads(self, *arguments: Any, **options: Any) -> Any:
        """Load a pickle, unless it is of a file that this thread reads for us."""
        if _state.reading:
            raise _PickledAttributeError
        return pickle.loads(*arguments, **options)


class _State(threading.local):
    def __init__(self) -> None:
        self.reading: list[object] = []


_state = _State()


@contextmanager
def raw_attributes(filename: Filename) -> Iterator[None]:
    """Have nothing unpickled in this thread while a file is open.

    Attributes that are pickles, such as notes of the user, are bytes. Raises
    `StoreError` where PyTables cannot do without what is pickled.
    """
    # What others do with PyTables in this process goes on as before.
    if not isinstance(tables.attributeset.pickle, _Pickle):
        tables.attributeset.pickle = _Pickle()
    # A generator may be closed in another thread than it was begun in.
    reading, this = _state.reading, object()
    reading.append(this)
    try:
        yield
    except _PickledAttributeError:
        raise pickled(filename) from None
    finally:
        reading.remove(this)


def pickled(filename: Filename) -> StoreError:
    """Return the error for a file with a pickle where psyrun writes none."""
    return StoreError(
        f"{filename}: has an attribute that is a pickle, which could run any code when "
        "it is loaded. psyrun never writes such attributes: do not trust the file."
    )
