"""Messages of jobs to their logs, which may not be writable: disks fill up."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def say(text: str) -> None:
    """Write a line to the log, if that is possible.

    What is recorded elsewhere must not get lost for a log.
    """
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def leave(code: int) -> NoReturn:
    """End this process at once, as a forked one must: it is a copy of another.

    Parameters
    ----------
    code : int
        Exit status.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
    finally:
        os._exit(code)
