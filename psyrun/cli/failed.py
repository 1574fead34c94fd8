"""``psy failed``: which assignments failed, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from psyrun.results.failures import write_csv
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned
from psyrun.utils.text import counted, shortened
from psyrun.utils.text import duration as duration_in_words
from psyrun.workdir.failures import Failure, failures_of_task
from psyrun.workdir.layout import layout_of

_HEAD = ("number", "parameters", "exception", "where", "took", "memory", "host")
_SHOWN = 20
_WIDEST = 60  # characters in a cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="name of the task")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--traceback", action="store_true", help="show the traceback of each"
    )
    form.add_argument(
        "--csv",
        action="store_true",
        help="print all of them as comma-separated values, with a header",
    )
    parser.add_argument(
        "--all", action="store_true", help=f"show all, not only the first {_SHOWN}"
    )
    parser.epilog = (
        "The numbers are those that 'psy debug' takes. Memory is the largest that "
        "the process had used until then."
    )


def execute(args: argparse.Namespace) -> int:
    """Print a table of the failed assignments, or their tracebacks."""
    name = args.task
    select(args.taskdir, [name])
    failures = failures_of_task(layout_of(args.taskdir, name))
    if args.csv:
        write_csv(failures, sys.stdout)
        return 0
    if not failures:
        print(f"{name}: no failures")
        return 0
    print(_headline(name, failures))
    shown = failures if args.all else failures[:_SHOWN]
    for line in _tracebacks(shown) if args.traceback else _table(shown):
        print(line)
    if hidden := len(failures) - len(shown):
        print(f"and {hidden} more; see all with 'psy failed --all {name}'")
    return 0


def _headline(name: str, failures: Sequence[Failure]) -> str:
    n_accepted = sum(failure.is_accepted for failure in failures)
    accepted = f", {n_accepted} of them accepted" if n_accepted else ""
    return f"{name}: {counted(len(failures), 'assignment')} failed{accepted}"


def _table(failures: Sequence[Failure]) -> list[str]:
    return aligned([_HEAD, *map(_cells, failures)])


def _cells(failure: Failure) -> list[str]:
    duration, peak = failure.duration, failure.peak
    cells = [
        str(failure.index),
        failure.values,
        failure.cause,
        failure.place,
        "" if duration is None else _time(duration),
        "" if peak is None else f"{peak / 1024:.0f} MiB",
        failure.host,
    ]
    return [shortened(cell, _WIDEST) or "-" for cell in cells]


def _time(seconds: float) -> str:
    if seconds >= 60:
        return duration_in_words(seconds)
    return f"{seconds:.2g} s" if seconds >= 0.001 else "< 1 ms"


def _tracebacks(failures: Sequence[Failure]) -> Iterator[str]:
    for failure in failures:
        yield f"\nassignment {failure.index}: {failure.values}"
        yield failure.traceback.rstrip()
