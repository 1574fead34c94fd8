"""How far something is: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from psyrun.utils.text import duration

_LONGEST_PAUSE = 30.0  # seconds
_PARTS = 10  # lines for the whole of it, or for the time up to now


class Progress(Protocol):
    """Shows how many of `total` are `done`, and how many have `failed`."""

    def update(self, done: int, failed: int, total: int, end: str = "") -> None:
        """Show how far it is now; nothing while `total` is 0.

        `end` is when all will be done, if more is known of it than the speed tells.
        """

    def close(self) -> None:
        """Show how far it was at the end, or remove what was shown."""


def has_bar(stream: TextIO) -> bool:
    """Whether a stream is a terminal in which a bar can move.

    The terminal of a command in a notebook is none: each move would be another line
    of the notebook. Those of other services keep a log.
    """
    logs = os.environ.get("JPY_PARENT_PID") or os.environ.get("CI")
    # A kernel that another program has started than Jupyter.
    is_kernel = os.environ.get("MPLBACKEND", "").startswith("module://")
    if logs or is_kernel or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


class Rate:
    """How fast something goes since a first count."""

    def __init__(self, n_done: int) -> None:
        self._n_before = n_done
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the first count."""
        return time.monotonic() - self._start

    def per_second(self, n_done: int) -> float:
        """Return how many per second were done since the start."""
        elapsed = self.elapsed
        return (n_done - self._n_before) / elapsed if elapsed > 0 else 0.0

    def seconds_left(self, n_done: int, total: int, n_failed: int = 0) -> float | None:
        """Return the seconds that the rest takes at this rate, if known.

        Those that failed may be tried again, but if all others are done, nobody knows
        whether they are.
        """
        if n_done + n_failed >= total:
            return None
        rate = self.per_second(n_done)
        return (total - n_done) / rate if rate > 0 else None


class Lines:
    """Writes a line now and then, few of them however long it takes.

    Parameters
    ----------
    write : callable
        Writes a line.
    pause : float
        Seconds before the first line, and between two of them at least. The next one
        follows after a tenth of all, or 30 seconds, or a tenth of the time up to now.
    at_once : bool
        Whether there is a line at the beginning, and so one at the end.
    """

    def __init__(
        self, write: Callable[[str], object], pause: float, *, at_once: bool = False
    ) -> None:
        self._write, self._pause, self._at_once = write, pause, at_once
        self._rate: Rate | None = None
        self._shown_at = time.monotonic()
        self._shown: tuple[int, int, int] | None = None
        self._last = (0, 0, 0)

    def update(self, done: int, failed: int, total: int, end: str = "") -> None:
        """Write a line if it is time for the next one."""
        if not total:
            return
        if self._rate is None:
            self._rate = Rate(done)
        self._last = (done, failed, total)
        if self._is_due(done + failed, total, self._rate.elapsed):
            left = self._rate.seconds_left(done, total, failed)
            by_speed = f", about {duration(left)} left" if left else ""
            self._show(f", the last at about {end}" if end else by_speed)

    def _is_due(self, ended: int, total: int, elapsed: float) -> bool:
        since = time.monotonic() - self._shown_at
        if self._shown is None and self._at_once:
            return True
        if since < self._pause:
            return False
        if self._shown is None or since >= max(_LONGEST_PAUSE, elapsed / _PARTS):
            return True
        return (ended - sum(self._shown[:2])) * _PARTS >= total

    def _show(self, end: str) -> None:
        done, failed, total = self._shown = self._last
        self._shown_at = time.monotonic()
        failures = f", {failed} failed" if failed else ""
        self._write(f"{done} of {total} assignments done{failures}{end}")

    def close(self) -> None:
        """Write a last line, unless there was none or it says the same."""
        if self._rate is not None and self._shown not in (None, self._last):
            self._show(f" after {duration(self._rate.elapsed)}")


class Bar:
    """Shows a bar with numbers in the last line of a terminal.

    Parameters
    ----------
    stream : file, optional
        The terminal, by default standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(file=stream or sys.stdout, highlight=False)
        # The numbers are whole, also on a narrow terminal; the bar takes the rest.
        self._bar = Progress(
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, numbers="")
        self._rate: Rate | None = None
        self._bar.start()

    def line(self, text: str) -> None:
        """Show a line above the bar."""
        self._console.print(text, markup=False, soft_wrap=True)

    def update(self, done: int, failed: int, total: int, end: str = "") -> None:
        """Show how far it is now."""
        if not total:
            return
        if self._rate is None:
            self._rate = Rate(done)
        left = self._rate.seconds_left(done, total, failed)
        by_speed = "" if left is None else f"{duration(left)} left"
        parts = [
            f"{done}/{total}",
            f"[red]{failed} failed[/red]" if failed else "",
            speed(self._rate.per_second(done)),
            f"done at about {end}" if end else by_speed,
        ]
        numbers = "  ".join(part for part in parts if part)
        self._set(completed=done, total=total, numbers=numbers)

    def _set(self, **values: Any) -> None:
        self._bar.update(self._task, **values)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()


def speed(per_second: float) -> str:
    """Return a rate in the unit that suits it, such as ``3.2/min``; empty for none."""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        number = per_second * seconds
        if number >= 100:
            return f"{number:.0f}/{unit}"
        if number >= 1:
            return f"{number:.2g}/{unit}"
    return f"{number:.2g}/h" if number else ""
