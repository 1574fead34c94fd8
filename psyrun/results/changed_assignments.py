"""Which assignments differ from what was computed, and by which versions rows are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from psyrun.pspace import ParameterSpace
from psyrun.pspace.matching import match_rows
from psyrun.results.failed import failed_space
from psyrun.results.load import RecordedTask
from psyrun.results.spaces import RowsOfTask
from psyrun.store.arrays import Indices
from psyrun.tasks.changes import changes_since, clause
from psyrun.tasks.provenance import recorded_provenance
from psyrun.tasks.version import Version
from psyrun.utils.text import assignment_text, counted
from psyrun.workdir.failures import failures_of_task

SHOWN = 5
_SHORT = 12  # digits of a version and of a commit


@dataclass(frozen=True)
class Examples:
    """The first few assignments of a kind, as lines, and how many there are."""

    n_all: int = 0
    lines: Sequence[str] = ()

    @classmethod
    def of(
        cls, space: ParameterSpace, rows: Indices, more: Mapping[int, str] | None = None
    ) -> Examples:
        """Return those of some rows of a space, with what there is to say of them."""
        shown = (
            assignment_text(space[row])
            + (f": {more[row]}" if more and row in more else "")
            for row in rows[:SHOWN].tolist()
        )
        return cls(len(rows), tuple(shown))


@dataclass(frozen=True)
class Details:
    """Which assignments and versions a difference is made of.

    Attributes
    ----------
    new, failed, removed : Examples
        Assignments, as in `psyrun.results.differences.Difference`.
    older : tuple of str
        For each older version that has rows of the space a line: how many, when it was
        run first, and what changed since.
    """

    new: Examples = field(default_factory=Examples)
    failed: Examples = field(default_factory=Examples)
    removed: Examples = field(default_factory=Examples)
    older: tuple[str, ...] = ()


def details_of_new(space: ParameterSpace) -> Details:
    """Return those of a space without any row."""
    return Details(Examples.of(space, np.arange(len(space))))


def details_of(
    space: ParameterSpace,
    found: Sequence[tuple[RowsOfTask, Indices]],
    version: Version,
    task: RecordedTask,
) -> Details:
    """Return those of a space beside the rows that there are.

    Parameters
    ----------
    space : ParameterSpace
        The space that the task has now.
    found : sequence of tuple
        Rows of rounds, and the row of each assignment in them, -1 where there is none.
        Those that were divided last come last.
    version : Version
        The version that the task has now.
    task : RecordedTask
        The task.

    Raises
    ------
    PsyrunError
        If values of a parameter cannot be compared.
    """
    has_row = np.zeros(len(space), dtype=bool)
    names = np.full(len(space), -1, np.int64)
    known: dict[str, int] = {}
    for rows, of_space in found:
        is_there = np.flatnonzero(of_space >= 0)
        has_row[is_there] = True
        # Where there is a row of now, it does not matter that others are older.
        is_older = rows.are_older(version)[of_space[is_there]]
        is_current = has_row & (names == _CURRENT)
        numbers = np.array([known.setdefault(n, len(known)) for n in rows.names])
        of_row = numbers[rows.numbers()[of_space[is_there]]]
        names[is_there] = np.where(is_older, of_row, _CURRENT)
        names[is_current] = _CURRENT
    failed, causes = _failed(space, task)
    is_failed = np.zeros(len(space), dtype=bool)
    is_failed[failed] = True
    return Details(
        Examples.of(space, np.flatnonzero(~has_row & ~is_failed)),
        Examples.of(space, failed, causes),
        _removed(space, found[-1][0]),
        tuple(_older(list(known), names[has_row & (names >= 0)], version, task)),
    )


_CURRENT = -2


def _failed(
    space: ParameterSpace, task: RecordedTask
) -> tuple[Indices, dict[int, str]]:
    """Return which assignments failed, and of the first of them why."""
    failures, points = failures_of_task(task.layout), failed_space(task)
    if not len(points):
        return np.empty(0, np.int64), {}
    of_space = match_rows(space, points)
    rows = np.flatnonzero(of_space >= 0)
    return rows, {
        row: failures[of_space[row]].cause
        for row in rows[:SHOWN].tolist()
        if of_space[row] < len(failures)
    }


def _removed(space: ParameterSpace, rows: RowsOfTask) -> Examples:
    done, former = rows.done(), rows.former()
    gone = np.flatnonzero(match_rows(done, space) < 0) if len(done) else np.arange(0)
    found = Examples.of(done, gone)
    if not len(former):
        return found
    others = np.flatnonzero(match_rows(former, space) < 0)
    more = Examples.of(former, others)
    lines = (*found.lines, *more.lines)[:SHOWN]
    return Examples(found.n_all + more.n_all, lines)


def _older(
    fingerprints: Sequence[str], numbers: Indices, version: Version, task: RecordedTask
) -> Iterator[str]:
    """Yield a line for each version of some rows, the most frequent first."""
    layout = task.layout
    for number, n_rows in Counter(numbers.tolist()).most_common():
        name = fingerprints[number]
        changes = changes_since(version, name, layout.versions, layout.version)
        what = clause(changes) or "what changed is not known"
        rows = f"{counted(n_rows, 'row')} of version {name[:_SHORT] or 'unknown'}"
        record = recorded_provenance(layout.provenance, [name]).get(name, {})
        about = [each for each in (_since(record), _commit(record)) if each]
        when = f" ({', '.join(about)})" if about else ""
        yield f"{rows}{when}: {what}"


def _since(record: Mapping[str, object]) -> str:
    recorded = record.get("recorded")
    if not isinstance(recorded, int | float):
        return ""
    return time.strftime("run first on %Y-%m-%d at %H:%M", time.localtime(recorded))


def _commit(record: Mapping[str, object]) -> str:
    git = record.get("git")
    commit = git.get("commit") if isinstance(git, dict) else None
    if not isinstance(commit, str):
        return ""
    changed = "" if isinstance(git, dict) and git.get("is_clean") else " with changes"
    return f"commit {commit[:_SHORT]}{changed}"
