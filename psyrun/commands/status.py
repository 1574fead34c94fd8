"""``psy status``: how far tasks are."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.commands.selection import add_tasks
from psyrun.status import TaskStatus, status_of
from psyrun.taskdir import select

if TYPE_CHECKING:
    from psyrun.commands.details import Details

_HEAD = ("task", "state", "rows", "failed", "blocks", "")
_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """
    add_tasks(parser)
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help=f"show what failed and what is not evaluated yet, up to {_SHOWN} "
        "assignments of each; with -vv all of them",
    )
    parser.epilog = (
        "States: new (never run), running, done, incomplete ('psy run' goes on), "
        "outdated (its code changed since it was run), unreadable."
    )


def execute(args: argparse.Namespace) -> int:
    """Print a table, and on request the assignments behind its numbers.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the verb.

    Returns
    -------
    int
        Exit status.
    """
    tasks = select(args.taskdir, args.task)
    if not tasks:
        print(f"There are no tasks in {args.taskdir}. Make one: psy new-task NAME")
        return 0
    statuses = [status_of(path, name) for name, path in tasks.items()]
    for line in _aligned([_HEAD, *map(_cells, statuses)]):
        print(line)
    if args.verbose:
        limit = None if args.verbose > 1 else _SHOWN
        for status in statuses:
            if status.state != "unreadable":
                _print_details(tasks[status.name], status.name, limit)
    return 0


def _cells(status: TaskStatus) -> tuple[str, ...]:
    counts = status.numbers
    if counts is None:
        return (status.name, status.state, "-", "-", "-", status.remark)
    former = f"{counts.n_former} former rows" if counts.n_former else ""
    return (
        status.name,
        status.state,
        f"{counts.n_done}/{counts.n_items}",
        str(counts.n_failed),
        f"{counts.n_blocks_done}/{counts.n_blocks}",
        ", ".join(filter(None, [status.remark, former])),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _print_details(path: Path, name: str, limit: int | None) -> None:
    from psyrun.commands.details import details_of

    details = details_of(path, name)
    _print_some(name, "failed", len(details.failures), _failures(details), limit)
    unevaluated = (_short(details.space[i]) for i in details.unevaluated)
    n_open = len(details.unevaluated)
    _print_some(name, "not evaluated yet", n_open, unevaluated, limit)


def _failures(details: Details) -> Iterator[str]:
    for index, failure in details.failures.items():
        parameters = _short(details.space[index])
        if failure is None:
            yield parameters
        else:
            message = " ".join(failure["message"].split())
            yield f"{parameters}: {failure['type']}: {message}"


def _short(parameters: Mapping[str, Any]) -> str:
    from psyrun.failure import describe_parameters

    texts = describe_parameters(parameters).items()
    # The repr of an array has several lines.
    return ", ".join(f"{name}={' '.join(text.split())}" for name, text in texts)


def _print_some(
    name: str, what: str, count: int, lines: Iterable[str], limit: int | None
) -> None:
    if not count:
        return
    print(f"\n{name}: {count} {what}")
    for line in islice(lines, limit):
        print(f"  {line}")
    if limit is not None and count > limit:
        print(f"  and {count - limit} more; see all with 'psy status -vv {name}'")
