"""How much memory this process needs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
_FORGET = Path("/proc/self/clear_refs")
_PEAK = b"5"
_STATUS = Path("/proc/self/status")


def peak_memory() -> int:
    """Return the largest resident memory of this process, in bytes.

    That is since it was started, or since the last `forget_peak`.
    """
    peak = _counted()
    return peak if peak > _inherited else _of_memory() or peak


def forget_peak() -> None:
    """Have the peak of memory begin at what this process has now.

    Only Linux can do that; elsewhere nothing happens. See `proc_pid_clear_refs(5)`.
    """
    # It is not held open: the user's code may close it, and have a file of its own with
    # the same descriptor.
    with suppress(OSError), _FORGET.open("wb", buffering=0) as file:
        file.write(_PEAK)


def _counted() -> int:
    """Return what the system counts, which takes a microsecond.

    A program that is started counts as at least what the process had that has started
    it, if the two shared their memory until then, as with `vfork(2)`.
    """
    return getrusage(RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT


def _of_memory() -> int:
    """Return the same of the memory that the process has now; 0 if it is not known."""
    with suppress(OSError, ValueError), _STATUS.open("rb") as file:
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _forget_inherited() -> None:
    global _inherited
    _inherited = 0


_inherited = _counted() if 0 < _of_memory() < _counted() else 0
# Copies of a process count for themselves.
os.register_at_fork(after_in_child=_forget_inherited)
