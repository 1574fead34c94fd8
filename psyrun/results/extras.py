"""Libraries that psyrun does without, imported when a result is to be of theirs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from psyrun.errors import PsyrunError, did_you_mean, one_line

FORMS = {
    "arrow": "pyarrow",
    "pandas": "pandas",
    "polars": "polars",
    "xarray": "xarray",
}
"""The forms of a result, and the library that each needs."""


def check_form(as_: object) -> None:
    """Raise `PsyrunError` if there is no such form."""
    if as_ is not None and as_ not in FORMS:
        forms = ", ".join(map(repr, FORMS))
        raise PsyrunError(
            f"as_={as_!r}: there is no such form.{did_you_mean(str(as_), FORMS)} It is "
            f"one of {forms}, or None for columns."
        )


def library_for(as_: str) -> Any:
    """Import the library of a form.

    Raises `PsyrunError`, which says how to install it, if it cannot be imported.
    """
    return imported(FORMS[as_], as_, f"as_={as_!r}")


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
