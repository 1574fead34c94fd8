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

from psyrun.errors import LostLockError
from psyrun.planning.prepare import Prepared
from psyrun.planning.snakefile import rule_suffix
from psyrun.run.display import EXECUTED, Display
from psyrun.run.forkservers import ForkServers
from psyrun.run.snakemake import Snakemake, command, decode_events
from psyrun.scheduler.immediate import LOCAL
from psyrun.utils.environment import LEAVE_VARIABLE
from psyrun.utils.files import read_json
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT
from psyrun.workdir.lock import recorded_holder
from psyrun.workdir.progress import RoundProgress, Tally


@dataclass(frozen=True)
class FailedJob:
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
class RunOutcome:
    """How a run ended.

    Attributes
    ----------
    status : int
        Exit status of Snakemake.
    was_interrupted : bool
        Whether the user ended it.
    is_out_of_time : bool
        Whether it stopped before its queue would have ended it.
    failures : list of FailedJob
        Jobs that failed.
    errors : list of str
        What Snakemake itself had to complain about.
    """

    status: int = 0
    was_interrupted: bool = False
    is_out_of_time: bool = False
    failures: list[FailedJob] = field(default_factory=list)
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


class Controller:
    """A run of tasks whose plans were accepted.

    Parameters
    ----------
    prepared : sequence of Prepared
        The tasks, locked.
    view : Display
        What to tell the user.
    until : float
        When to stop at the latest, in seconds since the epoch.
    """

    def __init__(
        self, prepared: Sequence[Prepared], view: Display, until: float = float("inf")
    ) -> None:
        self._until = until
        self._tasks = {rule_suffix(p.task.name): p for p in prepared}
        self._view = view
        rounds = [p.layout.round(p.plan.round) for p in prepared]
        self._progress = [RoundProgress(round_) for round_ in rounds]
        self._outcome = RunOutcome()
        self._jobs: dict[tuple[int, int], FailedJob] = {}

    def run(self, *, jobs: int | None, extra: Sequence[str]) -> RunOutcome:
        """Have Snakemake do what is to be done, and watch it.

        There is one Snakemake for each kind of place where jobs run, so that
        nobody waits for jobs in a queue to start some on this machine.

        Raises
        ------
        LostLockError
            If somebody else runs one of the tasks meanwhile. Jobs in the queue
            are left to them.
        """
        with ExitStack() as stack:
            stack.enter_context(_handling(_interrupt))
            local = [p for p in self._tasks.values() if p.profile == LOCAL]
            servers = ForkServers(
                (p.layout.folder, p.plan.taskfile, p.plan.python) for p in local
            )
            stack.callback(servers.stop)
            environment = {LEAVE_VARIABLE: "1", **servers.environment}
            running: list[Snakemake] = []
            try:
                for profile, some in self._by_profile().items():
                    snakefiles = [p.layout.snakefile for p in some]
                    arguments = command(
                        snakefiles, jobs=jobs, profile=profile, extra=extra
                    )
                    log = some[0].layout.snakemake_log.open("wb")
                    stack.enter_context(log)
                    running.append(Snakemake(arguments, environment, log))
                    stack.callback(os.close, running[-1].events)
                self._watch([snakemake.events for snakemake in running])
                # One that was killed has a negative status.
                statuses = [snakemake.wait() for snakemake in running]
                self._outcome.status = next(filter(None, statuses), 0)
            except LostLockError:
                # Before it submits or removes what is another run's now.
                with _handling(signal.SIG_IGN):
                    for snakemake in running:
                        snakemake.kill()
            except (KeyboardInterrupt, _OutOfTimeError) as error:
                self._outcome.is_out_of_time = isinstance(error, _OutOfTimeError)
                self._outcome.was_interrupted = not self._outcome.is_out_of_time
                with _handling(signal.SIG_IGN):
                    servers.stop()
                    for snakemake in running:
                        snakemake.interrupt()
        # However it ended: where it was lost, nothing is to be recorded of it.
        self._check_locks()
        return self._outcome

    def _by_profile(self) -> dict[str, list[Prepared]]:
        """Return the tasks that one Snakemake can run."""
        found: dict[str, list[Prepared]] = {}
        for prepared in self._tasks.values():
            found.setdefault(prepared.profile, []).append(prepared)
        return found

    def tally(self) -> Tally:
        """Count the assignments of all tasks."""
        return sum((progress.tally() for progress in self._progress), Tally())

    def _watch(self, streams: Sequence[int]) -> None:
        """Read events until each Snakemake has ended."""
        pending = dict.fromkeys(streams, b"")
        next_look = 0.0
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            while pending:
                for key, _ in selector.select(self._view.interval):
                    data = os.read(key.fd, 1 << 16)
                    *lines, rest = (pending.pop(key.fd) + data).split(b"\n")
                    for event in decode_events(lines):
                        self._tell(key.fd, event)
                    if data:
                        pending[key.fd] = rest
                    else:
                        selector.unregister(key.fd)
                if time.monotonic() >= next_look:
                    self._check_locks()
                    self._stop_if_asked()
                    if time.time() > self._until:
                        raise _OutOfTimeError
                    self._view.progress(self.tally())
                    next_look = time.monotonic() + self._view.interval

    def _check_locks(self) -> None:
        """Stop where the tasks are not ours any more."""
        for prepared in self._tasks.values():
            if prepared.lock is not None and prepared.lock.is_lost:
                raise _lost(prepared)

    def _stop_if_asked(self) -> None:
        """Heed a request from another machine."""
        for prepared in self._tasks.values():
            if prepared.layout.stop.exists():
                prepared.layout.stop.unlink(missing_ok=True)
                raise KeyboardInterrupt

    def _tell(self, stream: int, event: dict[str, Any]) -> None:
        if event["event"] == "error":
            self._outcome.errors.append(event["text"])
        elif event["event"] == "warning":
            self._view.say(event["text"])
        elif event["event"] == "job_info":
            job = self._job(event)
            if job is not None:
                self._jobs[stream, event["jobid"]] = job
                self._view.job(EXECUTED, job.name)
        elif event["event"] == "job_error":
            failed = self._jobs.get((stream, event["jobid"]))
            self._outcome.failures += [] if failed is None else [failed]

    def _job(self, event: dict[str, Any]) -> FailedJob | None:
        """Return which of the jobs an event is about, None if it is a user's own."""
        step, _, suffix = event["rule_name"].partition("_")
        prepared = self._tasks.get(suffix)
        if prepared is None or step not in (SPLIT, PROCESS, MERGE):
            return None
        return FailedJob(prepared, step, event["wildcards"].get("block"))


def _lost(prepared: Prepared) -> LostLockError:
    """Return the error that says who runs a task now."""
    name, holder = prepared.task.name, recorded_holder(prepared.layout.lock)
    if holder is None:
        return LostLockError(
            f"task {name!r}: the lock of this run was removed, so it has stopped. Go "
            f"on with 'psy run {name}'."
        )
    return LostLockError(
        f"task {name!r} is run by {holder} now, who took over as nothing was heard of "
        f"this run. Follow it with 'psy attach {name}'."
    )


class _OutOfTimeError(Exception):
    """The time of the controller is nearly over."""


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None] | int) -> Iterator[None]:
    """Treat all ways of asking a run to end alike."""
    before = {number: signal.signal(number, handler) for number in _signals()}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _signals() -> list[signal.Signals]:
    """Return what asks a run to end; logout does not, where it is ignored."""
    ignores_logout = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [s for s in _SIGNALS if s != signal.SIGHUP or not ignores_logout]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
