"""Pickles of psyrun's own classes, also those written under former names."""

from __future__ import annotations

import io
import pickle
from typing import IO, Any

PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
"""Types whose pickles name no class."""
_FORMER_MODULES = {
    "psyrun._algebra": "psyrun.pspace.space",
    "psyrun._columns": "psyrun.pspace.columns",
    "psyrun._space": "psyrun.pspace.space",
    "psyrun.store.columns": "psyrun.store.arrays",
}
_FORMER_NAMES = {
    ("psyrun._columns", "Constant"): "ConstantColumn",
    ("psyrun._columns", "Numbers"): "NumberColumn",
    ("psyrun._columns", "Steps"): "RangeColumn",
    ("psyrun._columns", "Values"): "ValueColumn",
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        name = _FORMER_NAMES.get((module, name), name)
        return super().find_class(_FORMER_MODULES.get(module, module), name)


def unpickler(file: Any) -> pickle.Unpickler:
    """Do as `pickle.Unpickler`, and find classes that have other names now."""
    return _Unpickler(file)


def load(file: IO[bytes]) -> Any:
    """Do as `pickle.load`, and find classes of psyrun that have other names now."""
    return _Unpickler(file).load()


def loads(data: bytes) -> Any:
    """Do as `pickle.loads`, and find classes of psyrun that have other names now."""
    try:
        return pickle.loads(data)
    except (ImportError, AttributeError):
        return load(io.BytesIO(data))
