"""Print the rows of tasks as JSON, with the types of their values, in `load`'s order.

Usage: ``python rows.py TASK...`` in a project folder.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import psyrun
from psyrun.errors import PsyrunError


def described(value: Any) -> str:
    """Return a value as text that is the same with any version of NumPy."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.tolist()}"
    if isinstance(value, np.generic):
        return f"{type(value).__name__} {value.item()!r}"
    return f"{type(value).__name__} {value!r}"


def load(task: str, *, partial: bool) -> dict[str, Any]:
    try:
        return psyrun.load(task, partial=partial)
    except PsyrunError:
        return {}  # there is no result yet


if __name__ == "__main__":
    texts = {
        f"{task} {'partial' if partial else 'result'} {key}": list(map(described, some))
        for task in sys.argv[1:]
        for partial in (False, True)
        for key, some in load(task, partial=partial).items()
    }
    lines = (f"{json.dumps(name)}: {json.dumps(some)}" for name, some in texts.items())
    print("{" + ",\n".join(lines) + "}")
