"""``psy list``: the names of all tasks."""

from __future__ import annotations

import argparse

from psyrun.tasks.discovery import find_tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb: there are none.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """


def execute(args: argparse.Namespace) -> int:
    """Print one name per line; no task file is run.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the verb.

    Returns
    -------
    int
        Exit status.
    """
    for name in find_tasks(args.taskdir):
        print(name)
    return 0
