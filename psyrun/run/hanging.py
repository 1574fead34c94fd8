"""What a run says of processes that seem to hang."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from psyrun.workdir.hanging import Hanging, hanging
from psyrun.workdir.layout import Round

_PAUSE = 1.0  # seconds between two looks at the notes
_SHOWN = 3


class HangReports:
    """Says of each process of some tasks, once, that it seems to hang.

    `rounds` are theirs, by the name of the task.
    """

    def __init__(self, rounds: Iterable[tuple[str, Round]]) -> None:
        self._rounds = list(rounds)
        self._told: Mapping[tuple[str, Hanging], str] = {}
        self._next = 0.0

    def lines(self) -> Iterator[str]:
        """Yield what is new since the last call."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE
        before, self._told = self._told, self._now()
        over = [key for key in before if key not in self._told]
        yield from _first([f"{before[key]} does not hang any more" for key in over])
        begun = [key for key in self._told if key not in before]
        yield from _first([f"{self._told[key]} {key[1].text}" for key in begun])

    def _now(self) -> dict[tuple[str, Hanging], str]:
        return {
            (task, one): f"   {task}:{one.job}: process {one.pid}"
            for task, round_ in self._rounds
            for one in hanging(round_)
        }


def _first(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_SHOWN]
    hidden = len(lines) - _SHOWN
    if hidden > 0:
        yield f"   and {hidden} more; see all with 'psy status -vv'"
