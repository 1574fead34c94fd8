"""Why workers of a job ended before their work: they tell the job itself.

In a pipe, as a full disk may be the cause.
"""

from __future__ import annotations

import os
from contextlib import suppress

_LONGEST = 4000  # bytes; pipes take that at once


class Causes:
    """A pipe from the workers of a job to it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)

    def tell(self, worker: int, text: str) -> None:
        """Tell why a worker ends; called in the worker.

        Parameters
        ----------
        worker : int
            Its number.
        text : str
            One line.
        """
        line = f"{worker} {' '.join(text.split())}".encode(errors="backslashreplace")
        # The user's code may have closed the pipe, and a full one says enough.
        with suppress(OSError):
            os.write(self._write, line[:_LONGEST] + b"\n")

    def of(self, worker: int) -> str:
        """Return what a worker told at last; empty if that is nothing."""
        told = b""
        with suppress(BlockingIOError):
            told = os.read(self._read, 1 << 16)
        words = (
            line.partition(" ")
            for line in reversed(told.decode(errors="replace").splitlines())
        )
        return next((text for number, _, text in words if number == str(worker)), "")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)
