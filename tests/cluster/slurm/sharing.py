"""Who may change the machine's one cluster, where several test runs use it."""

from __future__ import annotations

import fcntl
import sys
import time
from functools import cache
from pathlib import Path

PATIENCE = 1200


class Share:
    """A test run's hold on the cluster: with others, or alone.

    It lasts until the process ends. Who wants the cluster alone gives up the hold it
    has, so that two who want it don't wait for each other for ever.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a")
        self._held: int | None = None

    @staticmethod
    @cache
    def of(state: Path) -> Share:
        """Return the one hold that this process has on the cluster in `state`."""
        return Share(state.with_name(f"{state.name}.lock"))

    def take_with_others(self) -> None:
        """Use the cluster; others may too, but cannot change it."""
        self._take(fcntl.LOCK_SH)

    def take_alone(self) -> None:
        """Wait until nobody else uses the cluster."""
        self._take(fcntl.LOCK_EX)

    def _take(self, kind: int) -> None:
        if kind != self._held:
            if not self._try(kind):
                self._wait(kind)
            self._held = kind

    def _wait(self, kind: int) -> None:
        print("waiting for other users of the test cluster", file=sys.stderr)
        end = time.monotonic() + PATIENCE
        while not self._try(kind):
            if time.monotonic() > end:
                raise TimeoutError(f"Others keep the test cluster busy: {self._path}.")
            time.sleep(0.2)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
