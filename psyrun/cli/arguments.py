"""Arguments that several verbs take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from psyrun.cli.values import texts_by_name
from psyrun.errors import PsyrunError
from psyrun.tasks.discovery import find_tasks, unknown_task
from psyrun.workdir.layout import record_of_task


def whole(least: int | None = None) -> Callable[[str], int]:
    """Return a type for `argparse`: a whole number, `least` or more where given."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            message = f"{text!r} is not a whole number"
            raise argparse.ArgumentTypeError(message) from None
        if least is not None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return read


def seconds(text: str) -> float:
    """Read a length of time; a type for `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def duration(text: str) -> float:
    """Read a length of time with its unit; a type for `argparse`."""
    from psyrun.scheduler import units

    try:
        return units.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not {error}") from None


def add_tasks(parser: argparse.ArgumentParser, otherwise: str = "all tasks") -> None:
    """Declare names of tasks; `otherwise` says what is meant if there are none."""
    parser.add_argument(
        "task", nargs="*", help=f"names of tasks (default: {otherwise})"
    )


def add_part(parser: argparse.ArgumentParser, explanation: str) -> None:
    """Declare ``-p``, which names a part of the space by values of parameters."""
    parser.add_argument(
        "-p", "--part", action="append", metavar="NAME=VALUES", help=explanation
    )


def part_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the part that is asked for, each parameter once."""
    texts = texts_by_name(args.part or (), f"{args.verb}: -p")
    return tuple(f"{name}={text}" for name, text in texts.items())


def add_tasks_or_all(parser: argparse.ArgumentParser) -> None:
    """Declare names of tasks, and ``--all``; one of them must be given."""
    add_tasks(parser, otherwise="none")
    parser.add_argument("--all", action="store_true", help="take all tasks")


def named_or_all(args: argparse.Namespace) -> list[str]:
    """Return the tasks that were named, or all if ``--all`` asks for them.

    Tasks whose file is gone, but which left files behind, are included.
    """
    if not args.task and not args.all:
        raise PsyrunError(
            f"{args.verb}: no task is named. Name the tasks, or take all of them "
            f"with 'psy {args.verb} --all'."
        )
    records = record_of_task(args.taskdir, "*")
    on_record = [path.stem for path in records.parent.glob(records.name)]
    known = sorted({*find_tasks(args.taskdir), *on_record})
    for name in args.task:
        if name not in known:
            raise unknown_task(name, known, args.taskdir)
    return known if args.all else list(dict.fromkeys(args.task))
