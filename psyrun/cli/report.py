"""``psy report``: one page that shows sweeps."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from psyrun.cli.arguments import add_tasks
from psyrun.errors import PsyrunError
from psyrun.run.status import TaskStatus, status_of
from psyrun.tasks.discovery import select
from psyrun.utils.console import INTERRUPTED, warn
from psyrun.utils.text import counted

_DEFAULT = "report.html"
_EVERY = 10.0  # seconds, in which a page that follows a run is written anew


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        # Before the project is entered, which may be a folder above.
        type=_from_here,
        default=_DEFAULT,
        help=f"the file to write (default: {_DEFAULT}); it is replaced if it exists",
    )
    parser.add_argument(
        "--watch",
        action="store_true",
        help=f"write it again every {_EVERY:.0f} seconds until no task runs; the page "
        "in the browser follows",
    )
    parser.epilog = (
        "The file needs no network and nothing beside it. A task may be running: its "
        "rows so far are shown."
    )


def _from_here(text: str) -> Path:
    return Path(text).absolute()


def execute(args: argparse.Namespace) -> int:
    """Write the page, and print where it is and how large."""
    if not args.watch:
        _write(args, follows=False)
        return 0
    try:
        while _write(args, follows=True):
            time.sleep(_EVERY)
    except KeyboardInterrupt:
        # The page that is open is not to wait for more.
        _write(args, follows=False)
        print("psy: the page is not written anew any more", file=sys.stderr)
        return INTERRUPTED
    return 0


def _write(args: argparse.Namespace, *, follows: bool) -> bool:
    """Write the page; return whether it is to be written again, as a task runs.

    With `follows`, the page looks for a newer one in that case.
    """
    from datetime import UTC, datetime

    from psyrun.report.page.writing import page_of, write_page

    paths = select(args.taskdir, args.task)
    statuses = {name: status_of(path, name) for name, path in paths.items()}
    names = _shown(args, statuses)
    goes_on = follows and any(statuses[name].is_going_on for name in names)
    tasks = [
        _payload(args.taskdir, statuses[name], len(names), follows=follows)
        for name in names
    ]
    title = ", ".join(names) if len(names) <= 3 else f"{len(names)} tasks"
    refresh = _EVERY if goes_on else None
    write_page(
        args.output, page_of(tasks, f"{title}: psyrun", datetime.now(UTC), refresh)
    )
    if not goes_on:
        size = args.output.stat().st_size / 1e6
        print(f"{counted(len(names), 'task')} in {args.output} ({size:.1f} MB)")
    return goes_on


def _shown(args: argparse.Namespace, statuses: dict[str, TaskStatus]) -> list[str]:
    """Return the tasks of the page: those that are named, or that were ever run."""
    if args.task:
        return list(dict.fromkeys(args.task))
    run = [name for name, status in statuses.items() if status.state != "new"]
    if not run:
        raise PsyrunError(
            f"report: no task of {args.taskdir} was run yet, so that there is nothing "
            "to show. Start with 'psy run'."
        )
    if left_out := [name for name in statuses if name not in run]:
        warn(f"not in the report, as never run: {', '.join(left_out)}")
    return run


def _payload(
    taskdir: Path, status: TaskStatus, n_tasks: int, *, follows: bool
) -> dict[str, Any]:
    from psyrun.report.page.collecting import collect
    from psyrun.report.page.pace import pace_of
    from psyrun.report.page.payload import BUDGET, payload_of
    from psyrun.results.load import find_task

    task = find_task(status.name, taskdir)
    # Not the queue, again and again, of what changes.
    asks_queue = not (follows and status.is_going_on)
    sweep = collect(task, _running(taskdir, status), asks_queue=asks_queue)
    pace = None
    if status.is_going_on:
        pace = pace_of(sweep, _end(taskdir, status))
    return payload_of(sweep, status.state, status.remark, BUDGET // n_tasks, pace)


def _end(taskdir: Path, status: TaskStatus) -> str:
    """Return when a task will have ended, as ``psy status -v`` says it."""
    from psyrun.run.expected_ends import expected_end
    from psyrun.tasks.discovery import task_path

    end = status.expected
    if end is None and status.numbers is not None:
        end = expected_end(task_path(taskdir, status.name), status.name)
    return "" if end is None else end.text()


def _running(taskdir: Path, status: TaskStatus) -> list[int]:
    """Return the assignments that running jobs hold."""
    if status.state != "running" or status.numbers is None:
        return []
    from psyrun.results.assignments import assignment_states
    from psyrun.tasks.discovery import task_path

    return list(assignment_states(task_path(taskdir, status.name), status.name).running)
