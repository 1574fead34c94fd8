"""``psy test``: try a task without saving anything."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psyrun.cli.arguments import whole
from psyrun.cli.values import assignment_with, values_by_name
from psyrun.errors import (
    IneffectiveExcludeWarning,
    JobError,
    PsyrunError,
    ResultError,
    StoreError,
)
from psyrun.tasks.discovery import select
from psyrun.utils.console import for_each_task, warn
from psyrun.utils.process.memory import peak_memory
from psyrun.utils.process.offspring import outlive_offspring
from psyrun.utils.process.watched import at

if TYPE_CHECKING:
    from psyrun.tasks.loading import Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task",
        nargs="*",
        metavar="task | name=value",
        help="names of tasks (default: all tasks), and values of parameters of the "
        "assignment to evaluate, such as beta=0.3",
    )
    parser.add_argument(
        "--item",
        type=whole(),
        metavar="N",
        help="number of the assignment to evaluate, from 0 (default: the first)",
    )


def execute(args: argparse.Namespace) -> int:
    """Evaluate one assignment of each task in this process."""
    outlive_offspring()
    tasks = select(args.taskdir, [name for name in args.task if "=" not in name])
    values = values_by_name((each for each in args.task if "=" in each), "test:")
    if values and args.item is not None:
        raise PsyrunError(
            "test: --item names an assignment, and so do values of parameters. Give "
            "one of them."
        )
    choice = values or args.item or 0
    return for_each_task(
        tasks, lambda name: _try_assignment(tasks[name], choice), debug=args.debug
    )


def _try_assignment(path: Path, choice: int | Mapping[str, Any]) -> int:
    from psyrun.planning.checks import check_storable
    from psyrun.pspace.absent import Arguments
    from psyrun.tasks.loading import load_task
    from psyrun.utils.tracebacks import user_traceback

    at(f"{path}: the file")
    task = load_task(path)
    n_items = len(task.pspace)
    if isinstance(choice, int):
        index = choice
    else:
        index = assignment_with(task.pspace, choice, task.name)
    if not 0 <= index < n_items:
        raise PsyrunError(
            f"{path}: there is no assignment {index}. Choose one from 0 to "
            f"{n_items - 1} with --item."
        )
    check_storable(task)
    print(f"{task.name}: assignment {index} of 0 to {n_items - 1}")
    parameters = task.pspace[index]
    given = Arguments(task.execute, task.pspace)
    arguments = given.all_of(index, parameters)
    _print_values("parameters", given.shown(index, parameters))
    at(f"{path}: `execute` or `setup`")
    start = time.perf_counter()
    try:
        result = _evaluate(task, arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        print(user_traceback(error), file=sys.stderr, end="")
        return 1
    seconds = time.perf_counter() - start
    check_result(task, parameters, result)
    _print_values("result", result)
    print(f"  took {seconds:.3g} s, peak memory {peak_memory() / 2**20:.0f} MiB")
    return 0


def _evaluate(task: Task, arguments: Mapping[str, Any]) -> Any:
    from psyrun.tasks.paths import call
    from psyrun.utils.process.alarm import time_limit
    from psyrun.utils.process.state import as_left

    def evaluate() -> Any:
        extras = dict((task.setup and task.setup(0)) or {})
        if task.timeout is not None:
            at(f"{task.path}: `execute`", task.timeout)
        with time_limit(task.timeout):
            return task.execute(**arguments, **extras)

    taskdir = task.taskdir.absolute()
    with as_left(task.module.__name__):
        return call(evaluate, taskdir, warn)


def check_result(task: Task, parameters: Mapping[str, Any], result: Any) -> None:
    """Refuse a result that is no mapping, or that the task's store cannot hold.

    Raises
    ------
    JobError
        As a run would record it.
    """
    from psyrun.steps.worker import row_of
    from psyrun.workdir.row_pickles import check_row

    try:
        row = row_of(parameters, result, task.exclude_from_result)
        task.store.check(row)
        check_row(row)
    except (StoreError, ResultError) as error:
        raise JobError(f"{task.path}: {error}") from error
    # What `setup` returns may be excluded as well, and is not known here.
    unseen = set() if task.setup else {*task.exclude_from_result} - {*parameters}
    for key in sorted(unseen.difference(result)):
        warn(f"{task.path}: exclude_from_result: {IneffectiveExcludeWarning(key)}")


def _print_values(title: str, values: Mapping[str, Any]) -> None:
    from psyrun.utils.text import describe_parameters

    print(f"  {title}")
    for name, value in describe_parameters(values).items():
        # The repr of an array has several lines.
        print(f"    {name} = {' '.join(value.split())}")
    sys.stdout.flush()
