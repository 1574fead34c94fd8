"""``psy new-task``: a task file to fill in."""

from __future__ import annotations

import argparse
from pathlib import Path
from pprint import pformat
from string import Template
from typing import TYPE_CHECKING

from psyrun.errors import PsyrunError, TaskError
from psyrun.tasks.discovery import find_tasks, task_path
from psyrun.tasks.import_path import add_to_import_path
from psyrun.utils.resources import shipped

if TYPE_CHECKING:
    from psyrun.scheduler import Scheduler

DEFAULT_SCHEDULER = "ImmediateRun"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="name of the task")
    parser.add_argument(
        "--scheduler",
        default=DEFAULT_SCHEDULER,
        help="name of the scheduler to write values for (default: %(default)s)",
    )


def execute(args: argparse.Namespace) -> int:
    """Write the task file, unless there is one."""
    if args.project != Path():
        raise PsyrunError(
            f"new-task: the project is in {args.project}; add a task to it with 'psy "
            f"new-task --taskdir {args.project / args.taskdir} {args.name}', or begin "
            "a project of its own here with 'psy init'."
        )
    path = task_path(args.taskdir, args.name)
    text = _text(args.name, args.scheduler, args.taskdir)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise TaskError(
            f"{path}: exists already and is left as it is. Choose another name."
        ) from None
    try:
        # A name may differ from that of another task in capitals only.
        find_tasks(args.taskdir)
    except TaskError:
        path.unlink()
        raise
    print(f"created {path}")
    print(f"Try it with 'psy test {args.name}', run it with 'psy run {args.name}'.")
    return 0


def _text(name: str, scheduler: str, taskdir: Path) -> str:
    from psyrun.scheduler import scheduler_class

    add_to_import_path(taskdir)
    found = scheduler_class(scheduler)
    template = shipped("workflow", "task.py.template").read_text(encoding="utf-8")
    return Template(template).substitute(
        name=name,
        scheduler_import=_import(found),
        scheduler=found.__name__,
        scheduler_args=pformat(dict(found.USER_DEFAULT_ARGS), sort_dicts=False),
    )


def _import(scheduler: type[Scheduler]) -> str:
    name, module = scheduler.__name__, scheduler.__module__
    module = "psyrun.scheduler" if module.startswith("psyrun.") else module
    return f"from {module} import {name}"
