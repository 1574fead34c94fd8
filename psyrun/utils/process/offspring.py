"""What this process started, directly or not: found, kept track of and ended.

On Linux, a process can ask that whatever is started below it becomes its child
once its own parent has ended, however far that has detached itself. Elsewhere,
what a process left that ended unexpectedly cannot be found any more.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

is_outlived = False
"""Whether this process is to end all that was started below it, at its end."""

GRACE = 3.0
"""Seconds between asking processes to end and killing them."""

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_LONGEST_PAUSE = 0.05  # seconds between looks
_PROC = Path("/proc")
# They remove what others leave in shared memory, and end with the last of these.
_TRACKER = b"resource_tracker"


def adopt_orphans(is_adopting: bool = True) -> None:
    """Become the parent of what is left below by processes that end (Linux only).

    Or do so no more; those that were adopted stay.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(is_adopting), 0, 0, 0)


def outlive_offspring() -> None:
    """Have this process, at its very end, end all that was started below it.

    That comes after the exit handlers that are registered from now on.
    """
    global is_outlived
    adopt_orphans()
    atexit.register(end_offspring)
    is_outlived = True


def children(pid: int | None = None) -> list[int]:
    """Return the processes that have a process, by default this one, as parent."""
    pid = os.getpid() if pid is None else pid
    if not (_PROC / "self").exists():
        return _children_elsewhere(pid)
    try:
        threads = (_PROC / f"{pid}/task").iterdir()
        lists = [(thread / "children").read_bytes() for thread in threads]
    except OSError:
        # Not every kernel keeps such lists. Or the process is gone.
        return [child for child in _processes() if _parent(child) == pid]
    return [int(child) for one in lists for child in one.split()]


def descendants(pid: int) -> list[int]:
    """Return all processes below one."""
    found = children(pid)
    for one in found:
        found += children(one)
    return found


def _children_elsewhere(pid: int) -> list[int]:
    import psutil

    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children()]
    return []


def _processes() -> Iterator[int]:
    return (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())


def _parent(pid: int) -> int:
    with suppress(OSError):
        # Fields after the command, which may hold blanks: proc(5), 4.
        stat = (_PROC / f"{pid}/stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[1])
    return 0


def end_offspring() -> None:
    """End all that this process started, as it is about to end itself."""
    found = children()
    # The trackers of this process itself still have something to do.
    end_strays([pid for pid in found if _is_tracker(pid)] if found else ())


def _is_tracker(pid: int) -> bool:
    with suppress(OSError):
        return _TRACKER in (_PROC / f"{pid}/cmdline").read_bytes()
    return False


def end_strays(spared: Collection[int]) -> None:
    """End the children of this process, and all below them, except for some.

    They are asked first, and killed after `GRACE` seconds. What even the system
    cannot end, as it waits for a disk, is left after the same time again.
    """
    begin, pause = time.monotonic(), 0.001
    asked: set[int] = set()
    while living := _strays(spared):
        waited = time.monotonic() - begin
        if waited > 2 * GRACE:
            return
        is_late = waited > GRACE
        for pid in living if is_late else living - asked:
            _signal(pid, signal.SIGKILL if is_late else signal.SIGTERM)
        asked |= living
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _strays(spared: Collection[int]) -> set[int]:
    """Return what lives, after removing what has ended."""
    living = [pid for pid in children() if pid not in spared and not _reap(pid)]
    return set(living).union(*map(descendants, living))


def _reap(child: int) -> bool:
    """Whether a child has ended; it is not listed any more then."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _signal(pid: int, number: signal.Signals) -> None:
    # It may be somebody else's, who changed its user.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
