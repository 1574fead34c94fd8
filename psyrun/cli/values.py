"""Values of parameters on the command line, such as ``beta=0.3``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from psyrun.errors import PsyrunError
from psyrun.utils.text import counted

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace


def values_by_name(conditions: Iterable[str], what: str) -> dict[str, Any]:
    """Return values, or lists of values, by the names of their parameters.

    Parameters
    ----------
    conditions : iterable of str
        Such as ``n=512`` or ``n=1,2``.
    what : str
        The command and the option, for messages.

    Raises
    ------
    PsyrunError
        If one has no name or no value, or two have the same name.
    """
    found = dict[str, Any]()
    option = what.partition(": ")[2]
    example = f"{option} " if option else ""
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals or not name.strip() or not text.strip():
            raise PsyrunError(
                f"{what} {condition!r} has no name and value. Give both, such as "
                f"{example}n=512, or several values: {example}n=1,2."
            )
        name = name.strip()
        if name in found:
            raise PsyrunError(
                f"{what} names {name!r} twice. List its values, such as "
                f"{example}{name}=1,2."
            )
        found[name] = _values(text)
    return found


def _values(text: str) -> Any:
    """Return the value that a text stands for, or a list of several."""
    try:
        values = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError, TypeError, MemoryError):
        values = [_value(each.strip()) for each in text.split(",")]
    # A tuple or a list in brackets is one value.
    is_one = len(values) == 1 and not isinstance(values[0], tuple | list)
    return values[0] if is_one else values


def _value(text: str) -> Any:
    """Return a value of Python; what is none, is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError):
        pass
    # Neither nan nor inf is a literal. Digits after a zero may be a name.
    return float(text) if text.lstrip("+-").lower() in ("nan", "inf") else text


def assignment_with(space: ParameterSpace, values: Mapping[str, Any], task: str) -> int:
    """Return the first assignment in which parameters have some values.

    Says so if there are several.

    Raises
    ------
    PsyrunError
        If a name is no parameter, or there is no assignment with the values.
    """
    from psyrun.pspace.axes import grid_of
    from psyrun.results.where import first_of

    try:
        found = first_of(grid_of(space), values)
    except PsyrunError as error:
        text = str(error).removeprefix("where: ")
        raise PsyrunError(f"{task}: {text}") from None
    if found is None:
        raise PsyrunError(
            f"{task}: no assignment has all of these values. 'psy space {task}' shows "
            "which there are."
        )
    row, n_rows = found
    if n_rows > 1:
        print(f"{task}: the first of {counted(n_rows, 'assignment')} like that")
    return row
