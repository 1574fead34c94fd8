"""``psy clean``: delete what was generated for tasks."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.run.clean import clean_old, clean_task
from psyrun.utils.console import for_each_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks_or_all(parser)
    parser.add_argument(
        "--old",
        action="store_true",
        help="only delete rows that are not in the result: of assignments that are no "
        "longer in the space, and of older versions of the task",
    )
    parser.epilog = "Results are deleted, too; files that psyrun did not write are not."


def execute(args: argparse.Namespace) -> int:
    """Delete the results and all intermediary files of tasks."""
    names, clean = named_or_all(args), clean_old if args.old else clean_task
    return for_each_task(
        names, lambda name: clean(args.taskdir, name), debug=args.debug
    )
