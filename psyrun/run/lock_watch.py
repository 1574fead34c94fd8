"""A Snakemake ends as soon as it has lost the lock of one of its tasks.

While it was suspended, another run may have taken the lock over. If Snakemake went on,
it would remove what that run has made: files of jobs that it starts, or has seen fail.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeAlias

from psyrun.errors import LostLockError, PsyrunError
from psyrun.utils.process.identity import process_start
from psyrun.utils.process.offspring import descendants
from psyrun.workdir.holder import HEARTBEAT, recorded_holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import remove_stale_locks
from psyrun.workdir.plan import arguments_in

_PATIENCE = 10.0  # seconds that processes get to end once they are killed
_PAUSE = 1.0  # seconds between looks at the clock
_SUSPENDED = 5.0  # seconds that no pause takes, unless this process was suspended

Tokens: TypeAlias = Mapping[Path, str]
"""Locks by path, each with the token of who holds it for this run."""


class LockWatch:
    """Watches the locks of a run, which this process or its parent holds.

    It is asked before each job and after it, and looks by itself now and then, and as
    soon as the process goes on after it was suspended. Before it ends the process, it
    calls `clean_up`.
    """

    def __init__(
        self, held: Tokens, clean_up: Callable[[], object] = lambda: None
    ) -> None:
        self._clean_up = clean_up
        self._held = {path.absolute(): token for path, token in held.items()}
        self._stop = threading.Event()

    def start(self) -> None:
        """Watch them until `stop`."""
        global _current
        _current = self
        self.check()
        threading.Thread(target=self._watch, daemon=True).start()
        # Snakemake itself has no use for this signal.
        with suppress(ValueError):
            signal.signal(signal.SIGCONT, self._continued)

    def stop(self) -> None:
        """Watch them no more: they are given back."""
        self._stop.set()

    def check(self) -> None:
        """End this process, and all that it started, if a lock is lost."""
        for path, token in self._held.items():
            # It may have been given back while it was read.
            if _is_lost(path, token) and not self._stop.is_set():
                _end(TaskLayout(path.parent), self._clean_up)

    def _continued(self, number: int, frame: FrameType | None) -> None:
        self.check()

    def _watch(self) -> None:
        looked = seen = time.time()
        while not self._stop.wait(_PAUSE):
            now = time.time()
            if abs(now - seen) > _SUSPENDED or abs(now - looked) > HEARTBEAT:
                self.check()
                looked = now
            seen = now


_current: LockWatch | None = None


def check_locks() -> None:
    """Have the watch of this process, if there is one, look at the locks."""
    if _current is not None:
        _current.check()


def as_text(held: Tokens) -> str:
    """Return tokens as the value of an environment variable."""
    return json.dumps({str(path): token for path, token in held.items()})


def of_text(text: str) -> Tokens:
    """Return what `as_text` was given; nothing for another text."""
    with suppress(ValueError, AttributeError):
        return {Path(path): str(token) for path, token in json.loads(text).items()}
    return {}


def _is_lost(path: Path, token: str) -> bool:
    """Whether somebody else has taken a lock, or has removed it."""
    # What cannot be read now may still be ours.
    with suppress(OSError, PsyrunError):
        holder = recorded_holder(path)
        return holder is None or holder.token != token
    return False


def lost_lock(layout: TaskLayout) -> LostLockError:
    """Return the error that says who runs a task now."""
    name, holder = layout.name, None
    with suppress(OSError, PsyrunError):
        holder = recorded_holder(layout.lock)
    if holder is None:
        return LostLockError(
            f"task {name!r}: the lock of this run was removed, so it has stopped. Go "
            f"on with 'psy run {arguments_in(layout)}'."
        )
    return LostLockError(
        f"task {name!r} is run by {holder} now, who took over as nothing was heard of "
        f"this run. Follow it with 'psy attach {name}'."
    )


def _end(layout: TaskLayout, clean_up: Callable[[], object]) -> NoReturn:
    # This may be called while a line is being printed.
    with suppress(OSError):
        os.write(2, f"{lost_lock(layout)}\n".encode(errors="backslashreplace"))
    _end_what_was_started()
    # Whoever runs the task now would have to wait until they expire.
    remove_stale_locks(layout)
    clean_up()
    os._exit(2)


def _end_what_was_started() -> None:
    """Kill the processes below this one, also those that they start meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    known: dict[int, str | None] = {}
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            known.setdefault(pid, process_start(pid))
        living = [
            pid
            for pid, start in known.items()
            if start is not None and process_start(pid) == start
        ]
        if not living:
            return
        for pid in living:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
