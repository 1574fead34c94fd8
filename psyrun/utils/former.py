"""Names that psyrun 0.8 had, kept as aliases with a warning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

# Of psyrun, and of Python where it imports names from a package.
_OWN = (str(Path(__file__).parents[1]), "<frozen importlib")


FORMER = ".* is from psyrun 0[.]8 and still works: "
"""Pattern of the warnings of `warn_former`."""


def warn_former(name: str, instead: str) -> None:
    """Warn that a name is that of psyrun 0.8; Python does so once for each place."""
    # Users see no DeprecationWarning, unless it comes from the file that they run.
    text = f"{name} is from psyrun 0.8 and still works: use {instead}."
    warn_user(FutureWarning(text))


def warn_user(warning: Warning) -> None:
    """Warn of a line of the user's, the last one that came here."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    place = frame.f_code.co_filename, frame.f_lineno
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(warning, type(warning), *place, registry=registry)


def former_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a function ``__getattr__`` for a module with former names.

    `names` says for each of them which object it is (``'module:name'``), and after a
    blank what to use instead, if that is not the same.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        target, _, instead = names[name].partition(" ")
        home, _, attribute = target.partition(":")
        warn_former(f"{module}.{name}", instead or f"{home}.{attribute}")
        return getattr(import_module(home), attribute)

    return get
