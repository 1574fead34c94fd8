"""``psy debug``: one assignment in Python's debugger."""

from __future__ import annotations

import argparse
import bdb
import faulthandler
import os
import pdb
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from psyrun.cli.arguments import whole
from psyrun.cli.test import check_result
from psyrun.cli.values import assignment_with, values_by_name
from psyrun.errors import PsyrunError
from psyrun.tasks.discovery import select
from psyrun.utils.console import warn
from psyrun.utils.process.offspring import outlive_offspring
from psyrun.utils.process.watched import at
from psyrun.utils.text import assignment_text
from psyrun.utils.tracebacks import is_users
from psyrun.workdir.division import DivisionCounts
from psyrun.workdir.layout import layout_of
from psyrun.workdir.plan import Plan

if TYPE_CHECKING:
    from psyrun.pspace import ParameterSpace
    from psyrun.tasks.loading import Task

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="name of the task")
    parser.add_argument(
        "assignment",
        nargs="+",
        metavar="number | name=value",
        help="number of the assignment, from 0, as 'psy failed' shows it; or values of "
        "its parameters, such as beta=0.3",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="stop at the first line of execute, not only where it fails",
    )


def execute(args: argparse.Namespace) -> int:
    """Evaluate one assignment; open the debugger where it fails."""
    from psyrun.tasks.loading import load_task
    from psyrun.utils.process.state import enter_as_left

    outlive_offspring()
    choice = _choice(args.assignment)
    path = select(args.taskdir, [args.task])[args.task]
    at(f"{path}: the file")
    task = load_task(path, with_space=False)
    parameters, arguments = _parameters(task, choice)
    at(f"{task.path}: `execute` or `setup`")
    # A crash of a compiled library then shows where it was called.
    faulthandler.enable()
    # The debugger shows things as `execute` has them.
    enter_as_left(task.module.__name__)
    try:
        result = _evaluate(task, arguments, trace=args.trace)
    except bdb.BdbQuit:
        return 0
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _post_mortem(error)
    check_result(task, parameters, result)
    print(f"result: {assignment_text(result)}")
    return 0


def _choice(words: list[str]) -> int | dict[str, Any]:
    """Return the number of an assignment, or values of its parameters."""
    if len(words) == 1 and "=" not in words[0]:
        try:
            return whole()(words[0])
        except argparse.ArgumentTypeError as error:
            raise PsyrunError(
                f"debug: {error}. Give the number of an assignment, or values of its "
                "parameters, such as beta=0.3."
            ) from None
    return values_by_name(words, "debug:")


def _parameters(
    task: Task, choice: int | Mapping[str, Any]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the parameters of an assignment, and what `execute` is called with."""
    from psyrun.pspace.absent import Arguments

    space = _space(task, is_whole=not isinstance(choice, int))
    n_items = len(space)
    if isinstance(choice, int):
        number = choice
    else:
        number = assignment_with(space, choice, task.name)
    if not 0 <= number < n_items:
        raise PsyrunError(
            f"{task.path}: there is no assignment {number}. Choose one from 0 to "
            f"{n_items - 1}; 'psy failed {task.name}' lists those that failed."
        )
    parameters = space[number]
    given = Arguments(task.execute, space)
    arguments, shown = given.all_of(number, parameters), given.shown(number, parameters)
    where = f"{task.name}: assignment {number} of 0 to {n_items - 1}"
    print(f"{where}: {assignment_text(shown)}", flush=True)
    return parameters, arguments


def _space(task: Task, *, is_whole: bool) -> ParameterSpace:
    """Return the space that failed assignments are numbered in.

    If `is_whole`, also with assignments that were not chosen by ``psy run -p``.
    """
    layout = layout_of(task.taskdir, task.name, str(task.workdir))
    plan = Plan.load(layout)
    if plan is None or DivisionCounts.load(layout.round(plan.round)) is None:
        return task.pspace
    from psyrun.workdir.division import Division

    division = Division.load(layout.round(plan.round))
    return division.whole_space if is_whole else division.space


def _evaluate(task: Task, arguments: Mapping[str, Any], *, trace: bool) -> Any:
    from psyrun.tasks.paths import call

    def evaluate(run: Callable[..., Any]) -> Any:
        extras = dict((task.setup and task.setup(0)) or {})
        return run(**arguments, **extras)

    taskdir = task.taskdir.absolute()
    if not trace:
        return call(partial(evaluate, task.execute), taskdir, warn)
    debugger = _Debugger()
    run = partial(debugger.runcall, task.execute)
    result = call(partial(evaluate, run), taskdir, warn)
    if debugger.was_quit:
        raise bdb.BdbQuit
    return result


class _Debugger(pdb.Pdb):
    """A debugger that knows whether the user quit it."""

    was_quit = False

    def set_quit(self) -> None:
        self.was_quit = True
        super().set_quit()


class _PostMortem(pdb.Pdb):
    """A debugger that begins in the innermost file of the user, not in a library."""

    def get_stack(
        self, f: FrameType | None, t: TracebackType | None
    ) -> tuple[list[tuple[FrameType, int]], int]:
        stack, at = super().get_stack(f, t)
        files = [frame.f_code.co_filename for frame, _ in stack]
        own = [place for place, file in enumerate(files) if is_users(file)]
        return stack, own[-1] if f is None and own else at


def _post_mortem(error: BaseException) -> int:
    """Show an exception, and open the debugger where it was raised."""
    from psyrun.utils.tracebacks import user_traceback

    print(user_traceback(error), file=sys.stderr, end="", flush=True)
    frames = error.__traceback__
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    if frames is not None:
        debugger = _PostMortem()
        debugger.reset()
        debugger.interaction(None, frames)
    return 1


def _is_ours(frame: TracebackType) -> bool:
    file = frame.tb_frame.f_code.co_filename
    # The debugger stands between us and the user's function.
    return file.startswith(_PACKAGE) or file in (pdb.__file__, bdb.__file__)
