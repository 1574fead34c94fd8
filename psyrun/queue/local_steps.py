"""Runs the steps of tasks in a queue that need no job of their own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable

from psyrun.queue.driver import FinishedJob
from psyrun.queue.job import QueuedJob
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.utils.process.basics import start_below
from psyrun.utils.process.isolation import isolated
from psyrun.utils.text import describe_exit

MOST_AT_ONCE = 2
"""Processes, as others work on a login node."""

_PATIENCE = 5.0  # seconds between asking a step to end and killing it


class LocalSteps:
    """Runs steps as processes of this machine, which end with this one.

    Parameters
    ----------
    submit : callable
        Takes a step that this machine does not let come to its end, for a job.
    """

    def __init__(
        self, submit: Callable[[QueuedJob], None], warn: Callable[[str], None]
    ) -> None:
        self._submit = submit
        self._warn = warn
        self._waiting: list[QueuedJob] = []
        self._running: dict[QueuedJob, subprocess.Popen[bytes]] = {}

    def add(self, item: QueuedJob) -> None:
        """Have a step run, as soon as there is room."""
        self._waiting.append(item)
        self._start_waiting()

    @property
    def is_busy(self) -> bool:
        """Whether a step runs, which will soon have ended."""
        return bool(self._running)

    def step(self) -> list[FinishedJob]:
        """Do what is due; return the steps that have ended since."""
        ended = [
            FinishedJob(item, ending)
            for item, process in list(self._running.items())
            if (status := process.poll()) is not None
            and (ending := self._end(item, status)) is not None
        ]
        self._start_waiting()
        return ended

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < MOST_AT_ONCE:
            self._start(self._waiting.pop(0))

    def cancel(self) -> None:
        """End all steps, and start no more."""
        self._waiting.clear()
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _start(self, item: QueuedJob) -> None:
        try:
            self._running[item] = start_below(
                # The command in place of the shell, so that it is what is ended.
                ["sh", "-c", f"exec {item.command}"],
                env=isolated(os.environ),
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            self._give_away(item, f"cannot be started ({error.strerror})")

    def _end(self, item: QueuedJob, status: int) -> Ending | None:
        """Return how a step ended; None if it is to have a job."""
        del self._running[item]
        if status < 0:
            self._give_away(item, describe_exit(status))
            return None
        item.local_status = status
        if status == 0:
            return Ending(Cause.DONE, "done", 0)
        # As a shell tells of a child that was ended by a signal.
        text = describe_exit(128 - status if status > 128 else status)
        return Ending(Cause.FAILED, text, status)

    def _give_away(self, item: QueuedJob, why: str) -> None:
        """Submit what was ended by a system that gives processes little here."""
        self._warn(
            f"{item.name}: {why} on {socket.gethostname()}; it gets a job of its own."
        )
        item.remove_stale_lock()
        self._submit(item)
