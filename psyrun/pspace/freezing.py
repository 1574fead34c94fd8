"""The compact file that a space is frozen into."""

from __future__ import annotations

import io
import pickle
from typing import Any

from psyrun.errors import PsyrunError, one_line
from psyrun.pspace.space import ParameterSpace
from psyrun.utils import unpickling

_READABLE = {"psyrun", "numpy", "builtins"}
"""Packages whose objects can be read wherever psyrun is."""


def freeze(space: ParameterSpace) -> bytes:
    """Pickle a space, compactly: operands and indices rather than points.

    Raises `PsyrunError` with the parameter whose values cannot be pickled, or not be
    read again: nobody else could use the space.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5)
    try:
        pickler.dump(space)
        if pickler.has_objects:
            unpickling.loads(file.getvalue())
    except PsyrunError:
        raise
    except Exception as error:
        raise PsyrunError(_explain(space, error)) from error
    return file.getvalue()


class _Pickler(pickle.Pickler):
    """Pickles, and notes whether there were objects that may not be readable again."""

    has_objects = False

    def reducer_override(self, value: Any) -> Any:
        # Python calls it for all but numbers, text and its own containers.
        kind = value if isinstance(value, type) or callable(value) else type(value)
        module = str(getattr(kind, "__module__", "")).partition(".")[0]
        self.has_objects |= module not in _READABLE
        return NotImplemented


def thaw(frozen: bytes) -> ParameterSpace:
    """Return the space that `freeze` has pickled.

    As with every pickle, data from someone you do not trust can run their code.
    Raises `PsyrunError` if the bytes are no space, or refer to code that cannot be
    imported.
    """
    try:
        space = unpickling.loads(frozen)
    except Exception as error:
        raise PsyrunError(
            f"the frozen parameter space cannot be read ({one_line(error)}); make "
            "sure that the modules of its values can be imported, or freeze it again."
        ) from error
    if not isinstance(space, ParameterSpace):
        raise PsyrunError(
            f"the frozen data hold a {type(space).__name__}, not a parameter space; "
            "freeze the space again."
        )
    return space


def _explain(space: ParameterSpace, error: Exception) -> str:
    for key, column in space.leaves():
        # A range can be long: look at single values only where some value fails.
        if _pickling_error(column):
            for row in range(column.n_places):
                if cause := _pickling_error(column[row]):
                    kind = type(column[row]).__name__
                    return f"parameter {key!r} holds a value of type {kind} {cause}"
    return f"the parameter space cannot be pickled and read again ({one_line(error)})."


def _pickling_error(value: object) -> str:
    try:
        pickled = pickle.dumps(value, protocol=5)
    except Exception as error:
        return (
            f"that cannot be pickled ({one_line(error)}): define it at the top level "
            "of a module, or pass a name and make the value in the function."
        )
    try:
        unpickling.loads(pickled)
    except Exception as error:
        return (
            f"that cannot be read back from its pickle ({one_line(error)}): pass a "
            "name or number, and make the value in the function."
        )
    return ""
