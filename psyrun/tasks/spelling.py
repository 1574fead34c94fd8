"""Names in a task file that look like misspelt special variables."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from psyrun.errors import TaskError
from psyrun.scheduler.options import Option, dashed
from psyrun.scheduler.options import names_of as names_of_options
from psyrun.tasks.config import SPECIAL_NAMES
from psyrun.tasks.fingerprint.names import DYNAMIC, NameUse, names_of
from psyrun.tasks.validation import is_allowed

_LONG = 10  # letters; from here on two mistakes are one name's

OPTIONS_OF_RUN = {
    "accept_failures": "--accept-failures",
    "continue_": "--continue",
    "dry_run": "--dry-run",
    "keep_going": "--continue",
    "move_aside": "--move-aside",
}
"""What looks like a special variable, but is an option of ``psy run``."""

COMMON_WORDS = frozenset({"rate"})
"""Special variables that are the user's own where the file reads them.

Words near them are the user's own, too.
"""

_OTHER_NAMES = {
    "exclude": "exclude_from_result",
    "keep": "keep_blocks",
    "max_fails": "max_failures",
    "max_workers": "pool_size",
    "n_processes": "pool_size",
    "n_retries": "retries",
    "n_workers": "pool_size",
    "num_jobs": "max_jobs",
    "num_workers": "pool_size",
    "outfile": "resultfile",
    "output_file": "resultfile",
    "overwrite": "overwrite_dirty",
    "retry": "retries",
    "workers": "pool_size",
}
"""What other programs call special variables."""


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
    _check_unread(_unread(names, namespace), namespace, where)


def check_arguments(
    statements: list[ast.stmt],
    namespace: Mapping[str, Any],
    where: str,
    options: Mapping[str, Option],
    given: Iterable[str],
) -> None:
    """Warn of variables that are called as arguments of the scheduler, and not read.

    Those that are `given` stand where they have to.
    """
    known = names_of_options(options)
    meant = known.keys() - set(map(dashed, map(str, given)))
    for name in sorted(_unread(names_of(statements), namespace)):
        if dashed(name) in meant:
            _warn(
                f"{where}: nothing reads {name!r}. As an argument of the scheduler, "
                f"write 'scheduler_args = {{{known[dashed(name)]!r}: ...}}'."
            )


def _check_unread(
    unread: Iterable[str], namespace: Mapping[str, Any], where: str
) -> None:
    """Tell of variables without effect that seem to be meant to have one."""
    for name in sorted(unread):
        option = _option_of_run(name)
        if option:
            raise TaskError(
                f"{where}: unknown name {name!r}. That is an option: 'psy run "
                f"{option}'. If it is a variable of your own, call it '_{name}'. "
                "See 'psy help task-file'."
            )
        meant = _OTHER_NAMES.get(name.lower())
        if meant and meant not in namespace:
            _warn(f"{where}: nothing reads {name!r}. Did you mean {meant!r}?")


def _option_of_run(name: str) -> str | None:
    plain = name.lower()
    close = [known for known in OPTIONS_OF_RUN if edits(plain, known) <= 1]
    return OPTIONS_OF_RUN[close[0]] if close else None


def _unread(names: NameUse, namespace: Mapping[str, Any]) -> set[str]:
    """Return the variables of a file that it only sets, as far as can be seen."""
    if DYNAMIC in names.used:
        return set()
    return {
        name
        for name in names.bound - names.imported - names.used - SPECIAL_NAMES
        if not name.startswith("_")
        and name in namespace
        and not callable(namespace[name])
        and not isinstance(namespace[name], ModuleType)
    }


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)


def nearest_special(name: str) -> str | None:
    """Return the special variable that a name is a near miss of, or None.

    They differ by capitals, underscores, or one letter (two if it is long).
    """
    known = SPECIAL_NAMES - COMMON_WORDS
    nearest = min(sorted(known), key=lambda special: edits(name, special))
    if edits(name, nearest) <= (2 if len(nearest) >= _LONG else 1):
        return nearest
    plain = {special.replace("_", ""): special for special in known}
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
