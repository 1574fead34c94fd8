"""``psy diff``: what a run would find changed."""

from __future__ import annotations

import argparse

from psyrun.cli.arguments import add_tasks
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned

_HEAD = ("task", "assignments", "new", "failed", "older", "removed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    parser.epilog = (
        "Compares each task file, which is run if it was changed, with the rows that "
        "are there. Of the assignments, new ones have no row, and older ones one of "
        "another version of the code; rows are removed whose assignment is no longer "
        "in the space."
    )


def execute(args: argparse.Namespace) -> int:
    """Print a table, and what changed in between."""
    from psyrun.results.differences import difference_of

    tasks = select(args.taskdir, args.task)
    if not tasks:
        print(f"There are no tasks in {args.taskdir}. Make one: psy new-task NAME")
        return 0
    found = {name: difference_of(path, name) for name, path in tasks.items()}
    rows = [
        (name, *map(str, (d.n_items, d.n_new, d.n_failed, d.n_older, d.n_removed)))
        for name, d in found.items()
    ]
    for line in aligned([_HEAD, *rows]):
        print(visible(line))
    for name, difference in found.items():
        if difference.changed:
            print(visible(f"{name}: {difference.changed}"))
    return 0
