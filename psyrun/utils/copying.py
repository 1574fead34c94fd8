"""Values of one evaluation's own: the user's function may change its arguments."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

_NUMPY_SCALARS = {np.dtype(code).type for code in np.typecodes["All"]}
# Their purpose is to change: copies would draw the same numbers for all assignments.
_RANDOM = re.compile(r"(numpy\.)?random(\.|$)")
# Of these types, no value can be changed in place.
_IMMUTABLE = frozenset(
    {bool, int, float, complex, str, bytes, type(None)}
    | (_NUMPY_SCALARS - {np.void, np.object_})
)


def independent_values(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an assignment whose values may be changed in place.

    A space holds a value once for all assignments that it belongs to. What one
    evaluation changes must not reach the others, nor what is recorded. Values that
    can be changed are copies; random generators and what cannot be copied are shared.
    """
    if _IMMUTABLE.issuperset(map(type, parameters.values())):
        return parameters
    mutable = {key: value for key, value in parameters.items() if _is_copied(value)}
    try:
        # Together: what is one object in two values stays one.
        copies = copy.deepcopy(mutable)
    except Exception:
        copies = {key: _own_value(value) for key, value in mutable.items()}
    return {**parameters, **copies}


def _is_copied(value: Any) -> bool:
    kind = type(value)
    return kind not in _IMMUTABLE and not _RANDOM.match(kind.__module__)


def _own_value(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:
        return value
