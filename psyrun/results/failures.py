"""Failed assignments, as a summary or as a table."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

from psyrun.results.causes import FailureGroup, grouped
from psyrun.results.failure_rules import TaskFailures
from psyrun.utils.text import counted, shortened, side_by_side, wrapped
from psyrun.utils.tracebacks import FRAME
from psyrun.workdir.failures import Failure

_SHOWN_GROUPS = 5
_SHOWN_OF_GROUP = 3
_LONGEST_VALUES = 400  # characters of the parameters of an assignment


def failure_summary(
    name: str, found: TaskFailures, width: int | None = None
) -> Iterator[str]:
    """Yield a few lines about the failures of a task, at least one.

    None is longer than `width` characters, unless a word is.
    """
    groups = grouped(found.failures)
    yield f"{name}: {counted(len(found.failures), 'assignment')} failed"
    if words := found.in_words():
        yield from wrapped(words, width, "  ", "    ")
    for one in groups[:_SHOWN_GROUPS]:
        yield from _described(one, width)
    hidden = len(groups) - _SHOWN_GROUPS
    if hidden > 0:
        yield f"  and {counted(hidden, 'other kind')} of failure"
    debug = f"psy debug {name} {groups[0].first.index}"
    hints = f"All of them: 'psy failed {name}'.", f"One in the debugger: '{debug}'."
    yield from side_by_side(hints, width)


def _described(one: FailureGroup, width: int | None) -> Iterator[str]:
    parts = [one.cause, place_of(one)]
    told = ", ".join(filter(None, parts))
    yield from wrapped(f"{len(one.failures)} x {told}", width, "  ", "      ")
    yield from examples(one, "      ", width, _SHOWN_OF_GROUP)


def place_of(group: FailureGroup) -> str:
    """Return where a group failed; empty if its text says that, or nothing does."""
    first = group.first
    # The text says already how a process ended.
    return first.place if FRAME.fullmatch(first.where) else ""


def examples(
    group: FailureGroup, indent: str, width: int | None, n_shown: int
) -> Iterator[str]:
    """Yield the first assignments of a group, and how many more there are."""
    for failure in group.failures[:n_shown]:
        start = f"{indent}{failure.index}: "
        values = shortened(failure.values, _LONGEST_VALUES)
        yield from wrapped(values, width, start, " " * len(start), breaks_words=True)
    hidden = len(group.failures) - n_shown
    if hidden > 0:
        yield f"{indent}and {hidden} more"


def failure_columns(
    failures: Sequence[Failure], parameters: Mapping[str, Sequence[Any]]
) -> dict[str, list[Any]]:
    """Return a table of failures: number, parameters, and what is known of each.

    A parameter keeps its name, if it is one of those of the other columns, too.
    """
    told: dict[str, list[Any]] = {
        "error": [failure.type for failure in failures],
        "message": [failure.message for failure in failures],
        "where": [failure.line for failure in failures],
        "host": [failure.host for failure in failures],
        "attempt": [failure.attempt for failure in failures],
        "duration": [failure.duration for failure in failures],
        "memory": [_bytes(failure.peak) for failure in failures],
        "accepted": [failure.is_accepted for failure in failures],
    }
    columns = {_apart("number", parameters): [failure.index for failure in failures]}
    columns |= {key: list(values) for key, values in parameters.items()}
    return columns | {_apart(key, parameters): told[key] for key in told}


def _bytes(kibibytes: int | None) -> int | None:
    return None if kibibytes is None else kibibytes * 1024


def _apart(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def write_csv(failures: Sequence[Failure], stream: TextIO) -> None:
    """Write a table of failures as comma-separated values, with a header."""
    keys = dict.fromkeys(key for failure in failures for key in failure.parameters)
    texts = {key: [_cell(f.parameters.get(key, "")) for f in failures] for key in keys}
    columns = failure_columns(failures, texts)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))


def _cell(text: str) -> str:
    """Return a value as it stands in a table: text without the quotes of Python."""
    if text.startswith(("'", '"')):
        # One that is too long has no end.
        with suppress(ValueError, SyntaxError):
            return str(ast.literal_eval(text))
    return text
