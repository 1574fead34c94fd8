"""What the user sees of a run: plain lines, or a progress bar on a terminal."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TextIO

from psyrun.errors import visible
from psyrun.utils.console import warn
from psyrun.utils.progress import Bar, Lines, has_bar
from psyrun.utils.streams import close_standard_output
from psyrun.utils.typing import override
from psyrun.workdir.expected_end import ExpectedEnd
from psyrun.workdir.progress import Tally

EXECUTED, SKIPPED = ".", "-"


class Display(ABC):
    """Shows jobs as they begin, and how many assignments are done."""

    interval = 0.5
    """Seconds between two looks at the progress."""

    def job(self, mark: str, name: str) -> None:
        """Show that a job is executed or skipped."""
        self.line(f"{mark}  {name}")

    @abstractmethod
    def line(self, text: str) -> None:
        """Show a line."""

    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:  # noqa: B027
        """Show how far the run is, and when it will be done, if that is known."""

    def close(self) -> None:  # noqa: B027
        """Remove what only makes sense while the run goes on."""


class QuietDisplay(Display):
    """Shows nothing."""

    @override
    def line(self, text: str) -> None:
        pass


class PlainDisplay(Display):
    """Writes lines, and one about the progress now and then.

    By default to what is the standard output then: task files may have closed the one
    of before.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lines = Lines(lambda text: self.line(f"   {text}"), pause=10.0)

    @override
    def line(self, text: str) -> None:
        try:
            print(visible(text), file=self._stream or sys.stdout, flush=True)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            # The disk of a log may be full, but not the one of the results.
            warn(f"standard output: {error.strerror}; the run goes on without it")
            close_standard_output()

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        self._lines.update(tally.done, tally.failed, tally.total, _end_text(end))

    @override
    def close(self) -> None:
        self._lines.close()


class BarDisplay(Display):
    """Shows a progress bar below the lines."""

    def __init__(self) -> None:
        self._bar = Bar()

    @override
    def line(self, text: str) -> None:
        self._bar.line(visible(text))

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        self._bar.update(tally.done, tally.failed, tally.total, _end_text(end))

    @override
    def close(self) -> None:
        self._bar.close()


class LogDisplay(PlainDisplay):
    """Writes lines; who follows the log counts assignments by themselves."""

    @override
    def progress(self, tally: Tally, end: ExpectedEnd | None = None) -> None:
        pass


def _end_text(end: ExpectedEnd | None) -> str:
    return "" if end is None else end.text()


def choose_display(*, is_quiet: bool) -> Display:
    """Return the display that suits the terminal."""
    if is_quiet:
        return QuietDisplay()
    return BarDisplay() if has_bar(sys.stdout) else PlainDisplay()
