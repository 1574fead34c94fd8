"""How much memory this process needs."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
_FORGET = Path("/proc/self/clear_refs")
_PEAK = b"5"


def peak_memory() -> int:
    """Return the largest resident memory of this process, in bytes.

    That is since it was started, or since the last `forget_peak`.
    """
    return getrusage(RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT


def forget_peak() -> None:
    """Have the peak of memory begin at what this process has now.

    Only Linux can do that; elsewhere nothing happens. See `proc_pid_clear_refs(5)`.
    """
    # It is not held open: the user's code may close it, and have a file of its own with
    # the same descriptor.
    with suppress(OSError), _FORGET.open("wb", buffering=0) as file:
        file.write(_PEAK)
