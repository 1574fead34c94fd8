"""Ends evaluations that take longer than the task allows.

A thread of the job looks now and then which assignments its workers are at, which costs
the workers nothing. One that is at the same assignment for too long gets a signal by
which it prints where it is and dies, in C, whatever Python does meanwhile. If it still
lives a second later, it is killed.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from psyrun.workdir.in_flight import InFlight

if TYPE_CHECKING:
    from collections.abc import Iterator

# One that nobody uses, for which the system ends a process. On macOS there are none.
_SIGNAL: int = getattr(signal, "SIGRTMAX", signal.SIGUSR2)
_GRACE = 1.0  # seconds between asking a worker to die and killing it
_LOOKS = 50  # in the time that an evaluation may take
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0  # seconds between two looks
_LATE = 3  # pauses after which this process itself may have been suspended
_LONGEST_GAP = 1.0  # seconds that count then


def die_with_stack(output: int) -> None:
    """Have this process write its stack to a file when its time is over, and die.

    Called in a worker. The handler is one of C, so that code that never returns to
    Python does not keep it from that.
    """
    faulthandler.register(_SIGNAL, file=output, all_threads=False, chain=True)


class TimedOut(NamedTuple):
    """An evaluation that took too long, and for how many seconds it was seen."""

    slot: InFlight
    lasted: float


class Timekeeper:
    """Measures the evaluations of a job's workers while the context is entered.

    Parameters
    ----------
    limit : float
        How many seconds an evaluation may take.
    find : callable
        Returns what each worker, by its process, evaluates.
    """

    def __init__(
        self, limit: float, find: Callable[[], Mapping[int, InFlight | None]]
    ) -> None:
        self._limit = limit
        self._find = find
        self._pause = max(_SHORTEST_PAUSE, min(limit / _LOOKS, _LONGEST_PAUSE))
        # Else time in which the job itself was suspended would count.
        self._longest_gap = max(_LATE * self._pause, min(_LONGEST_GAP, limit / 2))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._since: dict[tuple[int, InFlight], float] = {}
        self._ended: dict[int, TimedOut] = {}
        # No worker is asked that was found before it ended, and taken since.
        self._looking = threading.Lock()
        self._asked_at = 0.0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Measure while the body runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def is_late(self, pid: int) -> bool:
        """Whether it ended a worker."""
        return pid in self._ended

    def take(self, pid: int) -> TimedOut | None:
        """Return why it ended a worker that is dead; None if it did not.

        The next one is ended only after that, so that their stacks do not mix. The
        worker is not found any more when this is called.
        """
        with self._looking:
            return self._ended.pop(pid, None)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(_SHORTEST_PAUSE if self._ended else self._pause):
            now = time.monotonic()
            gap, last = min(now - last, self._longest_gap), now
            # A worker that ends at the moment is no reason to stop looking.
            with suppress(OSError, ValueError), self._looking:
                self._look(gap)

    def _look(self, gap: float) -> None:
        workers, before = self._find(), self._since
        at = [(pid, slot) for pid, slot in workers.items() if slot is not None]
        self._since = {key: before.get(key, -gap) + gap for key in at}
        if self._ended:
            self._insist(workers)
            return
        late = [key for key in at if self._since[key] >= self._limit]
        if late:
            pid, slot = late[0]
            self._ended[pid] = TimedOut(slot, self._since[late[0]])
            self._asked_at = time.monotonic()
            os.kill(pid, _SIGNAL)

    def _insist(self, workers: Mapping[int, InFlight | None]) -> None:
        """Kill what was asked and does not die."""
        if time.monotonic() - self._asked_at > _GRACE:
            for pid in self._ended.keys() & workers.keys():
                os.kill(pid, signal.SIGKILL)
