"""Checks of Sharcnet's queue."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from psyrun.doctor.finding import Finding, ok, problem

_COMMANDS = ("sqsub", "sqjobs", "sqkill")


def check_sqsub() -> Iterator[Finding]:
    """Check that its commands are there.

    Yields
    ------
    Finding
        One.
    """
    missing = [name for name in _COMMANDS if shutil.which(name) is None]
    if missing:
        yield problem(
            "commands",
            f"{', '.join(missing)} not found on the PATH. Log in to a machine of the "
            "cluster.",
        )
    else:
        yield ok("commands", ", ".join(_COMMANDS))
