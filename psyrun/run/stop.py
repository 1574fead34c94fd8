"""Stopping the run of a task, with all its processes and jobs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from psyrun.errors import RunningError
from psyrun.queue.ledger import Ledger, QueueReport
from psyrun.queue.recovery import left, release_locks
from psyrun.run import controller_job as queued
from psyrun.tasks.discovery import find_tasks, put_on_path
from psyrun.utils.console import warn
from psyrun.utils.process import process_start
from psyrun.utils.text import counted
from psyrun.workdir.layout import TaskLayout, layout_of
from psyrun.workdir.lock import Holder, Lock, live_holder, running_jobs

_PATIENCE_WITH_CONTROLLER = 3.0  # seconds that it is left alone with its jobs
_PATIENCE_WITH_OTHERS = 60.0  # seconds until a controller elsewhere has stopped
_PATIENCE = 15.0  # seconds until processes are killed
_INTERVAL = 0.05  # seconds between looks at processes


def kill_task(taskdir: Path, name: str) -> int:
    """Stop the run of a task, and return the exit status."""
    layout = layout_of(taskdir, name)
    # Tasks may bring schedulers of their own.
    put_on_path(taskdir)
    queued.release_lock(layout, warn)
    controller = live_holder(layout.lock)
    jobs = _local(running_jobs(layout))
    also = _run_by(controller, taskdir) - {name}
    if controller is not None and not (controller.is_here or controller.job):
        _ask_to_stop(layout, controller)
    if jobs or controller is not None:
        for holder in jobs.values():
            if not holder.is_here:
                raise RunningError(
                    f"task {name!r} is run by {holder}. Run 'psy kill {name}' on "
                    f"{holder.host}."
                )
        here = controller if controller is not None and controller.is_here else None
        _stop(layout, here)
    n_queued, others = queued.stop(layout, warn)
    also |= others - {name}
    if Ledger(layout).batches():
        n_queued += _cancel(layout, name)
    if not (jobs or n_queued or controller):
        print(f"{name}: nothing is running")
        return 0
    ended = [counted(len(jobs), "running job")] if jobs or not n_queued else []
    ended += [counted(n_queued, "job") + " in the queue"] if n_queued else []
    print(f"{name}: stopped, with {' and '.join(ended)}; what was evaluated is kept")
    for other in sorted(also):
        print(f"{other}: {_also_stopped(layout_of(taskdir, other))}")
    return 0


def _also_stopped(layout: TaskLayout) -> str:
    """Tell what became of another task of the run that was stopped."""
    queued = QueueReport.of(layout).text
    if not queued:
        return "stopped, too, as the same run was on it"
    return (
        f"watched by nobody now, as the same run was on it: {queued}. Go on with "
        f"'psy run {layout.name}', or stop it with 'psy kill {layout.name}'"
    )


def _local(jobs: Mapping[str, Holder]) -> dict[str, Holder]:
    """Return the jobs that no queue runs."""
    return {name: holder for name, holder in jobs.items() if not holder.job}


def _ask_to_stop(layout: TaskLayout, controller: Holder) -> None:
    """Stop a controller on another machine, which looks for requests now and then.

    Raises
    ------
    RunningError
        If it does not stop.
    """
    layout.stop.touch()
    deadline = time.monotonic() + _PATIENCE_WITH_OTHERS
    while live_holder(layout.lock) == controller:
        if time.monotonic() > deadline:
            raise RunningError(
                f"task {layout.name!r} is run by {controller}, which does not stop. "
                f"Run 'psy kill {layout.name}' on {controller.host}."
            )
        time.sleep(_INTERVAL)


def _cancel(layout: TaskLayout, name: str) -> int:
    """Cancel the jobs of a task that are queued or running, and return their number."""
    with Lock(layout.lock, f"task {name!r}"):
        # So others can tell that this is no run.
        layout.stop.touch()
        found = left(layout, None, warn, records=True)
        cancelled = [job for one in found for job in one.cancel(lambda _: True, warn)]
        release_locks(layout, left(layout, None, warn, records=False))
    return len(cancelled)


def _run_by(controller: Holder | None, taskdir: Path) -> set[str]:
    """Return the tasks that a controller runs."""
    if controller is None:
        return set()
    tasks = find_tasks(taskdir)
    holders = {name: live_holder(layout_of(taskdir, name).lock) for name in tasks}
    return {name for name, holder in holders.items() if _same(holder, controller)}


def _same(one: Holder | None, other: Holder) -> bool:
    return one is not None and (one.pid, one.started) == (other.pid, other.started)


def _stop(layout: TaskLayout, controller: Holder | None) -> None:
    """End a run: its controller does it, else its jobs are ended one by one."""
    jobs = list(_local(running_jobs(layout)).values())
    run = [*jobs, *([] if controller is None else [controller])]
    family = _Family(run)
    if controller is not None:
        # So it can tell who has ended it.
        layout.stop.touch()
        _signal(controller.pid, controller.started, signal.SIGTERM)
        family.wait_for(run, _PATIENCE_WITH_CONTROLLER)
    # Snakemake by itself waits for its jobs when it is asked to end.
    for job in [*jobs, *_local(running_jobs(layout)).values()]:
        _signal(job.pid, job.started, signal.SIGTERM)
    family.wait_for(run, _PATIENCE)
    family.kill()


class _Family:
    """Processes, and all that they started.

    Parameters
    ----------
    founders : iterable of Holder
        Processes of this machine.
    """

    def __init__(self, founders: Iterable[Holder]) -> None:
        self._members = {holder.pid: holder.started for holder in founders}
        # Once a process has ended, nothing shows any more what it had started.
        self._living()

    def _living(self) -> dict[int, str]:
        """Return the members that live, after looking for new ones."""
        parents = _parents()
        new = dict(self._members)
        while new:
            children = {pid for pid, parent in parents.items() if parent in new}
            new = {p: process_start(p) or "" for p in children - {*self._members}}
            self._members |= new
        alive = {p: s for p, s in self._members.items() if process_start(p) == s}
        self._members = alive
        return alive

    def wait_for(self, some: Iterable[Holder], seconds: float) -> None:
        """Wait until some of the processes have ended, or the time is over."""
        deadline = time.monotonic() + seconds
        pids = {holder.pid for holder in some}
        while pids & {*self._living()} and time.monotonic() < deadline:
            time.sleep(_INTERVAL)

    def kill(self) -> None:
        """End those that live without asking them, and what they start meanwhile.

        Raises
        ------
        RunningError
            If the system doesn't manage to end them.
        """
        deadline = time.monotonic() + _PATIENCE
        while living := self._living():
            for pid, started in living.items():
                _signal(pid, started, signal.SIGKILL)
            time.sleep(_INTERVAL)
            if time.monotonic() > deadline:
                pids = ", ".join(map(str, living))
                raise RunningError(
                    f"processes {pids} cannot be ended. They may be waiting for a disk "
                    "or a network; try again later."
                )


def _parents() -> dict[int, int]:
    """Return the parent of each process of this machine (Linux only)."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Fields after the command, which may hold blanks: proc(5), 4.
            fields = stat.read_text(encoding="ascii", errors="replace")
            parents[int(stat.parent.name)] = int(fields.rpartition(")")[2].split()[1])
    return parents


def _signal(pid: int, started: str, number: signal.Signals) -> None:
    if process_start(pid) != started:
        return
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise RunningError(
            f"process {pid} belongs to somebody else. Ask them to stop the run."
        ) from error
