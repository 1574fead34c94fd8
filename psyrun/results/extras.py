"""Libraries that psyrun does without, imported when a result is to be of theirs."""

from __future__ import annotations

from typing import Any

from psyrun.errors import PsyrunError, did_you_mean
from psyrun.utils.extras import imported

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
