"""What is said of the rows that a run keeps, leaves out and replaces."""

from __future__ import annotations

from collections.abc import Iterator

from psyrun.planning.decide import Decision, RowNumbers
from psyrun.utils.text import counted


def told_of_rows(name: str, decision: Decision, code: str, space: str) -> Iterator[str]:
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
    """
    rows = decision.rows
    if decision.is_dirty:
        n_redone = 0 if rows is None else rows.n_redone
        older = f"{counted(n_redone, 'row')} by an older version"
        since = f"{code or 'changed'} since it was run"
        if rows is not None and rows.n_kept:
            since += f", {older} {_are(n_redone)} computed again"
        elif n_redone and not code:
            since = f"{older} {_are(n_redone)} computed again"
        else:
            since += ", all is computed again"
        yield (
            f"{name}: {since}; 'psy run --continue {name}' would keep the rows that "
            "are there"
        )
    if rows is None:
        return
    if rows.n_older:
        before = f"before {code}" if code else "by another version of the task"
        yield (
            f"{name}: {counted(rows.n_older, 'row')} kept, made {before}; 'psy run "
            f"{name}' computes {'it' if rows.n_older == 1 else 'them'} again"
        )
    if space and rows.n_kept:
        yield (
            f"{name}: {space}, {counted(rows.n_kept, 'row')} kept, "
            f"{rows.n_open} to evaluate"
        )
    if rows.n_former:
        yield (
            f"{name}: {counted(rows.n_former, 'row')} of assignments that are no "
            "longer in the space kept, after the others"
        )
    if rows.n_left_out:
        yield (
            f"{name}: {counted(rows.n_left_out, 'row')} left out, no longer in the "
            f"space ('psy clean --old {name}')"
        )


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def told_of_numbers(name: str, rows: RowNumbers) -> str:
    """Return the numbers of a run that is only to be shown."""
    return (
        f"{name}: {rows.n_open} to evaluate, {rows.n_kept} kept, {rows.n_older} kept "
        f"by an older version, {rows.n_left_out} left out"
    )
