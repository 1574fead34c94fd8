"""``psy space``: the axes of a task's space, and what is done of it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from psyrun.cli.arguments import add_part, add_tasks, part_of
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned
from psyrun.utils.text import counted
from psyrun.workdir.plan import chosen_text

if TYPE_CHECKING:
    from psyrun.results.space_summary import SpaceSummary

_HEAD = ("axis", "size", "values")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    add_part(
        parser,
        "show what 'psy run -p' would choose with these values of a parameter, such as "
        "radius=0.1,0.2, or trial=0:5",
    )
    parser.epilog = (
        "The task file is run, unless its space was divided and has not changed since. "
        "Nothing is evaluated."
    )


def execute(args: argparse.Namespace) -> int:
    """Print the axes of each space, its size, its duplicates, and what is done."""
    from psyrun.results.space_summary import summary_of

    tasks, part = select(args.taskdir, args.task), part_of(args)
    if not tasks:
        print(f"There are no tasks in {args.taskdir}. Make one: psy new-task NAME")
        return 0
    for i, (name, path) in enumerate(tasks.items()):
        if i:
            print()
        for line in _lines(name, summary_of(path, name, part), part):
            print(visible(line))
    return 0


def _lines(name: str, found: SpaceSummary, part: Sequence[str]) -> Iterator[str]:
    if part:
        yield chosen_text(name, found.n_items, found.n_whole, part)
    else:
        yield f"{name}: {counted(found.n_items, 'assignment')}"
    cells = [(axis.name, str(axis.size), axis.values) for axis in found.axes]
    cells += [(key, "", value) for key, value in found.attributes.items()]
    for line in aligned([_HEAD, *cells]):
        yield f"  {line}"
    yield f"  duplicates: {_duplicates(found.n_duplicates)}"
    yield f"  done: {_done(found)}"
    if part:
        for line in aligned([("number", *found.keys), *found.points]):
            yield f"  {line}"
    if part and found.n_items > len(found.points):
        yield f"  and {found.n_items - len(found.points)} more"


def _duplicates(n_duplicates: int | None) -> str:
    if n_duplicates is None:
        return "unknown, as its values cannot be compared"
    if not n_duplicates:
        return "none"
    equal = "equals an earlier one" if n_duplicates == 1 else "equal earlier ones"
    return f"{counted(n_duplicates, 'assignment')} {equal}"


def _done(found: SpaceSummary) -> str:
    difference = found.difference
    if difference is None:
        return f"0 of {found.n_items}; it was never run"
    more = [f"{difference.n_failed} failed"] if difference.n_failed else []
    if difference.n_older:
        more.append(f"{difference.n_older} by an older version of the code")
    if difference.n_removed:
        more.append(f"{counted(difference.n_removed, 'row')} no longer in the space")
    return ", ".join([f"{found.n_done} of {found.n_items}", *more])
