"""Whether more assignments of a task failed than `max_failures` allows."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from psyrun.workdir import frames, journal
from psyrun.workdir.layout import Round, TaskLayout

_INTERVAL = 1.0  # seconds between two looks at the other jobs


class FailureLimit:
    """Counts failures of all jobs of a run; without a limit, none is counted."""

    def __init__(self, layout: TaskLayout, round_: Round, limit: int | None) -> None:
        self._state = layout.state
        self._round = round_
        self._limit = limit
        self._next_look = 0.0
        self._positions: dict[Path, int] = {}
        self._n_failures = 0
        self._n_own_since = 0

    def is_exceeded(self) -> bool:
        """Whether more assignments failed than allowed.

        To be called once before a job's first assignment, and once after each
        failure of its own.
        """
        if self._limit is None:
            return False
        if time.monotonic() >= self._next_look:
            self._count()
            self._n_own_since = 0
            self._next_look = time.monotonic() + _INTERVAL
        else:
            self._n_own_since += 1
        return self._n_failures + self._n_own_since > self._limit

    def _count(self) -> None:
        # Failures of earlier runs are no reason to stop before their repetition.
        accepted = self._state.stat().st_mtime
        for path in self._round.all_journals():
            with suppress(FileNotFoundError):
                for entry in journal.scan(path, self._positions.get(path, 0)):
                    self._positions[path] = entry.offset + entry.length
                    is_new = entry.kind == frames.FAILURE and entry.start >= accepted
                    self._n_failures += is_new
