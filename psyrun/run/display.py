"""What the user sees of a run: plain lines, or a progress bar on a terminal."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from typing import TextIO

from psyrun.errors import visible
from psyrun.utils.console import warn
from psyrun.utils.streams import close_standard_output
from psyrun.utils.text import duration
from psyrun.utils.typing import override
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

    def progress(self, tally: Tally) -> None:  # noqa: B027
        """Show how far the run is."""

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
        self._rate: Rate | None = None
        self._next = time.monotonic() + 10.0

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
    def progress(self, tally: Tally) -> None:
        if self._rate is None:
            self._rate = Rate(tally.done)
        if tally.total and time.monotonic() > self._next:
            self._next = time.monotonic() + 30.0
            self.line(describe(tally, self._rate.seconds_left(tally)))


class BarDisplay(Display):
    """Shows a progress bar below the lines."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[details]}"),
            TextColumn("after"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("assignments", total=None, details="")
        self._rate: Rate | None = None
        self._bar.start()

    @override
    def line(self, text: str) -> None:
        self._console.print(visible(text), markup=False, soft_wrap=True)

    @override
    def progress(self, tally: Tally) -> None:
        if not tally.total:
            return
        if self._rate is None:
            self._rate = Rate(tally.done)
        failed = f"[red]{tally.failed} failed[/red] " if tally.failed else ""
        per_second = self._rate.per_second(tally.done)
        self._bar.update(
            self._task,
            completed=tally.done,
            total=tally.total,
            details=f"{failed}{per_second:.3g}/s",
        )

    @override
    def close(self) -> None:
        self._bar.stop()


class LogDisplay(PlainDisplay):
    """Writes lines; who follows the log counts assignments by themselves."""

    @override
    def progress(self, tally: Tally) -> None:
        pass


class Rate:
    """How fast assignments are evaluated since a first count."""

    def __init__(self, n_done: int) -> None:
        self._n_before = n_done
        self._start = time.monotonic()

    def per_second(self, n_done: int) -> float:
        """Return the assignments per second since the start."""
        elapsed = time.monotonic() - self._start
        return (n_done - self._n_before) / elapsed if elapsed > 0 else 0.0

    def seconds_left(self, tally: Tally) -> float | None:
        """Return the seconds that the rest takes at this rate, if known."""
        rate = self.per_second(tally.done)
        return (tally.total - tally.done) / rate if rate > 0 else None


def describe(tally: Tally, seconds: float | None) -> str:
    """Return one line about how far a run is."""
    failed = f", {tally.failed} failed" if tally.failed else ""
    rest = "" if not seconds else f", about {duration(seconds)} left"
    return f"   {tally.done} of {tally.total} assignments done{failed}{rest}"


def choose_display(*, is_quiet: bool) -> Display:
    """Return the display that suits the terminal."""
    if is_quiet:
        return QuietDisplay()
    return BarDisplay() if sys.stdout.isatty() else PlainDisplay()
