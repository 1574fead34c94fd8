"""``psy help``: about the commands, and about task files."""

from __future__ import annotations

import argparse
import inspect

from psyrun.cli import SUMMARIES
from psyrun.errors import PsyrunError, did_you_mean

TASK_FILE = "task-file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "topic",
        nargs="?",
        metavar="TOPIC",
        help=f"a command, or {TASK_FILE!r} for the special variables of a task file",
    )


def execute(args: argparse.Namespace) -> int:
    """Print the help on a topic, or on ``psy`` itself."""
    from psyrun.cli.main import parser_for

    if args.topic == TASK_FILE:
        _print_special_variables()
    elif args.topic is None or args.topic in SUMMARIES:
        parser_for(args.topic)[1].print_help()
    else:
        topics = [*SUMMARIES, TASK_FILE]
        raise PsyrunError(
            f"there is no help on {args.topic!r}.{did_you_mean(args.topic, topics)} "
            f"Topics: {', '.join(topics)}."
        )
    return 0


def _print_special_variables() -> None:
    from psyrun.tasks.config import Config

    _, _, text = inspect.getdoc(Config).partition("\n")  # type: ignore[union-attr]
    lines = text.strip().replace("`", "").splitlines()
    print("The special variables of a task file psy-tasks/task_<name>.py:\n")
    print("\n".join(line for line in lines if set(line) != {"-"}))
