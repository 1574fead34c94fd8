"""Names in a task file that look like misspelt special variables."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from psyrun.errors import TaskError
from psyrun.tasks.config import SPECIAL_NAMES
from psyrun.tasks.fingerprint.names import NameUse, names_of
from psyrun.tasks.validation import is_allowed

_LONG = 10  # letters; from here on two mistakes are one name's


def check_spelling(
    statements: list[ast.stmt], namespace: Mapping[str, Any], where: str
) -> None:
    """Refuse names that are nearly those of special variables.

    A name is the user's own, however near it is, if it starts with an
    underscore, is imported, or is read in the file and either could not be
    meant as the special variable or stands beside it.
    """
    names = names_of(statements)
    for name in sorted(names.bound - names.imported - SPECIAL_NAMES):
        meant = nearest_special(name)
        if meant and not _is_own(name, meant, names, namespace):
            raise TaskError(
                f"{where}: unknown name {name!r}. Did you mean {meant!r}? If it is "
                f"a variable of your own, call it '_{name}'. See 'psy help task-file'."
            )


def nearest_special(name: str) -> str | None:
    """Return the special variable that a name is a near miss of, or None.

    They differ by capitals, underscores, or one letter (two if it is long).
    """
    nearest = min(sorted(SPECIAL_NAMES), key=lambda special: edits(name, special))
    if edits(name, nearest) <= (2 if len(nearest) >= _LONG else 1):
        return nearest
    plain = {special.replace("_", ""): special for special in SPECIAL_NAMES}
    return plain.get(name.replace("_", "").lower())


def edits(a: str, b: str) -> int:
    """Count the typing mistakes between two words.

    Fewest letters to insert, delete, replace, or swap with the next one: the
    optimal string alignment distance (Damerau 1964).
    """
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, above, row = row, before, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[j] = min(row[j], above[j - 2] + 1)
    return row[-1]


def _is_own(
    name: str, meant: str, names: NameUse, namespace: Mapping[str, Any]
) -> bool:
    if name.startswith("_") or name not in namespace:
        return True
    value = namespace[name]
    if _is_from_elsewhere(value, namespace):
        return True
    is_read = name in names.used
    return is_read and (meant in namespace or not is_allowed(meant, value))


def _is_from_elsewhere(value: Any, namespace: Mapping[str, Any]) -> bool:
    if isinstance(value, ModuleType):
        return True
    home = getattr(value, "__module__", None)
    is_definition = isinstance(value, type) or hasattr(value, "__qualname__")
    return is_definition and home != namespace.get("__name__")
