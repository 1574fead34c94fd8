"""Work that the user's code could end with the process, watched from outside.

``exit`` of C and ``STOP`` of Fortran end a process with status 0, as if all was well.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from psyrun.utils.console import warn
from psyrun.utils.process.basics import die_with_parent, fork
from psyrun.utils.text import describe_exit, limit_text

_FAILED = 1
_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # of which each of its processes gets one
_PASSED = (*_TERMINAL, signal.SIGTERM, signal.SIGHUP)
_MOST = 1 << 16  # bytes that are read at once
_SEPARATOR = "\t"

_notes = -1


def at(place: str, limit: float = math.inf) -> None:
    """Note what is done from now on, such as ``task_a.py: `execute```.

    If that ends the process after `limit` seconds, that is why.
    """
    if _notes >= 0:
        limits = f"{limit} {time.monotonic() + limit}"
        os.write(_notes, f"{place}{_SEPARATOR}{limits}\n".encode())


def watched(act: Callable[[], int]) -> int:
    """Do something in a copy of this process, and return the status it comes to.

    It is returned in both, and the copy has to end itself then. If it ends before, that
    is said, and the status is 1; a signal that ended it ends this process, too.
    """
    global _notes
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = fork()
    if pid == 0:
        os.close(read_end)
        die_with_parent()
        _notes = write_end
        return _noting_status(act)
    with _passing_signals_to(pid) as came:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if came:
        _end_by(came[0])
    return _status(read_end, code)


def _noting_status(act: Callable[[], int]) -> int:
    status = _FAILED
    try:
        status = act()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
        raise
    finally:
        # An error, too, is an end of its own.
        at(str(status))
    return status


@contextmanager
def _passing_signals_to(pid: int) -> Iterator[list[int]]:
    """Leave all signals to a process; yield a list of those that end this one, too."""
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if number not in _TERMINAL:
            came.append(number)
        elif _is_of_terminal():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {each: signal.signal(each, handle) for each in _PASSED}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_of_terminal() -> bool:
    """Whether what is typed in a terminal reaches this process."""
    with suppress(OSError), Path("/dev/tty").open("rb") as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return False


def _status(notes: int, code: int) -> int:
    os.set_blocking(notes, False)
    said = b""
    with suppress(BlockingIOError):
        said = os.read(notes, _MOST)
    place, _, limits = (said.decode().splitlines() or [""])[-1].partition(_SEPARATOR)
    if place.isdecimal():
        return int(place)
    limit, end = map(float, (limits or "inf inf").split())
    if code == _FAILED and time.monotonic() > end:
        warn(f"{place} took longer than timeout = {limit_text(limit)}.")
        return _FAILED
    warn(
        f"{place or 'psy'} ended its process with {describe_exit(code)}, so that there "
        "is no result. Let `execute` return a dictionary, and raise an error where "
        "something is wrong."
    )
    if code < 0:
        _end_by(-code)
    return _FAILED


def _end_by(number: int) -> None:
    """End as the copy has ended, which has written its memory to disk if wanted."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
