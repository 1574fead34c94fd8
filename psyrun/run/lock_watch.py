"""A Snakemake ends as soon as it has lost the lock of one of its tasks.

While it was suspended, another run may have taken the lock over. If Snakemake went on,
it would remove what that run has made: files of jobs that it starts, or has seen fail.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from psyrun.errors import LostLockError, PsyrunError
from psyrun.utils.process.basics import log_line
from psyrun.utils.process.offspring import descendants
from psyrun.workdir.holder import HEARTBEAT, Holder, recorded_holder
from psyrun.workdir.layout import TaskLayout

_PAUSE = 1.0  # seconds between looks at the clock
_SUSPENDED = 5.0  # seconds that no pause takes, unless this process was suspended
_LONGEST_TURN = 1000.0  # seconds that a thread goes on before others get their turn


class LockWatch:
    """Watches the locks of some tasks, of which this process or its parent holds each.

    It is asked before each job, and looks by itself now and then, and as soon as the
    process goes on after it was suspended.
    """

    def __init__(self, layouts: Sequence[TaskLayout]) -> None:
        found = {layout: _recorded(layout) for layout in layouts}
        self._held = {at: holder for at, holder in found.items() if holder is not None}
        self._stop = threading.Event()

    def start(self) -> None:
        """Watch them until `stop`."""
        global _current
        _current = self
        threading.Thread(target=self._watch, daemon=True).start()
        # Snakemake itself has no use for this signal.
        with suppress(ValueError):
            signal.signal(signal.SIGCONT, self._continued)

    def stop(self) -> None:
        """Watch them no more: they are given back."""
        self._stop.set()

    def check(self) -> None:
        """End this process, and all that it started, if a lock is lost."""
        for layout, holder in self._held.items():
            if not self._stop.is_set() and is_lost(layout, holder):
                _end(layout)

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


def is_lost(layout: TaskLayout, holder: Holder) -> bool:
    """Whether somebody else has taken the lock of a task, or has removed it."""
    # What cannot be read now may still be ours.
    with suppress(OSError, PsyrunError):
        return recorded_holder(layout.lock) != holder
    return False


def lost_lock(layout: TaskLayout) -> LostLockError:
    """Return the error that says who runs a task now."""
    name, holder = layout.name, _recorded(layout)
    if holder is None:
        return LostLockError(
            f"task {name!r}: the lock of this run was removed, so it has stopped. Go "
            f"on with 'psy run {name}'."
        )
    return LostLockError(
        f"task {name!r} is run by {holder} now, who took over as nothing was heard of "
        f"this run. Follow it with 'psy attach {name}'."
    )


def _recorded(layout: TaskLayout) -> Holder | None:
    with suppress(OSError, PsyrunError):
        return recorded_holder(layout.lock)
    return None


def _end(layout: TaskLayout) -> NoReturn:
    # No other thread is to see the jobs end.
    sys.setswitchinterval(_LONGEST_TURN)
    log_line(str(lost_lock(layout)))
    for pid in descendants(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    os._exit(2)
