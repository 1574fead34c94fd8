"""Failed assignments: what is known of each, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(r'File "(.+)", line (\d+)(?:, in (.+))?')
_SHOWN_GROUPS = 5
_SHOWN_OF_GROUP = 3
_LONGEST_CAUSE = 300  # characters
_LONGEST_VALUES = 100


@dataclass(frozen=True)
class Failure:
    """An assignment that has no row, because its last evaluation failed.

    Attributes
    ----------
    index : int
        Position of the assignment in the frozen space.
    type : str
        Name of the exception's class, ``WorkerDied`` where the process ended.
    message : str
        Text of the exception.
    where : str
        Innermost frame of the traceback, as tracebacks print it, or how the
        process ended; empty if neither is known.
    traceback : str
        Traceback of the user's code.
    parameters : mapping of str to str
        Short texts of the assignment's values.
    duration : float or None
        How long the evaluation took, in seconds, where that is known.
    peak : int or None
        Largest resident memory of its process, in KiB, where that is known.
    host : str
        Name of the machine; empty where it is not known.
    is_accepted : bool
        Whether the result goes without the assignment.
    """

    index: int
    type: str
    message: str
    where: str
    traceback: str
    parameters: Mapping[str, str]
    duration: float | None = None
    peak: int | None = None
    host: str = ""
    is_accepted: bool = False

    @property
    def cause(self) -> str:
        """Type and text of the exception on one line, cut where it is long."""
        text = " ".join(f"{self.type}: {self.message}".split()).removesuffix(":")
        return shortened(text, _LONGEST_CAUSE)

    @property
    def values(self) -> str:
        """The parameters on one line."""
        return one_line(self.parameters)

    @property
    def place(self) -> str:
        """Where it failed, such as ``psy-tasks/task_a.py:7 in execute``."""
        return place(self.where)


@dataclass(frozen=True)
class Group:
    """Failures with the same type of exception at the same line.

    Attributes
    ----------
    failures : sequence of Failure
        At least one, in the order of the space.
    """

    failures: Sequence[Failure]

    @property
    def first(self) -> Failure:
        """The one that stands for the others."""
        return self.failures[0]

    @property
    def cause(self) -> str:
        """Type and text of the exception; one text of several is an example."""
        first = self.first
        if all(failure.message == first.message for failure in self.failures):
            return first.cause
        return first.cause.replace(f"{first.type}: ", f"{first.type}, such as: ", 1)


def group(failures: Iterable[Failure]) -> list[Group]:
    """Put failures together that have the same type and line.

    Parameters
    ----------
    failures : iterable of Failure
        The failures, in the order of the space.

    Returns
    -------
    list of Group
        The largest first; groups of one size in the order of the space.
    """
    found: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        # Without a line, as with a result that is no mapping, the text tells.
        key = (failure.type, failure.where or failure.message)
        found.setdefault(key, []).append(failure)
    return sorted(map(Group, found.values()), key=lambda g: -len(g.failures))


def summary(name: str, failures: Sequence[Failure]) -> Iterator[str]:
    """Yield a few lines about the failures of a task.

    Parameters
    ----------
    name : str
        Name of the task.
    failures : sequence of Failure
        At least one.
    """
    groups = group(failures)
    yield f"{name}: {counted(len(failures), 'assignment')} failed"
    for one in groups[:_SHOWN_GROUPS]:
        yield from _described(one)
    hidden = len(groups) - _SHOWN_GROUPS
    if hidden > 0:
        yield f"  and {counted(hidden, 'other kind')} of failure"
    debug = f"psy debug {name} {groups[0].first.index}"
    yield f"All of them: 'psy failed {name}'. One in the debugger: '{debug}'."


def _described(one: Group) -> Iterator[str]:
    first = one.first
    # How a process ended is told by the text already.
    at = f", {first.place}" if _FRAME.fullmatch(first.where) else ""
    yield f"  {len(one.failures)} x {one.cause}{at}"
    for failure in one.failures[:_SHOWN_OF_GROUP]:
        yield f"      {failure.index}: {shortened(failure.values, _LONGEST_VALUES)}"
    hidden = len(one.failures) - _SHOWN_OF_GROUP
    if hidden > 0:
        yield f"      and {hidden} more"


def place(where: str) -> str:
    """Return a frame in short, with a path from the current folder if it is below.

    Parameters
    ----------
    where : str
        Such as ``File "/home/me/task_a.py", line 7, in execute``; any other
        text is returned as it is.
    """
    match = _FRAME.fullmatch(where)
    if match is None:
        return where
    file, line, function = match.groups()
    path, here = Path(file), Path.cwd()
    if path.is_relative_to(here):
        path = path.relative_to(here)
    return f"{path}:{line}" + (f" in {function}" if function else "")


def one_line(parameters: Mapping[str, str]) -> str:
    """Return texts of parameters on one line, such as ``x=1, y=2``."""
    pairs = (f"{name}={text}" for name, text in parameters.items())
    # The repr of an array has several lines.
    return " ".join(", ".join(pairs).split())


def shortened(text: str, length: int) -> str:
    """Return a text of at most `length` characters; what is cut off shows as ``…``."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def counted(count: int, noun: str) -> str:
    """Return a number and its noun, such as ``1 row`` or ``2 rows``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
