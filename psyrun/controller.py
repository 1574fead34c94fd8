"""One run: tasks are locked, Snakemake is started, watched and brought to an end."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from psyrun.files import read_json
from psyrun.forkserver import ForkServers
from psyrun.launch import Snakemake, command, decode_events
from psyrun.layout import MERGE, PROCESS, SPLIT
from psyrun.prepare import Prepared
from psyrun.progress import RoundProgress, Tally
from psyrun.snakefile import rule_suffix
from psyrun.view import EXECUTED, View


@dataclass(frozen=True)
class Failure:
    """A job that failed.

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
    def log(self) -> Any:
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
    failures : list of Failure
        Jobs that failed.
    errors : list of str
        What Snakemake itself had to complain about.
    """

    status: int = 0
    was_interrupted: bool = False
    failures: list[Failure] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """Exit status of `psy run`."""
        if self.was_interrupted:
            return 130
        notes = [failure.note or {} for failure in self.failures]
        if any(note.get("exit_status") == 2 for note in notes):
            return 2
        return 1 if self.status else 0


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

    def run(self, *, jobs: int, profile: str, extra: Sequence[str]) -> Outcome:
        """Have Snakemake do what is to be done, and watch it."""
        prepared = list(self._tasks.values())
        snakefiles = [p.layout.snakefile for p in prepared]
        arguments = command(snakefiles, jobs=jobs, profile=profile, extra=extra)
        with ExitStack() as stack:
            stack.enter_context(_Termination())
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
                with _Uninterrupted():
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
            return
        step, _, suffix = (event.get("rule_name") or "").partition("_")
        prepared = self._tasks.get(suffix)
        if prepared is None or step not in (SPLIT, PROCESS, MERGE):
            return
        block = (event.get("wildcards") or {}).get("block")
        if event["event"] == "job_info":
            self._view.job(EXECUTED, prepared.layout.job(step, block))
        elif event["event"] == "job_error":
            self._outcome.failures.append(Failure(prepared, step, block))


class _Termination:
    """Treats SIGTERM and SIGHUP like Ctrl-C while a run goes on."""

    _SIGNALS = (signal.SIGTERM, signal.SIGHUP)

    def __enter__(self) -> None:
        self._before = [signal.signal(n, _interrupt) for n in self._SIGNALS]

    def __exit__(self, *exception: object) -> None:
        for number, handler in zip(self._SIGNALS, self._before, strict=True):
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Uninterrupted:
    """Lets an orderly end not be interrupted by impatience."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)
