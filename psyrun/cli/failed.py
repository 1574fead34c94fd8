"""``psy failed``: which assignments failed, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from psyrun.cli.arguments import add_tasks
from psyrun.errors import PsyrunError
from psyrun.results.causes import FailureGroup, grouped
from psyrun.results.failure_rules import TaskFailures
from psyrun.results.failures import examples, place_of, write_csv
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned, width_of
from psyrun.utils.text import (
    counted,
    mebibytes,
    short_duration,
    shortened,
    side_by_side,
    wrapped,
)
from psyrun.workdir.failures import Failure
from psyrun.workdir.layout import layout_of
from psyrun.workdir.plan import never_run

_HEAD = ("number", "parameters", "exception", "where", "took", "memory", "host")
_SHOWN = 20  # kinds of failures
_EXAMPLES = 2
_WIDEST = 60  # characters of a cell, but of parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser, otherwise="all with failures")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--traceback",
        action="store_true",
        help="show a traceback of each kind of failure, with --all that of each one",
    )
    form.add_argument(
        "--csv",
        action="store_true",
        help="print all of them as comma-separated values, with a header",
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="list them one by one, in a table"
    )
    parser.epilog = (
        "Without an option, failures with the same cause are told together, with what "
        "their parameters have in common, if that is no accident. The numbers are "
        "those that 'psy debug' takes. Memory is the most that the process held "
        "meanwhile."
    )


def execute(args: argparse.Namespace) -> int:
    """Print what failed: by cause, one by one in a table, or with tracebacks."""
    names = list(select(args.taskdir, args.task))
    if args.csv:
        if len(names) != 1:
            raise PsyrunError(
                "failed: --csv prints one table. Name the task: "
                f"{', '.join(names) or 'there is none yet'}."
            )
        found = _failures_of(args, names[0])
        if not found.was_run:
            print(f"psy: task {names[0]!r}: {never_run(names[0])}", file=sys.stderr)
        write_csv(found.failures, sys.stdout)
        return 0
    is_first = True
    for name in names:
        found = _failures_of(args, name)
        # Without names, only tasks with failures are told of.
        if found.failures or args.task:
            if not is_first:
                print()
            _tell(args, name, found)
            is_first = False
    if is_first:
        print("no failures")
    return 0


def _failures_of(args: argparse.Namespace, name: str) -> TaskFailures:
    return TaskFailures.load(layout_of(args.taskdir, name))


def _tell(args: argparse.Namespace, name: str, found: TaskFailures) -> None:
    if not found.failures:
        print(f"{name}: {'no failures' if found.was_run else never_run(name)}")
        return
    width = width_of(sys.stdout)
    for line in wrapped(_headline(name, found.failures), width, hanging="  "):
        print(line)
    for line in _lines(args, name, found, width):
        print(line)


def _lines(
    args: argparse.Namespace, name: str, found: TaskFailures, width: int | None
) -> Iterator[str]:
    if args.all:
        yield from (
            _tracebacks(found.failures)
            if args.traceback
            else _one_by_one(found.failures, width)
        )
        return
    groups = grouped(found.failures)
    if args.traceback:
        yield from _tracebacks([group.first for group in groups[:_SHOWN]])
    else:
        yield from _by_cause(name, found, groups[:_SHOWN], width)
    hidden = len(groups) - _SHOWN
    if hidden > 0:
        yield f"\nand {counted(hidden, 'other kind')} of failure"
    if len(found.failures) > 1:
        yield ""
        yield from side_by_side(["One by one:", f"'psy failed --all {name}'."], width)


def _by_cause(
    name: str, found: TaskFailures, groups: Sequence[FailureGroup], width: int | None
) -> Iterator[str]:
    if words := found.in_words():
        yield from wrapped(words, width, hanging="  ")
    for group in groups:
        yield ""
        count = f"{len(group.failures)} x "
        yield from wrapped(f"{count}{group.cause}", width, hanging=" " * len(count))
        if place := place_of(group):
            yield from wrapped(place, width, "  ", "    ")
        if group.times:
            yield from wrapped(group.times, width, "  ", "    ")
        if len(groups) > 1 and (rule := found.rule(group.failures)) is not None:
            yield from wrapped(rule.sentence("such failures"), width, "  ", "    ")
        yield from examples(group, "    ", width, _EXAMPLES)
        yield f"  psy debug {name} {group.first.index}"


def _headline(name: str, failures: Sequence[Failure]) -> str:
    n_accepted = sum(failure.is_accepted for failure in failures)
    accepted = f", {n_accepted} of them accepted" if n_accepted else ""
    return f"{name}: {counted(len(failures), 'assignment')} failed{accepted}"


def _one_by_one(failures: Sequence[Failure], width: int | None) -> Iterator[str]:
    """Yield a table, or if it does not fit, some lines about each failure."""
    cells = list(map(_cells, failures))
    table = [
        [number, values or "-", *(shortened(cell, _WIDEST) or "-" for cell in rest)]
        for number, values, *rest in cells
    ]
    lines = aligned([_HEAD, *table])
    if width is None or max(map(len, lines)) <= width:
        yield from lines
        return
    # Columns that were cut would tell no two assignments apart.
    for number, values, cause, *others in cells:
        start = f"{number}: "
        indent = " " * len(start)
        yield from wrapped(values, width, start, indent, breaks_words=True)
        yield from wrapped(cause, width, indent)
        yield from wrapped(", ".join(filter(None, others)), width, indent)


def _cells(failure: Failure) -> list[str]:
    """Return what is known of a failure, in the order of the head of the table."""
    duration, peak = failure.duration, failure.peak
    return [
        str(failure.index),
        failure.values,
        failure.cause,
        failure.place,
        "" if duration is None else short_duration(duration),
        "" if peak is None else mebibytes(peak),
        failure.host,
    ]


def _tracebacks(failures: Sequence[Failure]) -> Iterator[str]:
    for failure in failures:
        yield f"\nassignment {failure.index}: {failure.values}"
        yield failure.traceback.rstrip()
