"""Snakemake is started, watched and brought to an end."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from psyrun.errors import LostLockError
from psyrun.planning.prepare import TaskRun
from psyrun.planning.snakefile import rule_suffix
from psyrun.run.display import EXECUTED, Display
from psyrun.run.early_snakemake import EarlySnakemake
from psyrun.run.expected_ends import ExpectedEnds
from psyrun.run.forkservers import ForkServers
from psyrun.run.hanging import HangReports
from psyrun.run.lock_watch import as_text, lost_lock
from psyrun.run.snakemake import Snakemake, command, decode_events
from psyrun.run.threads import settings_of_servers
from psyrun.scheduler.immediate import LOCAL
from psyrun.steps.command import StepCommand
from psyrun.steps.not_started import record_not_started
from psyrun.utils.environment import CONTROLLED_VARIABLE, OWN_RULES_VARIABLE
from psyrun.utils.files import remove_pipe
from psyrun.utils.process.basics import ENDING_SIGNALS
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT
from psyrun.workdir.lock import remove_stale_locks
from psyrun.workdir.notices import take_notices
from psyrun.workdir.progress import RoundProgress, Tally
from psyrun.workdir.step_note import step_note


@dataclass(frozen=True)
class FailedJob:
    """A job of a run; only a process job has a block."""

    task: TaskRun
    step: str
    block: str | None

    @property
    def name(self) -> str:
        """Name of the job."""
        return self.task.layout.job(self.step, self.block)

    @property
    def note(self) -> dict[str, Any] | None:
        """Why it failed, as the job recorded it: message and exit status."""
        round_ = self.task.layout.round(self.task.plan.round)
        step = self.step if self.block is None else f"{self.step}-{self.block}"
        return step_note(round_.error(step))

    def look_into_start(self) -> None:
        """Record why it failed if it did not begin, on this machine."""
        folder, plan = self.task.layout.folder, self.task.plan
        step = StepCommand(self.step, folder, plan.round, self.block)
        if self.task.profile == LOCAL:
            record_not_started(step, plan.python, is_here=True)

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
        return self.task.layout.log(self.step, self.block)


@dataclass
class RunOutcome:
    """How a run ended.

    Attributes
    ----------
    status : int
        Exit status of Snakemake.
    was_interrupted : bool
        Whether it was asked to end.
    signal : int
        By which signal.
    is_out_of_time : bool
        Whether it stopped before its queue would have ended it.
    failures : list of FailedJob
        Jobs that failed.
    errors : list of str
        Errors of Snakemake itself.
    tally : Tally
        How many assignments of all tasks are evaluated.
    """

    status: int = 0
    was_interrupted: bool = False
    signal: int = signal.SIGINT
    is_out_of_time: bool = False
    failures: list[FailedJob] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

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
    """Has Snakemake follow accepted plans, and watches it.

    Parameters
    ----------
    tasks : sequence of TaskRun
        The tasks, locked.
    display : Display
        Shows the jobs and the progress.
    stop_at : float
        When to stop at the latest, in seconds since the epoch.
    look : callable
        Called now and then, with the processes of the fork servers.
    early : EarlySnakemake or None
        A Snakemake whose import has begun.
    """

    def __init__(
        self,
        tasks: Sequence[TaskRun],
        display: Display,
        stop_at: float = float("inf"),
        look: Callable[[Collection[int]], None] = lambda _: None,
        early: EarlySnakemake | None = None,
    ) -> None:
        self._early = early
        self._stop_at = stop_at
        self._also_look = look
        self._servers: Collection[int] = ()
        self._tasks = {rule_suffix(task.name): task for task in tasks}
        self._display = display
        rounds = [task.layout.round(task.plan.round) for task in tasks]
        self._progress = [RoundProgress(round_) for round_ in rounds]
        self._ends = ExpectedEnds(tasks)
        names = [task.name for task in tasks]
        self._hangs = HangReports(zip(names, rounds, strict=True))
        self._outcome = RunOutcome()
        self._jobs: dict[tuple[int, int], FailedJob] = {}
        self._snakemakes: list[Snakemake] = []

    def run(
        self, *, jobs: int | None, extra: Sequence[str], last_step: str = ""
    ) -> RunOutcome:
        """Start Snakemake and watch it to its end.

        With a `last_step`, the steps after that are left to another run.

        Raises
        ------
        LostLockError
            If somebody else runs one of the tasks meanwhile. Jobs in the queue
            are left to them.
        """
        outcome = self._outcome
        self._ends.n_cores = jobs or 1
        with ExitStack() as stack:
            stack.enter_context(_handling(_interrupt))
            servers = self._start_fork_servers(jobs)
            stack.callback(servers.stop)
            self._servers = servers.pids
            try:
                self._launch(jobs, extra, servers, stack, last_step)
                self._watch()
                # One that was killed has a negative status.
                statuses = [snakemake.wait() for snakemake in self._snakemakes]
                outcome.status = next(filter(None, statuses), 0)
            except LostLockError:
                # Before it submits or removes what is another run's now.
                with _handling(signal.SIG_IGN):
                    for snakemake in self._snakemakes:
                        snakemake.kill()
            except (KeyboardInterrupt, _OutOfTimeError) as error:
                self._stop(error, servers)
        self._conclude()
        return outcome

    def _stop(
        self, error: KeyboardInterrupt | _OutOfTimeError, servers: ForkServers
    ) -> None:
        """End the run before all is done, and note why."""
        outcome = self._outcome
        outcome.is_out_of_time = isinstance(error, _OutOfTimeError)
        outcome.was_interrupted = not outcome.is_out_of_time
        if isinstance(error, _InterruptedError):
            outcome.signal = error.number
        with _handling(signal.SIG_IGN):
            servers.stop()
            for snakemake in self._snakemakes:
                snakemake.interrupt()

    def _conclude(self) -> None:
        """Look, once nothing runs any more, at what the run has left."""
        outcome = self._outcome
        is_ended = outcome.was_interrupted or outcome.is_out_of_time
        for task in self._tasks.values():
            if is_ended or (task.lock is not None and task.lock.is_lost):
                remove_stale_locks(task.layout)
        # However it ended: where it was lost, nothing is to be recorded of it.
        self._check_locks()
        self._ends.forget()
        self._say_notices()
        outcome.tally = sum(self._tallies(), Tally())

    def _say_notices(self) -> None:
        """Say what jobs found out that only their logs would have."""
        for task in self._tasks.values():
            for line in take_notices(task.layout):
                self._display.line(line)

    def _start_fork_servers(self, jobs: int | None) -> ForkServers:
        local = [task for task in self._tasks.values() if task.profile == LOCAL]
        return ForkServers(
            ((t.layout.folder, t.plan.taskfile, t.plan.python) for t in local),
            settings_of_servers(local, jobs),
        )

    def _launch(
        self,
        jobs: int | None,
        extra: Sequence[str],
        servers: ForkServers,
        stack: ExitStack,
        last_step: str,
    ) -> None:
        """Start one Snakemake for each kind of place where jobs run.

        So nobody waits for jobs in a queue to start some on this machine.
        """
        locks = [task.lock for task in self._tasks.values() if task.lock is not None]
        held = as_text({lock.path.absolute(): lock.token for lock in locks})
        own, own_arguments = servers.own_folder
        environment = {CONTROLLED_VARIABLE: held, **servers.environment, **own}
        if not extra:
            environment[OWN_RULES_VARIABLE] = "1"
        for profile, tasks in self._by_profile().items():
            snakefiles = [task.layout.snakefile for task in tasks]
            suffixes = [rule_suffix(task.name) for task in tasks]
            until = [f"{last_step}_{each}" for each in suffixes if last_step]
            arguments = command(
                snakefiles, jobs=jobs, profile=profile, extra=extra, until=until
            )
            arguments += own_arguments
            remove_pipe(tasks[0].layout.snakemake_log)
            log = stack.enter_context(tasks[0].layout.snakemake_log.open("wb"))
            early, self._early = self._early, None
            self._snakemakes.append(Snakemake(arguments, environment, log, early))
            stack.callback(os.close, self._snakemakes[-1].events)

    def _by_profile(self) -> dict[str, list[TaskRun]]:
        """Return the tasks that one Snakemake can run."""
        found: dict[str, list[TaskRun]] = {}
        for task in self._tasks.values():
            found.setdefault(task.profile, []).append(task)
        return found

    def _tallies(self) -> list[Tally]:
        return [progress.tally() for progress in self._progress]

    def _watch(self) -> None:
        """Read events until each Snakemake has ended."""
        pending = {snakemake.events: b"" for snakemake in self._snakemakes}
        next_look = 0.0
        with selectors.DefaultSelector() as selector:
            for stream in pending:
                selector.register(stream, selectors.EVENT_READ)
            while pending:
                for key, _ in selector.select(self._display.interval):
                    data = os.read(key.fd, 1 << 16)
                    *lines, rest = (pending.pop(key.fd) + data).split(b"\n")
                    for event in decode_events(lines):
                        self._take(key.fd, event)
                    if data:
                        pending[key.fd] = rest
                    else:
                        selector.unregister(key.fd)
                if time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + self._display.interval

    def _look(self) -> None:
        """Stop if there is a reason to, and show the progress."""
        self._check_locks()
        self._stop_if_asked()
        if time.time() > self._stop_at:
            raise _OutOfTimeError
        self._also_look(self._servers)
        for line in self._hangs.lines():
            self._display.line(line)
        self._say_notices()
        tallies = self._tallies()
        self._display.progress(sum(tallies, Tally()), self._ends.look(tallies))

    def _check_locks(self) -> None:
        """Stop where the tasks are not ours any more."""
        for task in self._tasks.values():
            if task.lock is not None and task.lock.is_lost:
                raise lost_lock(task.layout)

    def _stop_if_asked(self) -> None:
        """Do what another machine's ``psy kill`` asks for."""
        for task in self._tasks.values():
            if task.layout.stop.exists():
                task.layout.stop.unlink(missing_ok=True)
                raise KeyboardInterrupt

    def _take(self, stream: int, event: dict[str, Any]) -> None:
        """Act on an event of Snakemake."""
        if event["event"] == "error":
            self._outcome.errors.append(event["text"])
        elif event["event"] == "warning":
            self._display.line(event["text"])
        elif event["event"] == "job_info":
            job = self._job(event)
            if job is not None:
                self._jobs[stream, event["jobid"]] = job
                self._display.job(EXECUTED, job.name)
        elif event["event"] == "job_error":
            failed = self._jobs.get((stream, event["jobid"]))
            if failed is not None:
                failed.look_into_start()
                self._outcome.failures.append(failed)

    def _job(self, event: dict[str, Any]) -> FailedJob | None:
        """Return which of the jobs an event is about, None if it is a user's own."""
        step, _, suffix = event["rule_name"].partition("_")
        task = self._tasks.get(suffix)
        if task is None or step not in (SPLIT, PROCESS, MERGE):
            return None
        return FailedJob(task, step, event["wildcards"].get("block"))


class _InterruptedError(KeyboardInterrupt):
    """A signal asks the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _OutOfTimeError(Exception):
    """The time of the controller is nearly over."""


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
    return [s for s in ENDING_SIGNALS if s != signal.SIGHUP or not ignores_logout]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _InterruptedError(number)
