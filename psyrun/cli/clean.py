"""``psy clean``: delete what was generated for tasks."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.run.clean import clean_task
from psyrun.utils.console import for_each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """
    add_tasks_or_all(parser)
    parser.epilog = "Results are deleted, too; files that psyrun did not write are not."


def execute(args: argparse.Namespace) -> int:
    """Delete the results and all intermediary files of tasks.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the verb.

    Returns
    -------
    int
        Exit status.
    """
    names = named_or_all(args)
    return for_each(names, lambda name: clean_task(args.taskdir, name), args)
