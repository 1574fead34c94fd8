"""``psy space``: the axes of a task's space, and what is done of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from psyrun.cli.arguments import add_part, add_tasks, part_of
from psyrun.errors import visible
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned, width_of
from psyrun.utils.text import counted, wrapped
from psyrun.workdir.plan import chosen_text

if TYPE_CHECKING:
    from psyrun.results.space_summary import SpaceSummary

_NARROWEST = 30  # columns that values have at the end of the table
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
    width = width_of(sys.stdout)
    head = f"{name}: {counted(found.n_items, 'assignment')}"
    if part:
        head = chosen_text(name, found.n_items, found.n_whole, part)
    yield from wrapped(head, width, hanging="  ")
    cells = [(axis.name, str(axis.size), axis.values) for axis in found.axes]
    cells += [(key, "", value) for key, value in found.attributes.items()]
    yield from _axes([_HEAD, *cells], width)
    yield f"  duplicates: {_duplicates(found.n_duplicates)}"
    yield f"  done: {_done(found)}"
    if part:
        yield from _points(found, width)
    if part and found.n_items > len(found.points):
        yield f"  and {found.n_items - len(found.points)} more"


def _axes(cells: Sequence[tuple[str, str, str]], width: int | None) -> Iterator[str]:
    """Yield a table; values that do not fit go on in their column, or below it."""
    columns = aligned([row[:2] for row in cells])
    size = max(map(len, columns))
    for column, (*_, values) in zip(columns, cells, strict=True):
        start = f"  {column:{size}}  "
        line = f"{start}{values}".rstrip()
        if width is None or len(line) <= width:
            yield line
            continue
        if width - len(start) < _NARROWEST:
            yield start.rstrip()
            start = "    "
        yield from wrapped(values, width, start, " " * len(start), breaks_words=True)


def _points(found: SpaceSummary, width: int | None) -> Iterator[str]:
    """Yield a table, or if it does not fit, the points one after the other."""
    lines = aligned([("number", *found.keys), *found.points])
    if width is None or max(map(len, lines)) + 2 <= width:
        yield from (f"  {line}" for line in lines)
        return
    for number, *values in found.points:
        pairs = zip(found.keys, values, strict=True)
        text = ", ".join(f"{key}={value}" for key, value in pairs if value)
        start = f"  {number}: "
        yield from wrapped(text, width, start, " " * len(start), breaks_words=True)


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
