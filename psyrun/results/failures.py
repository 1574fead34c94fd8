"""Failed assignments, grouped by their cause, or as a table."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TextIO

from psyrun.utils.text import counted, shortened
from psyrun.utils.tracebacks import FRAME
from psyrun.workdir.failures import Failure

_SHOWN_GROUPS = 5
_SHOWN_OF_GROUP = 3
_LONGEST_VALUES = 100


@dataclass(frozen=True)
class FailureGroup:
    """Failures with the same type of exception at the same line, at least one."""

    failures: Sequence[Failure]

    @property
    def first(self) -> Failure:
        """The first in the order of the space."""
        return self.failures[0]

    @property
    def cause(self) -> str:
        """Type and text of the exception; one text of several is an example."""
        first = self.first
        if all(failure.message == first.message for failure in self.failures):
            return first.cause
        return first.cause.replace(f"{first.type}: ", f"{first.type}, such as: ", 1)


def grouped(failures: Iterable[Failure]) -> list[FailureGroup]:
    """Put failures together that have the same type and line.

    The largest group is the first; those of one size are in the order of the space.
    """
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        # One without a line, such as a result that is no mapping, is known by its text.
        key = (failure.type, failure.where or failure.message)
        found.setdefault(key, []).append(failure)
    return sorted(map(FailureGroup, found.values()), key=lambda g: -len(g.failures))


def failure_summary(name: str, failures: Sequence[Failure]) -> Iterator[str]:
    """Yield a few lines about the failures of a task, at least one."""
    groups = grouped(failures)
    yield f"{name}: {counted(len(failures), 'assignment')} failed"
    for one in groups[:_SHOWN_GROUPS]:
        yield from _described(one)
    hidden = len(groups) - _SHOWN_GROUPS
    if hidden > 0:
        yield f"  and {counted(hidden, 'other kind')} of failure"
    debug = f"psy debug {name} {groups[0].first.index}"
    yield f"All of them: 'psy failed {name}'. One in the debugger: '{debug}'."


def _described(one: FailureGroup) -> Iterator[str]:
    first = one.first
    # The text says already how a process ended.
    at = f", {first.place}" if FRAME.fullmatch(first.where) else ""
    yield f"  {len(one.failures)} x {one.cause}{at}"
    for failure in one.failures[:_SHOWN_OF_GROUP]:
        yield f"      {failure.index}: {shortened(failure.values, _LONGEST_VALUES)}"
    hidden = len(one.failures) - _SHOWN_OF_GROUP
    if hidden > 0:
        yield f"      and {hidden} more"


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
