"""The compact file that a space is frozen into."""

from __future__ import annotations

import pickle

from psyrun.errors import PsyrunError, one_line
from psyrun.pspace.space import ParameterSpace
from psyrun.utils import unpickling


def freeze(space: ParameterSpace) -> bytes:
    """Pickle a space, compactly: operands and indices rather than points.

    Raises `PsyrunError` with the parameter whose values cannot be pickled.
    """
    try:
        return pickle.dumps(space, protocol=5)
    except PsyrunError:
        raise
    except Exception as error:
        raise PsyrunError(_explain(space, error)) from error


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
                    return (
                        f"parameter {key!r} holds a value of type "
                        f"{type(column[row]).__name__} that cannot be pickled "
                        f"({cause}): define it at the top level of a module, or pass "
                        "a name and make the value in the function."
                    )
    return f"the parameter space cannot be pickled ({one_line(error)})."


def _pickling_error(value: object) -> str:
    try:
        pickle.dumps(value, protocol=5)
    except Exception as error:
        return one_line(error)
    return ""
