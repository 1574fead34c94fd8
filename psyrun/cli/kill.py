"""``psy kill``: stop the runs of tasks with all their processes."""

from __future__ import annotations

import argparse
import sys

from psyrun.cli.arguments import add_tasks_or_all, named_or_all
from psyrun.queue.trust import IfTrusted
from psyrun.run.stop import kill_task
from psyrun.utils.console import for_each_task, warn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks_or_all(parser)
    parser.add_argument(
        "--trust",
        action="store_true",
        help="use the project's own schedulers, also if others may have written them",
    )
    parser.epilog = "What was evaluated is kept; 'psy run' goes on from there."


def execute(args: argparse.Namespace) -> int:
    """Stop the runs of tasks; rows that were evaluated are kept."""
    names = named_or_all(args)
    thaw = IfTrusted(args.taskdir, is_trusted=args.trust, ask=_ask)
    return for_each_task(
        names, lambda name: kill_task(args.taskdir, name, thaw), debug=args.debug
    )


def _ask(text: str) -> bool:
    """Ask on a terminal whether to trust; elsewhere, the answer is no."""
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    warn(text)
    print("Trust it now? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
