"""A run ends what its task files started when they were imported.

The controller of a run imports the task files, to plan with them. It ends what
these started when it ends itself. Where they started something, it first starts a
guard, which does this if the controller is killed.

Usage of the guard: ``python -P -m psyrun.run.guard``, with lists of processes, one on
each line, on a pipe as standard input. When that is closed, it ends those of the
last list.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from contextlib import suppress

from psyrun.utils.process.identity import process_start
from psyrun.utils.process.isolation import isolated
from psyrun.utils.process.offspring import (
    adopt_orphans,
    children,
    descendants,
    end_strays,
)

_PATIENCE = 10.0  # seconds until what was asked to end is killed
_PAUSE = 0.05


class Guard:
    """Has this process, at its end, end all that is started below it from now on."""

    def __init__(self) -> None:
        adopt_orphans()
        self._before = children()
        self._process: subprocess.Popen[bytes] | None = None
        # After the exit handlers that the import of tasks registers.
        atexit.register(self._end)

    def _end(self) -> None:
        process = self._process
        end_strays([*self._before, *([] if process is None else [process.pid])])
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()

    def tasks_are_loaded(self) -> None:
        """Start the guard if task files have started processes."""
        if set(children()).difference(self._before):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "psyrun.run.guard"],
                env=isolated(os.environ),
                stdin=subprocess.PIPE,
                # Out of reach of what ends the controller.
                start_new_session=True,
            )
            self.look()

    @staticmethod
    def leave_queues_alone() -> None:
        """Let jobs of queues outlive this process, which may be processes here."""
        adopt_orphans(False)

    def look(self, others: Collection[int] = ()) -> None:
        """Tell the guard, if there is one, which processes there are now.

        Some children, and what is below them, end by themselves if this process dies.
        """
        if self._process is None:
            return
        assert self._process.stdin is not None
        not_meant = {*self._before, *others, self._process.pid}
        meant = set(children()) - not_meant
        found = meant.union(*map(descendants, meant))
        line = json.dumps([(pid, process_start(pid)) for pid in found])
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def main() -> None:
    """Wait for the controller to end, and then end what it had below it."""
    last: list[tuple[int, str]] = []
    for line in sys.stdin:
        # The last one may be torn.
        with suppress(ValueError):
            last = json.loads(line)
    deadline = time.monotonic() + _PATIENCE
    for pid, started in last:
        _signal(pid, started, signal.SIGTERM)
    while any(process_start(pid) == started for pid, started in last):
        if time.monotonic() > deadline:
            for pid, started in last:
                _signal(pid, started, signal.SIGKILL)
            return
        time.sleep(_PAUSE)


def _signal(pid: int, started: str, number: signal.Signals) -> None:
    if process_start(pid) == started:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


if __name__ == "__main__":
    main()
