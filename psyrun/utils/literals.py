"""Values of Python that are written as plain text, such as on the command line."""

from __future__ import annotations

import ast
from typing import Any


def values_in(text: str) -> Any:
    """Return the value that a text stands for, or a list of several.

    Values are separated by commas. What is no literal of Python is text.
    """
    values = _listed(text)
    if values is None:
        values = [value_in(each.strip()) for each in text.split(",")]
    # A tuple or a list in brackets is one value.
    is_one = len(values) == 1 and not isinstance(values[0], tuple | list)
    return values[0] if is_one else values


def are_literals(text: str) -> bool:
    """Whether a text is a literal of Python, or several with commas."""
    return _listed(text) is not None


def _listed(text: str) -> list[Any] | None:
    try:
        found: list[Any] = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError, TypeError, MemoryError):
        return None
    return found


def value_in(text: str) -> Any:
    """Return a value of Python; what is none, is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError):
        pass
    # Neither nan nor inf is a literal. Digits after a zero may be a name.
    return float(text) if text.lstrip("+-").lower() in ("nan", "inf") else text
