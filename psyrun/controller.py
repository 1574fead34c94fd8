"""One run: tasks are locked, Snakemake is started, watched and brought to an end."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from psyrun.files import read_json
from psyrun.forkservers import ForkServers
from psyrun.launch import Snakemake, command, decode_events
from psyrun.layout import MERGE, PROCESS, SPLIT
from psyrun.prepare import Prepared
from psyrun.progress import RoundProgress, Tally
from psyrun.snakefile import rule_suffix
from psyrun.view import EXECUTED, View


@dataclass(frozen=True)
class Job:
    """A job of a run.

    Attributes
    ----------
    prepared : Prepared
        Its task.
    step : str
        Its step.
    block : str or None
        Its block, for a process job.
    """

    prepared: Prepared
    step: str
    block: str | None

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.prepared.layout.job(self.step, self.block)

    @property
    def note(self) -> dict[str, Any] | None:
        """What the job left on why it failed: message and exit status."""
        round_ = self.prepared.layout.round(self.prepared.plan.round)
        step = self.step if self.block is None else f"{self.step}-{self.block}"
        note: dict[str, Any] | None = read_json(round_.error(step))
        return note

    def log_end(self, n_lines: int = 10) -> str:
        """Return the last lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-n_lines:])

    @property
    def log(self) -> Path:
        """Path of its log."""
        return self.prepared.layout.log(self.step, self.block)


@dataclass
class Outcome:
    """How a run ended.

    Attributes
    ----------
    status : int
        Exit status of Snakemake.
    was_interrupted : bool
        Whether the user ended it.
    failures : list of Job
        Jobs that failed.
    errors : list of str
        What Snakemake itself had to complain about.
    """

    status: int = 0
    was_interrupted: bool = False
    failures: list[Job] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """Exit status of `psy run`."""
        if self.was_interrupted:
            return 130
        if not self.status:
            # Jobs that failed had a second try.
            return 0
        notes = [failure.note or {} for failure in self.failures]
        if any(note.get("exit_status") == 2 for note in notes):
            return 2
        return 1


class Run:
    """A run of tasks whose plans were accepted.

    Parameters
    ----------
    prepared : sequence of Prepared
        The tasks, locked.
    view : View
        What to tell the user.
    """

    def __init__(self, prepared: Sequence[Prepared], view: View) -> None:
        self._tasks = {rule_suffix(p.task.name): p for p in prepared}
        self._view = view
        rounds = [p.layout.round(p.plan.round) for p in prepared]
        self._progress = [RoundProgress(round_) for round_ in rounds]
        self._outcome = Outcome()
        self._jobs: dict[int, Job] = {}

    def run(self, *, jobs: int, profile: str, extra: Sequence[str]) -> Outcome:
        """Have Snakemake do what is to be done, and watch it."""
        prepared = list(self._tasks.values())
        snakefiles = [p.layout.snakefile for p in prepared]
        arguments = command(snakefiles, jobs=jobs, profile=profile, extra=extra)
        with ExitStack() as stack:
            stack.enter_context(_handling(_interrupt))
            servers = ForkServers(
                (p.layout.folder, p.plan.taskfile, p.plan.python) for p in prepared
            )
            stack.callback(servers.stop)
            log = stack.enter_context(prepared[0].layout.snakemake_log.open("wb"))
            snakemake = Snakemake(arguments, servers.environment, log)
            stack.callback(os.close, snakemake.events)
            try:
                self._watch(snakemake.events)
                self._outcome.status = snakemake.wait()
            except KeyboardInterrupt:
                self._outcome.was_interrupted = True
                with _handling(signal.SIG_IGN):
                    servers.stop()
                    snakemake.interrupt()
        return self._outcome

    def tally(self) -> Tally:
        """Count the assignments of all tasks."""
        return sum((progress.look() for progress in self._progress), Tally())

    def _watch(self, events: int) -> None:
        """Read events until Snakemake ends."""
        pending = b""
        next_look = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(events, selectors.EVENT_READ)
            while True:
                if selector.select(self._view.interval):
                    data = os.read(events, 1 << 16)
                    if not data:
                        return
                    *lines, pending = (pending + data).split(b"\n")
                    for event in decode_events(lines):
                        self._tell(event)
                if time.monotonic() >= next_look:
                    self._view.progress(self.tally())
                    next_look = time.monotonic() + self._view.interval

    def _tell(self, event: dict[str, Any]) -> None:
        if event["event"] == "error":
            self._outcome.errors.append(event["text"])
        elif event["event"] == "job_info":
            job = self._job(event)
            if job is not None:
                self._jobs[event["jobid"]] = job
                self._view.job(EXECUTED, job.name)
        elif event["event"] == "job_error" and event["jobid"] in self._jobs:
            self._outcome.failures.append(self._jobs[event["jobid"]])

    def _job(self, event: dict[str, Any]) -> Job | None:
        """Return which of the jobs an event is about, None if it is a user's own."""
        step, _, suffix = event["rule_name"].partition("_")
        prepared = self._tasks.get(suffix)
        if prepared is None or step not in (SPLIT, PROCESS, MERGE):
            return None
        return Job(prepared, step, event["wildcards"].get("block"))


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None] | int) -> Iterator[None]:
    """Treat all ways of asking a run to end alike."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
