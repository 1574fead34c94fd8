"""``psy kill``: stop the runs of tasks with all their processes."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.run.stop import kill_task
from psyrun.utils.console import for_each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """
    add_tasks_or_all(parser)
    parser.epilog = "What was evaluated is kept; 'psy run' goes on from there."


def execute(args: argparse.Namespace) -> int:
    """Stop the runs of tasks; rows that were evaluated are kept.

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
    return for_each(names, lambda name: kill_task(args.taskdir, name), args)
