"""Libraries that psyrun does without, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from psyrun.errors import PsyrunError, one_line


def imported(name: str, extra: str, what: str) -> Any:
    """Import a library, or a module of one, that comes with an extra of psyrun.

    Raises `PsyrunError`, which says how to install it, if it cannot be imported.
    `what` is what needs it.
    """
    library = name.partition(".")[0]
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in (name, library):
            raise
        raise PsyrunError(
            f"{what} needs {library}. "
            f"Install it with \"pip install 'psyrun[{extra}]'\"."
        ) from None
    except ImportError as error:
        raise PsyrunError(
            f"{what} needs {library}, which cannot be imported ({one_line(error)}). "
            f'Install it anew with "pip install --force-reinstall {library}".'
        ) from error
