"""What is said of the rows that a run keeps, leaves out and replaces."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from psyrun.planning.assessment import Assessment
from psyrun.planning.decide import Decision
from psyrun.planning.states import Current, RowNumbers
from psyrun.tasks.changes import clause, of_code, of_space
from psyrun.utils.text import counted

if TYPE_CHECKING:
    from psyrun.planning.rerun import Rerun


def told_of_assessment(name: str, found: Assessment, arguments: str) -> list[str]:
    """Return what is to be said of the rows that are there, in lines.

    Parameters
    ----------
    name : str
        Name of the task.
    found : Assessment
        What the run does, and why.
    arguments : str
        What was given to ``psy run`` for this task: its name, and the part.
    """
    code, space = clause(of_code(found.changes)), clause(of_space(found.changes))
    lines = told_of_rows(name, found.decision, code, space, arguments)
    again = told_of_rerun(
        name,
        found.decision,
        found.rerun,
        is_merged=found.current.merged is not None,
        is_of_part=found.chosen is not None,
    )
    incomparable = filter(None, [found.incomparable])
    if found.chosen is not None:
        return [found.chosen.said_of(name), *incomparable, *again, *lines]
    is_rest = not (found.rerun or found.changes)
    rest = told_of_rest(name, found.decision, found.current) if is_rest else ()
    return [*rest, *incomparable, *again, *lines]


def told_of_rows(
    name: str, decision: Decision, code: str, space: str, arguments: str
) -> Iterator[str]:
    """Yield what a run does with the rows of before, in lines.

    Parameters
    ----------
    name : str
        Name of the task.
    decision : Decision
        What the run does.
    code, space : str
        What has changed of the code and of the space since the last run, such as
        ``execute changed (task_seir.py:14)``; empty if nothing has, or it is not known.
    arguments : str
        What was given to ``psy run`` for this task: its name, and the part.
    """
    if decision.is_dirty:
        yield (
            f"{name}: {_what_is_redone(decision.rows, code)}; 'psy run --continue "
            f"{arguments}' would keep the rows that are there"
        )
    if decision.describes:
        yield (
            f"{name}: dims, coords or attrs changed; the result is written again with "
            "them, and nothing is evaluated"
        )
    if decision.rows is not None:
        for line in _told_of_kept(name, decision.rows, code, space, arguments):
            yield f"{name}: {line}"


def _what_is_redone(rows: RowNumbers | None, code: str) -> str:
    n_redone = 0 if rows is None else rows.n_redone
    older = f"{counted(n_redone, 'row')} by an older version"
    since = f"{code or 'changed'} since it was run"
    if rows is not None and (rows.n_kept or rows.n_older):
        return f"{since}, {older} {_are(n_redone)} computed again"
    if n_redone and not code:
        return f"{older} {_are(n_redone)} computed again"
    return f"{since}, all is computed again"


def _told_of_kept(
    name: str, rows: RowNumbers, code: str, space: str, arguments: str
) -> Iterator[str]:
    """Yield which rows are kept, and which are left out."""
    if rows.n_older:
        before = f"before {code}" if code else "by another version of the task"
        yield (
            f"{counted(rows.n_older, 'row')} kept, made {before}; 'psy run "
            f"{arguments}' computes {'it' if rows.n_older == 1 else 'them'} again"
        )
    if space and rows.n_kept:
        yield f"{space}, {counted(rows.n_kept, 'row')} kept, {rows.n_open} to evaluate"
    if rows.n_former:
        yield (
            f"{counted(rows.n_former, 'row')} of assignments that are no longer in the "
            "space kept, after the others"
        )
    if rows.n_left_out:
        yield (
            f"{counted(rows.n_left_out, 'row')} left out, no longer in the space "
            f"('psy clean --old {name}')"
        )


def told_of_rest(name: str, decision: Decision, current: Current) -> Iterator[str]:
    """Yield in a line what is kept of a part, where the rest is evaluated now."""
    rows, plan = decision.rows, current.plan
    if not current.is_part or rows is None or not rows.n_kept:
        return
    kept = f"{name}: {counted(rows.n_kept, 'row')} kept"
    if plan is not None and plan.is_of_pilots:
        yield f"{kept}, with pilots of 'psy plan', {rows.n_open} to evaluate"
    else:
        yield (
            f"{kept} of the part that was chosen before, {rows.n_open} to evaluate of "
            "the rest"
        )


def told_of_rerun(
    name: str,
    decision: Decision,
    rerun: Rerun | None,
    *,
    is_merged: bool,
    is_of_part: bool = False,
) -> Iterator[str]:
    """Yield in a line what is evaluated again although its rows are valid.

    Parameters
    ----------
    name : str
        Name of the task.
    decision : Decision
        What the run does.
    rerun : Rerun or None
        What the user wants to be evaluated again, if that is new.
    is_merged : bool
        Whether the plan that was accepted last came to its end.
    is_of_part : bool
        Whether only a part of the space is asked for, as was said before.
    """
    plan, rows = decision.plan, decision.rows
    if rerun is not None and not rerun.n_selected:
        of_which = " of these" if is_of_part else ""
        what, told = _NONE.get(rerun.text, ("row", f"has {shlex.quote(rerun.text)}"))
        yield f"{name}: no {what}{of_which} {told}; nothing is evaluated again"
        return
    said = "" if not plan.rerun else f" ({shlex.quote(plan.rerun)})"
    n_again = rerun.n_selected if rerun is not None else rows.n_rerun if rows else 0
    if plan.rerun is not None and n_again:
        yield f"{name}: {counted(n_again, 'assignment')} evaluated again{said}"
    elif plan.rerun is not None and rows is None and decision.blocks and not is_merged:
        yield f"{name}: goes on with what is evaluated again{said}"


_NONE = {
    "stale": ("row", "was made by an older version"),
    "failed": ("assignment", "has failed"),
}


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def told_of_numbers(name: str, rows: RowNumbers) -> str:
    """Return the numbers of a run that is only to be shown."""
    again = f" ({rows.n_rerun} of them again)" if rows.n_rerun else ""
    return (
        f"{name}: {rows.n_open} to evaluate{again}, {rows.n_kept} kept, "
        f"{rows.n_older} kept by an older version, {rows.n_left_out} left out"
    )
