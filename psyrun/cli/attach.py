"""``psy attach``: follow a run."""

from __future__ import annotations

import argparse
import sys

from psyrun.run.attach import Follower
from psyrun.run.display import choose_display
from psyrun.tasks.discovery import select
from psyrun.tasks.import_path import add_to_import_path
from psyrun.utils.console import INTERRUPTED
from psyrun.workdir.layout import layout_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="name of a task")
    parser.epilog = (
        "Ctrl-C ends the following only. The exit status is that of the run."
    )


def execute(args: argparse.Namespace) -> int:
    """Show a run until it ends."""
    select(args.taskdir, [args.task])
    add_to_import_path(args.taskdir)
    display = choose_display(is_quiet=False)
    try:
        return Follower(layout_of(args.taskdir, args.task), display).follow()
    except KeyboardInterrupt:
        display.close()
        print(
            f"psy: not followed any more; the run goes on. Follow it again with "
            f"'psy attach {args.task}', or stop it with 'psy kill {args.task}'.",
            file=sys.stderr,
        )
        return INTERRUPTED
    finally:
        display.close()
