"""Stopping the run of a task, with all its processes and jobs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from psyrun.errors import RunningError
from psyrun.queue.ledger import Batch, Ledger, QueueReport
from psyrun.queue.recovery import find_earlier_jobs, release_locks
from psyrun.queue.trust import Thaw
from psyrun.run import controller_job
from psyrun.run.clean import refuse_other_owner
from psyrun.tasks.discovery import find_tasks
from psyrun.utils.console import warn
from psyrun.utils.process.identity import process_start
from psyrun.utils.text import counted
from psyrun.utils.users import name_of_user, own_uids
from psyrun.workdir.copies import separate
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout, layout_of
from psyrun.workdir.lock import Lock, live_holder, locks_of, running_jobs
from psyrun.workdir.plan import arguments_in

_PATIENCE_WITH_CONTROLLER = 3.0  # seconds that it is left alone with its jobs
_PATIENCE_WITH_OTHERS = 60.0  # seconds until a controller elsewhere has stopped
_PATIENCE = 15.0  # seconds until processes are killed
_INTERVAL = 0.05  # seconds between looks at processes


def kill_task(taskdir: Path, name: str, thaw: Thaw) -> int:
    """Stop the run of a task, and return the exit status.

    Of schedulers that are not installed, only those are used that `thaw` returns.
    """
    layout = layout_of(taskdir, name)
    refuse_other_owner(layout, taskdir)
    separate(layout)
    _refuse_others(layout)
    controller_job.release_lock(layout, warn, thaw)
    controller = live_holder(layout.lock)
    jobs = _jobs_outside_queues(layout)
    others = _tasks_run_by(controller, taskdir)
    _stop_processes(layout, controller, jobs)
    n_queued, tasks_in_queue = controller_job.stop(layout, warn, thaw)
    if Ledger(layout).batches():
        n_queued += _cancel(layout, thaw)
    if not (jobs or n_queued or controller):
        print(f"{name}: nothing is running")
        return 0
    ended = [counted(len(jobs), "running job")] if jobs or not n_queued else []
    ended += [counted(n_queued, "job") + " in the queue"] if n_queued else []
    print(f"{name}: stopped, with {' and '.join(ended)}; what was evaluated is kept")
    for other in sorted((others | tasks_in_queue) - {name}):
        print(f"{other}: {_state_of_other(layout_of(taskdir, other))}")
    return 0


def _refuse_others(layout: TaskLayout) -> None:
    """Refuse to stop what somebody else runs, before anything is done about it."""
    for path in (layout.lock, *locks_of(layout)):
        holder = live_holder(path)
        if holder is not None:
            with suppress(FileNotFoundError):
                _refuse_other(layout, path, holder)
    for batch in (*Ledger(layout).batches(), *_controllers(layout)):
        owner = batch.folder.stat().st_uid
        is_other = owner not in own_uids(layout.folder) and os.geteuid()
        if is_other and batch.open():
            raise _others(layout, owner, "has jobs in a queue that are of")


def _controllers(layout: TaskLayout) -> list[Batch]:
    return Ledger(layout, controller_job.controllers_of(layout)).batches()


def _refuse_other(layout: TaskLayout, path: Path, holder: Holder) -> None:
    owner, ours = path.stat().st_uid, own_uids(path.parent)
    if owner not in ours and os.geteuid():
        raise _others(layout, owner, f"is run by {holder}, of")
    # A lock can name any process.
    for process in _processes([holder]) if holder.is_here and not holder.job else ():
        with suppress(psutil.NoSuchProcess):
            user = process.uids().real
            if user != owner and not (user == os.geteuid() and owner in ours):
                raise RunningError(
                    f"{path}: belongs to {name_of_user(owner)}, but names the process "
                    f"{holder.pid} of {name_of_user(user)}; nothing was stopped."
                )


def _others(layout: TaskLayout, owner: int, how: str) -> RunningError:
    return RunningError(
        f"task {layout.name!r} {how} {name_of_user(owner)}. Ask them to stop it with "
        f"'psy kill {layout.name}'; nothing was changed."
    )


def _jobs_outside_queues(layout: TaskLayout) -> list[Holder]:
    """Return who runs the jobs of a task that no queue runs."""
    return [holder for _, holder in running_jobs(layout) if not holder.job]


def _tasks_run_by(controller: Holder | None, taskdir: Path) -> set[str]:
    if controller is None:
        return set()
    process = (controller.pid, controller.started)
    holders = {
        name: live_holder(layout_of(taskdir, name).lock) for name in find_tasks(taskdir)
    }
    return {
        name
        for name, holder in holders.items()
        if holder is not None and (holder.pid, holder.started) == process
    }


def _state_of_other(layout: TaskLayout) -> str:
    """Return what became of another task of the run that was stopped."""
    jobs = QueueReport.of(layout).text
    if not jobs:
        return "stopped, too, as the same run was on it"
    return (
        f"watched by nobody now, as the same run was on it: {jobs}. Go on with "
        f"'psy run {arguments_in(layout)}', or stop it with 'psy kill {layout.name}'"
    )


def _cancel(layout: TaskLayout, thaw: Thaw) -> int:
    """Cancel the jobs of a task that are queued or running, and return their number."""
    with Lock(layout.lock, f"task {layout.name!r}"):
        # Shows others that this is no run.
        layout.stop.touch()
        found = find_earlier_jobs(layout, None, warn, records=True, thaw=thaw)
        cancelled = [job for one in found for job in one.cancel(lambda _: True, warn)]
        left = find_earlier_jobs(layout, None, warn, records=False, thaw=thaw)
        release_locks(layout, left)
    return len(cancelled)


def _stop_processes(
    layout: TaskLayout, controller: Holder | None, jobs: Sequence[Holder]
) -> None:
    if controller is not None and not (controller.is_here or controller.job):
        _ask_to_stop(layout, controller)
        # What it had run there has ended with it.
        jobs = _jobs_outside_queues(layout)
    for holder in jobs:
        if not holder.is_here:
            raise RunningError(
                f"task {layout.name!r} is run by {holder}. Run 'psy kill "
                f"{layout.name}' on {holder.host}."
            )
    if controller is not None and not controller.is_here:
        controller = None
    if jobs or controller is not None:
        _stop_here(layout, controller)


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


def _stop_here(layout: TaskLayout, controller: Holder | None) -> None:
    """End a run: its controller does it, else its jobs are ended one by one."""
    jobs = _processes(_jobs_outside_queues(layout))
    controllers = _processes([] if controller is None else [controller])
    run = [*jobs, *controllers]
    tree = _ProcessTree(run)
    for process in controllers:
        # Shows it who has ended it.
        layout.stop.touch()
        _signal(process, signal.SIGTERM)
        tree.wait_for(run, _PATIENCE_WITH_CONTROLLER)
    # Snakemake by itself waits for its jobs when it is asked to end.
    later = _processes(_jobs_outside_queues(layout))
    for process in dict.fromkeys([*jobs, *later]):
        _signal(process, signal.SIGTERM)
    tree.wait_for(run, _PATIENCE)
    tree.kill()


def _processes(holders: Iterable[Holder]) -> list[psutil.Process]:
    """Return the processes of holders; never another one with the same number."""
    found = []
    for holder in holders:
        try:
            process = psutil.Process(holder.pid)
        except psutil.NoSuchProcess:
            continue
        if process_start(holder.pid) == holder.started:
            found.append(process)
    return found


class _ProcessTree:
    """Processes of this machine, and all that they started."""

    def __init__(self, roots: Iterable[psutil.Process]) -> None:
        self._members = list(roots)
        # Once a process has ended, nothing shows any more what it had started.
        self._living()

    def _living(self) -> list[psutil.Process]:
        """Return the members that live, after looking for new ones."""
        found: dict[psutil.Process, None] = {}
        for process in self._members:
            if process not in found:
                found |= dict.fromkeys([process, *_descendants(process)])
        self._members = [process for process in found if _lives(process)]
        return self._members

    def wait_for(self, some: Iterable[psutil.Process], seconds: float) -> None:
        """Wait until some of the processes have ended, or the time is over."""
        deadline = time.monotonic() + seconds
        awaited = set(some)
        while awaited.intersection(self._living()) and time.monotonic() < deadline:
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
            for process in living:
                _signal(process, signal.SIGKILL)
            time.sleep(_INTERVAL)
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in living)
                raise RunningError(
                    f"processes {pids} cannot be ended. They may be waiting for a disk "
                    "or a network; try again later."
                )


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    """Whether a process lives; a zombie does not."""
    with suppress(psutil.NoSuchProcess):
        is_zombie = process.status() == psutil.STATUS_ZOMBIE
        return not is_zombie and bool(process.is_running())
    return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as error:
        raise RunningError(
            f"process {process.pid} belongs to somebody else. Ask them to stop the run."
        ) from error
