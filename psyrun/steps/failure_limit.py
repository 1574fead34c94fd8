"""Whether so many assignments of a task failed that it is hopeless to go on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from psyrun.workdir import journal
from psyrun.workdir.layout import Round, TaskLayout

_INTERVAL = 1.0  # seconds between two looks at the other jobs


@dataclass
class FailureLimit:
    """Counts failures of all jobs of a run.

    To be called once before a job's first assignment, and after each failure of
    its own.

    Attributes
    ----------
    layout : TaskLayout
        Paths of the task.
    round : Round
        Paths of the round.
    limit : int or None
        Most failures allowed; None for any number.
    """

    layout: TaskLayout
    round: Round
    limit: int | None
    _next_look: float = 0.0
    _positions: dict[Path, int] = field(default_factory=dict)
    _n_failures: int = 0
    _n_own_since: int = 0

    def __call__(self) -> bool:
        """Tell whether more assignments failed than allowed."""
        if self.limit is None:
            return False
        if time.monotonic() >= self._next_look:
            self._look()
            self._n_own_since = 0
            self._next_look = time.monotonic() + _INTERVAL
        else:
            self._n_own_since += 1
        return self._n_failures + self._n_own_since > self.limit

    def _look(self) -> None:
        # Failures of earlier runs are no reason to stop before their repetition.
        accepted = self.layout.state.stat().st_mtime
        for path in self.round.journals.glob("*.journal"):
            with suppress(FileNotFoundError):
                for entry in journal.scan(path, self._positions.get(path, 0)):
                    self._positions[path] = entry.offset + entry.length
                    is_new = entry.kind == journal.FAILURE and entry.start >= accepted
                    self._n_failures += is_new
