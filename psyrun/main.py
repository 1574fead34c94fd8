"""The command ``psy`` as a function, where psyrun 0.8 had it."""

from __future__ import annotations

from collections.abc import Sequence

from psyrun.cli.main import main
from psyrun.utils.former import warn_former


def psy_main(argv: Sequence[str] | None = None, init_venv: bool = True) -> int:
    """Run ``psy`` and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``psy``; by default those of the command line.
    init_venv : bool, optional
        Has no effect: jobs run in the environment that `psy` runs in.

    Returns
    -------
    int
        The exit status.
    """
    warn_former("psyrun.main.psy_main", "the command 'psy', or 'python -m psyrun.cli'")
    return main(argv)
