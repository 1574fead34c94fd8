"""A time limit for what is done in this very process."""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import NoReturn

from psyrun.utils.text import limit_text

_GRACE = 1.0  # seconds that Python code has to come to its end
_LONGEST = 1e9  # seconds; clocks do not go much further


class TimedOut(BaseException):
    """Something took longer than it may; no `Exception`, so that it is not handled."""

    # Tracebacks name it as failures of runs do.
    __module__ = "builtins"


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimedOut` in the body after some seconds; None stands for no limit.

    It is called in the main thread. Code that never returns to Python is ended a second
    later with the whole process, which writes its stack to the standard error.
    """
    if seconds is None or seconds > _LONGEST:
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise TimedOut(f"took longer than timeout = {limit_text(seconds)}")

    before = signal.signal(signal.SIGALRM, end)
    faulthandler.dump_traceback_later(
        seconds + _GRACE, exit=True, file=sys.__stderr__ or sys.stderr
    )
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TimedOut as error:
        _cut(error.__traceback__, end.__code__)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _cut(frames: TracebackType | None, last: CodeType) -> None:
    """Remove the frame of the function that raised, which interrupted the others."""
    while frames is not None and frames.tb_next is not None:
        if frames.tb_next.tb_frame.f_code is last:
            frames.tb_next = None
        frames = frames.tb_next
