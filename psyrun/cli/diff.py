"""``psy diff``: what a run would find changed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from psyrun.cli.arguments import add_tasks
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned
from psyrun.utils.text import counted, shortened

if TYPE_CHECKING:
    from psyrun.results.changed_assignments import Details, Examples

_HEAD = ("task", "assignments", "new", "failed", "older", "removed")
_WIDEST = 78  # characters of a line with parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="list the first assignments that are new, failed and removed, and what "
        "changed since each older version",
    )
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
    found = {
        name: difference_of(path, name, with_details=args.verbose)
        for name, path in tasks.items()
    }
    rows = [
        (name, *map(str, (d.n_items, d.n_new, d.n_failed, d.n_older, d.n_removed)))
        for name, d in found.items()
    ]
    for line in aligned([_HEAD, *rows]):
        print(visible(line))
    for name, difference in found.items():
        if difference.changed:
            print(visible(f"{name}: {difference.changed}"))
        for line in _details(difference.details):
            print(visible(f"{name}: {line}" if line[0] != " " else line))
    return 0


def _details(details: Details | None) -> Iterator[str]:
    """Yield what there is of each kind, a line for each assignment or version."""
    if details is None:
        return
    for kind in ("new", "failed", "removed"):
        examples: Examples = getattr(details, kind)
        if examples.n_all:
            yield kind
            yield from (f"  {shortened(line, _WIDEST)}" for line in examples.lines)
        if (n_others := examples.n_all - len(examples.lines)) > 0:
            yield f"  and {counted(n_others, 'other')}"
    if details.older:
        yield "older"
        yield from (f"  {line}" for line in details.older)
