"""Numbers among the arguments of a verb."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from psyrun.errors import PsyrunError
from psyrun.tasks.discovery import find_tasks, unknown_task
from psyrun.workdir.layout import record_of_task


def whole(least: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number, and may refuse small ones.

    Parameters
    ----------
    least : int, optional
        The smallest number that is allowed; by default, any is.

    Returns
    -------
    callable
        A type for arguments of `argparse`.
    """

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            said = f"{text!r} is not a whole number"
            raise argparse.ArgumentTypeError(said) from None
        if least is not None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return read


def seconds(text: str) -> float:
    """Read a length of time; a type for arguments of `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def add_tasks(parser: argparse.ArgumentParser, otherwise: str = "all tasks") -> None:
    """Declare the names of tasks.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    otherwise : str
        What is meant if no task is named, for the help.
    """
    parser.add_argument(
        "task", nargs="*", help=f"names of tasks (default: {otherwise})"
    )


def add_tasks_or_all(parser: argparse.ArgumentParser) -> None:
    """Declare the names of tasks, and ``--all``, without which none is meant.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Parser of the verb.
    """
    add_tasks(parser, otherwise="none")
    parser.add_argument("--all", action="store_true", help="take all tasks")


def named_or_all(args: argparse.Namespace) -> list[str]:
    """Return the tasks that were named, or all if ``--all`` asks for them.

    Tasks whose file is gone, but which left files behind, are included.

    Parameters
    ----------
    args : argparse.Namespace
        Arguments of the verb.

    Raises
    ------
    PsyrunError
        If a task is unknown, or none was named.
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
