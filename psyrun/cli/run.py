"""``psy run``: execute tasks."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from psyrun.cli.arguments import whole
from psyrun.planning.prepare import RunOptions, prepare_all
from psyrun.run import controller_job as queued
from psyrun.run.detach import heed_signals, start
from psyrun.run.display import Display, choose_display
from psyrun.run.log import LogDisplay, RunLog
from psyrun.run.session import JOB, PROCESS, Session
from psyrun.tasks.discovery import find_tasks, select
from psyrun.utils.console import warn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``psy run``."""
    parser.add_argument("task", nargs="*", help="names of tasks, by default all")
    parser.add_argument(
        "-c",
        "--continue",
        dest="keep_going",
        action="store_true",
        help="keep existing rows and add what is missing",
    )
    parser.add_argument(
        "-j",
        "--jobs",
        type=whole(1),
        metavar="N",
        help="use up to N cores at once (default: 1), or have up to N jobs in a "
        "queue (default: as many as there are)",
    )
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="only show what would be done"
    )
    parser.add_argument(
        "--accept-failures",
        action="store_true",
        help="go without the assignments that failed",
    )
    parser.add_argument(
        "--max-failures",
        type=whole(0),
        metavar="N",
        help="stop when more than N assignments failed",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="only show what went wrong"
    )
    parser.add_argument(
        "--detach",
        action="store_const",
        const=PROCESS,
        help="return at once; the run goes on by itself, see 'psy attach'",
    )
    # An option by this whole name, as names of tasks may follow the other one.
    parser.add_argument(
        "--detach=job",
        dest="detach",
        action="store_const",
        const=JOB,
        help="put the whole run in the queue of the tasks",
    )
    parser.add_argument("--controller", help=argparse.SUPPRESS)


def execute(args: argparse.Namespace) -> int:
    """Run tasks and return the exit status."""
    if args.detach == PROCESS and not args.dry_run:
        return start(args)
    if args.controller is not None:
        heed_signals()
    log = queued.going_on(args.taskdir, args.task) if args.controller == JOB else None
    with log or nullcontext():
        status = _execute(args, log)
        if log is not None:
            log.end(status)
    return status


def _execute(args: argparse.Namespace, log: RunLog | None) -> int:
    taskdir = Path(args.taskdir)
    if args.task:
        paths = select(taskdir, args.task)
    else:
        paths = find_tasks(taskdir, all_are_meant=True)
    if not paths:
        print(f"no tasks in {taskdir}; create one with 'psy new-task NAME'")
    options = RunOptions(args.keep_going, args.accept_failures, args.max_failures)
    view = _choose_view(args)
    try:
        prepared = prepare_all(paths.values(), options, warn)
        return Session(view, args, log).run(prepared)
    finally:
        view.close()


def _choose_view(args: argparse.Namespace) -> Display:
    is_to_last = args.controller is None or args.quiet
    return choose_display(quiet=args.quiet) if is_to_last else LogDisplay(sys.stdout)
