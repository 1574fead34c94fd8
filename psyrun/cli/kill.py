"""``psy kill``: stop the runs of tasks with all their processes."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.run.stop import kill_task
from psyrun.utils.console import for_each_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks_or_all(parser)
    parser.epilog = "What was evaluated is kept; 'psy run' goes on from there."


def execute(args: argparse.Namespace) -> int:
    """Stop the runs of tasks; rows that were evaluated are kept."""
    names = named_or_all(args)
    return for_each_task(
        names, lambda name: kill_task(args.taskdir, name), debug=args.debug
    )
