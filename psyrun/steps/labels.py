"""What an assignment prints is labelled with its number in the log of its job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO


class Labels:
    """Puts a line in front of what is printed first in an assignment.

    `index` is the assignment that is evaluated now, None before its first and after
    its last output. Only what goes through ``sys.stdout`` and ``sys.stderr`` is seen.
    """

    def __init__(self) -> None:
        self.index: int | None = None
        self._streams = [sys.stdout, sys.stderr]
        for stream in self._streams:
            # A stream of the user's own may not have settable attributes.
            with suppress(AttributeError):
                stream.write = self._labelled(stream, stream.write)  # type: ignore[method-assign]

    def end(self) -> None:
        """Write out what an assignment printed, so that it stands in one piece."""
        if self.index is None:
            for stream in self._streams:
                with suppress(OSError, ValueError):
                    stream.flush()
        self.index = None

    def _labelled(
        self, stream: TextIO, write: Callable[[str], int]
    ) -> Callable[[str], int]:
        def labelled(text: str) -> int:
            if self.index is not None and text:
                label, self.index = f"assignment {self.index} prints:\n", None
                write(label)
            return write(text)

        return labelled
