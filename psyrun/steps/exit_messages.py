"""What a worker tells its job when it ends: an exit status, and a line why."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import IntEnum

_LONGEST_MESSAGE = 4000  # bytes; pipes take that at once


class WorkerExit(IntEnum):
    """Exit statuses that are no assignment's fault (as in sysexits.h)."""

    NO_RECORD = 74
    """The journal could not be written."""
    NO_TIME = 75
    """The next assignment would not end before the job's wall time."""
    TOO_MANY_FAILURES = 76
    """More assignments failed than allowed."""
    NO_SPACE = 77
    """The journal could not be written, as the disk is full."""
    LOST_LOCK = 78
    """Another run has taken over the job, while this one was suspended."""


class ExitMessages:
    """A pipe by which the workers of a job send it why they end.

    Each message is a line that begins with the number of the worker. All other lines
    are of the stack of a worker whose time was over.
    """

    def __init__(self) -> None:
        self._received = b""
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    @property
    def file(self) -> int:
        """The descriptor that workers write to."""
        return self._write

    @classmethod
    def to(cls, file: int) -> ExitMessages:
        """Return what sends messages to a job, in a worker that is no copy of it."""
        messages = cls.__new__(cls)
        messages._read, messages._write = file, file
        return messages

    def send(self, worker: int, text: str) -> None:
        """Send a text as one line; called in the worker."""
        line = f"{worker} {' '.join(text.split())}".encode(errors="backslashreplace")
        # The user's code may have closed the pipe, and a full one says enough.
        with suppress(OSError):
            os.write(self._write, line[:_LONGEST_MESSAGE] + b"\n")

    def last_of(self, worker: int) -> str:
        """Return the last message of a worker; empty if there is none."""
        words = (line.partition(" ") for line in reversed(self._lines()))
        return next((text for number, _, text in words if number == str(worker)), "")

    def take_stack(self) -> str:
        """Return the stack that a worker has left; empty if there is none.

        That worker is dead, so that it is whole.
        """
        lines = self._lines()
        messages = [line for line in lines if line[:1].isdecimal()]
        self._received = "".join(f"{line}\n" for line in messages).encode()
        return "\n".join(line for line in lines if not line[:1].isdecimal())

    def _lines(self) -> list[str]:
        with suppress(BlockingIOError):
            self._received += os.read(self._read, 1 << 16)
        return self._received.decode(errors="replace").splitlines()

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)
