"""``psy clean``: delete what was generated for tasks."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.run.clean import clean_task
from psyrun.utils.console import for_each_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks_or_all(parser)
    parser.epilog = "Results are deleted, too; files that psyrun did not write are not."


def execute(args: argparse.Namespace) -> int:
    """Delete the results and all intermediary files of tasks."""
    names = named_or_all(args)
    return for_each_task(
        names, lambda name: clean_task(args.taskdir, name), debug=args.debug
    )
