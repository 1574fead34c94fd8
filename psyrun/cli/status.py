"""``psy status``: how far tasks are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from psyrun.cli.arguments import add_tasks
from psyrun.errors import PsyrunError, visible
from psyrun.run.status import AssignmentCounts, TaskStatus, status_of
from psyrun.tasks.discovery import select
from psyrun.utils.console import aligned, width_of
from psyrun.utils.text import assignment_text, counted, wrapped
from psyrun.workdir.layout import layout_of

if TYPE_CHECKING:
    from psyrun.results.assignments import AssignmentStates

_HEAD = ("task", "state", "rows", "failed", "blocks", "")
_SHOWN = 20
_GAP = "  "  # between columns
_NARROWEST = 30  # columns that remarks have at the end of the table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_tasks(parser)
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show which assignments cost most, what was predicted and what jobs used "
        "of what they asked for, what failed and what is not evaluated "
        f"yet, up to {_SHOWN} of each; with -vv all of them",
    )
    parser.epilog = (
        "States: new (never run), running, queued (its jobs are in a queue, but "
        "nobody watches them), done, incomplete ('psy run' goes on), "
        "edited (its space changed since it was run), outdated (its code did), "
        "unreadable."
    )


def execute(args: argparse.Namespace) -> int:
    """Print a table, and on request the assignments behind its numbers."""
    tasks = select(args.taskdir, args.task)
    if not tasks:
        print(f"There are no tasks in {args.taskdir}. Make one: psy new-task NAME")
        return 0
    statuses = [status_of(path, name) for name, path in tasks.items()]
    for line in _table(statuses, width_of(sys.stdout)):
        print(visible(line))
    if args.verbose:
        limit = None if args.verbose > 1 else _SHOWN
        for status in statuses:
            _print_ended(status, limit)
            _print_waiting(tasks[status.name], status)
            _print_hanging(status, limit)
            if status.numbers is None and status.kept:
                # To know that, all rows would have to be matched with the space.
                print(
                    f"\n{status.name}: the space is not divided yet, so what it lacks "
                    "is not known"
                )
            elif status.state != "unreadable":
                try:
                    _print_details(tasks[status.name], status, limit)
                except PsyrunError as error:
                    # Others are to be told of, whatever is wrong with one.
                    print(visible(f"\n{status.name}: {error}"))
    return 0


def _table(statuses: Sequence[TaskStatus], width: int | None) -> Iterator[str]:
    """Yield the table; what does not fit has a line of its own.

    That are names before their row, and remarks below it, if they cannot go on in their
    column.
    """
    cells = [_HEAD, *map(_cells, statuses)]
    columns = aligned([row[1:-1] for row in cells])
    size = max(map(len, columns))
    names = [row[0] for row in cells]
    longest = max(map(len, names)) if width is None else width - size - len(_GAP)
    room = max(len(name) for name in names if len(name) <= longest or name == _HEAD[0])
    for name, column, (*_, remark) in zip(names, columns, cells, strict=True):
        if len(name) > room:
            yield name
            name = ""
        start = f"{name:{room}}{_GAP}{column:{size}}{_GAP}"
        line = f"{start}{remark}".rstrip()
        if width is None or len(line) <= width:
            yield line
            continue
        if width - len(start) < _NARROWEST:
            yield start.rstrip()
            start = _GAP
        yield from wrapped(remark, width, start, " " * len(start))


def _cells(status: TaskStatus) -> tuple[str, ...]:
    numbers = status.numbers
    if numbers is None:
        remarks = [*status.remarks, _changed(status), *_hanging(status), status.kept]
        remark = ", ".join(filter(None, remarks))
        return (status.name, status.state, "-", "-", "-", remark)
    return (
        status.name,
        status.state,
        f"{numbers.n_done}/{numbers.n_items}",
        str(numbers.n_failed),
        f"{numbers.n_blocks_done}/{numbers.n_blocks}",
        ", ".join([*status.remarks, *_remarks(status, numbers)]),
    )


def _changed(status: TaskStatus) -> str:
    return status.changed if status.state in ("edited", "outdated") else ""


def _hanging(status: TaskStatus) -> Iterator[str]:
    """Yield what is to be said at once of processes that seem to hang."""
    for one in status.hanging[:1]:
        others = len(status.hanging) - 1
        which = f" and {others} more seem" if others else " seems"
        yield f"{one.job}{which} to hang: {one.command}"


def _remarks(status: TaskStatus, numbers: AssignmentCounts) -> Iterator[str]:
    if what := _changed(status):
        yield what
    yield from _hanging(status)
    if status.state == "done" and numbers.n_failed:
        yield f"without {counted(numbers.n_failed, 'failed assignment')}"
    if numbers.n_not_chosen:
        of_pilots = "left after the pilots of 'psy plan'"
        of_part = "not chosen by 'psy run -p'"
        yield f"{numbers.n_not_chosen} {of_pilots if numbers.is_of_pilots else of_part}"
    if numbers.n_older:
        yield f"{counted(numbers.n_older, 'row')} by an earlier version"
    if numbers.n_former:
        yield counted(numbers.n_former, "former row")
    if numbers.n_left_out:
        yield f"{counted(numbers.n_left_out, 'row')} left out"
    if status.kept:
        yield status.kept


def _print_ended(status: TaskStatus, limit: int | None) -> None:
    lines = (f"{job}: {ending.text}" for job, ending in status.ended)
    what = f"job{'' if len(status.ended) == 1 else 's'} ended by the queue"
    _print_some(status.name, what, len(status.ended), lines, limit)


def _print_waiting(path: Path, status: TaskStatus) -> None:
    """Ask a queue why jobs wait, if nobody who watches them has done so lately."""
    from psyrun.queue.waiting import ask
    from psyrun.workdir.layout import layout_of

    is_known = status.waits or not status.is_going_on
    found = None if is_known else ask(layout_of(path.parent, status.name))
    if found is not None and (text := found.text()):
        print(visible(f"\n{status.name}: jobs wait in the queue ({text})"))


def _print_hanging(status: TaskStatus, limit: int | None) -> None:
    lines = (f"{one.job}: process {one.pid} {one.text}" for one in status.hanging)
    what = f"process{'' if len(status.hanging) == 1 else 'es'} without progress"
    _print_some(status.name, what, len(status.hanging), lines, limit)


def _print_details(path: Path, status: TaskStatus, limit: int | None) -> None:
    from psyrun.results.assignments import assignment_states
    from psyrun.run.expected_ends import expected_end

    name = status.name
    details = assignment_states(path, name)
    # What its run expects, which has seen more of it, stands in the table.
    is_run = status.is_going_on and status.numbers is not None
    end = expected_end(path, name) if is_run and status.expected is None else None
    if end is not None:
        print(f"\n{name}: done at about {end.text()}")
    space, failures = details.space, details.failures
    for rule in details.cost_rules:
        print(f"\n{name}: {rule.headline}")
        for line in wrapped(rule.in_words, width_of(sys.stdout), "  ", "    "):
            print(visible(line))
    _print_costs(path, name, details)
    failed = (f"{failure.values}: {failure.cause}" for failure in failures)
    _print_some(name, "failed", len(failures), failed, limit)
    interrupted = set(details.interrupted)
    untouched = [i for i in details.missing if i not in interrupted]
    for what, indices in (
        ("in running jobs", details.running),
        ("queued", details.queued),
        ("being evaluated when their job ended", details.interrupted),
        ("not evaluated yet", untouched),
    ):
        lines = (assignment_text(space[index]) for index in indices)
        _print_some(name, what, len(indices), lines, limit)


def _print_costs(path: Path, name: str, details: AssignmentStates) -> None:
    """Print what was predicted, and what jobs have used of what was reserved."""
    from psyrun.results.efficiency import efficiency_of
    from psyrun.results.predicted import comparison_of

    data, plan = details.data, details.plan
    if data is None or plan is None:
        return
    layout = layout_of(path.parent, name)
    comparison = comparison_of(layout, plan, data)
    if comparison is not None:
        print(f"\n{name}: what was predicted before the run, and what it was")
        _print_wrapped(comparison.lines)
    uses = efficiency_of(layout, plan, data, failures=details.failures)
    if uses:
        is_counted = any(use.source == "queue" for use in uses)
        who = "the queue counts it" if is_counted else "rows and jobs tell it"
        print(f"\n{name}: used of what was reserved, as {who}")
    for use in uses:
        head, *others = use.lines
        _print_wrapped([head, *(f"  {line}" for line in others)])


def _print_wrapped(lines: Iterable[str]) -> None:
    for line in lines:
        text = line.lstrip()
        indent = " " * (2 + len(line) - len(text))
        for part in wrapped(text, width_of(sys.stdout), indent, f"{indent}  "):
            print(visible(part))


def _print_some(
    name: str, what: str, count: int, lines: Iterable[str], limit: int | None
) -> None:
    if not count:
        return
    print(f"\n{name}: {count} {what}")
    for line in islice(lines, limit):
        for part in wrapped(line, width_of(sys.stdout), "  ", "    "):
            print(visible(part))
    if limit is not None and count > limit:
        print(f"  and {count - limit} more; see all with 'psy status -vv {name}'")
