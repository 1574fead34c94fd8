"""Values of parameters on the command line, such as ``beta=0.3``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from psyrun.errors import PsyrunError
from psyrun.utils.literals import values_in
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
    texts = texts_by_name(conditions, what)
    return {name: values_in(text) for name, text in texts.items()}


def texts_by_name(conditions: Iterable[str], what: str) -> dict[str, str]:
    """Return what is asked for by the names of parameters, as `values_by_name`."""
    found = dict[str, str]()
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
        found[name] = text.strip()
    return found


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
