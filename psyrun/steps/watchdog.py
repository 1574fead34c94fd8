"""Looks after the processes of a job: those that seem to hang are told of.

A thread compares now and then what the workers of the job, and all processes below
them, have used of CPU time and which assignments they are at. While there are no
workers, it looks at the job's own process. What has done nothing for
`psyrun.utils.environment.hang_limit` seconds is noted in the round. It is not ended:
it may wait for something outside of this machine.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from psyrun.utils.environment import hang_limit
from psyrun.utils.process.idleness import (
    IdleClock,
    Usage,
    usage_beside_this_thread,
    usage_of,
)
from psyrun.workdir import hanging
from psyrun.workdir.hanging import Hanging

_LOOKS = 10  # in the time after which a process seems to hang
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 30.0  # seconds between two looks
_PAUSE_WHILE_HANGING = 2.0
_LATE = 3  # pauses after which this process itself was suspended


class Watched(NamedTuple):
    """A process that is looked after.

    Attributes
    ----------
    helpers : sequence of int
        Other processes that work for it.
    progress : hashable
        Differs if something was achieved.
    at : callable
        Returns what it is at.
    """

    pid: int
    helpers: Sequence[int]
    progress: Hashable
    at: Callable[[], str]


class Watchdog:
    """Looks after this process and its workers while the context is entered.

    Parameters
    ----------
    path : Path
        Absolute path of the note about what seems to hang.
    at : callable
        Returns what this process itself is at.
    has_log : bool
        Whether what is printed goes to the log of a job, so that it is said there too.
    """

    def __init__(
        self, path: Path, at: Callable[[], str] = str, *, has_log: bool = True
    ) -> None:
        self._path = path
        self._at = at
        self._has_log = has_log
        self._find: Callable[[], list[Watched]] = list
        self._stop = threading.Event()
        # Whoever holds it looks, or changes what is looked after.
        self._looking = threading.Lock()
        self._limit = hang_limit()
        pause = max(_SHORTEST_PAUSE, min(self._limit / _LOOKS, _LONGEST_PAUSE))
        self._pause = pause
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._clocks: dict[int, IdleClock] = {}
        self._told: dict[int, Hanging] = {}

    def __enter__(self) -> Watchdog:
        with suppress(OSError):
            # Of an earlier job.
            self._path.unlink()
        if self._limit < float("inf"):
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self._looking:
            self._stop.set()
            if self._told:
                self._path.unlink(missing_ok=True)
        if self._thread.is_alive():
            self._thread.join()

    @contextmanager
    def looking_after(self, find: Callable[[], list[Watched]]) -> Iterator[None]:
        """Look after what a function returns, as long as there is something."""
        self._change(find)
        try:
            yield
        finally:
            self._change(list)

    def _change(self, find: Callable[[], list[Watched]]) -> None:
        with self._looking:
            self._find = find

    def _run(self) -> None:
        while not self._stop.wait(self._next_pause):
            # What it cannot find out or note is no reason to disturb the job.
            with self._looking, suppress(Exception):
                if not self._stop.is_set():
                    self._look()

    @property
    def _next_pause(self) -> float:
        return min(self._pause, _PAUSE_WHILE_HANGING) if self._told else self._pause

    def _look(self) -> None:
        found = self._find()
        usages = {one.pid: usage_of([one.pid, *one.helpers]) for one in found}
        if not found:
            found = [Watched(os.getpid(), (), None, self._at)]
            usages = {os.getpid(): usage_beside_this_thread()}
        self._update_clocks(found, usages)
        self._tell([one for one in found if self._clocks[one.pid].idle >= self._limit])

    def _update_clocks(
        self, found: Sequence[Watched], usages: dict[int, Usage]
    ) -> None:
        before, self._clocks = self._clocks, {}
        for one in found:
            clock = before.get(one.pid) or IdleClock(_LATE * self._pause)
            clock.look(usages[one.pid], one.progress)
            self._clocks[one.pid] = clock

    def _tell(self, found: Sequence[Watched]) -> None:
        """Note what seems to hang now, if that is not noted already."""
        before = self._told
        self._told = {one.pid: before.get(one.pid) or self._begun(one) for one in found}
        if not self._told:
            if before:
                self._path.unlink(missing_ok=True)
        elif self._told.keys() == before.keys() and self._path.exists():
            hanging.renew(self._path)
        else:
            hanging.note(self._path, list(self._told.values()))

    def _begun(self, one: Watched) -> Hanging:
        """Return what is to be noted of a process, and write it to the log."""
        clock = self._clocks[one.pid]
        found = Hanging(one.pid, time.time() - clock.idle, clock.used, one.at())
        line = f"process {one.pid} {found.text}\n"
        with suppress(OSError):
            # Not by a stream, whose lock a fork at this moment would keep for ever.
            if self._has_log:
                os.write(2, line.encode(errors="backslashreplace"))
        return found
