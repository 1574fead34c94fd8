"""A process that has imported a task once, and has copies of it do the jobs.

Starting Python and importing a task file (with NumPy, PyTorch, …) takes much
longer than a small job. So whoever controls a local run starts one server for
each task. It imports the task file while Snakemake starts, and then answers
the jobs of the run, see `psyrun.steps.forkclient`.

A copy that has evaluated a block goes on with the next one, as a fork is dear:
each page of memory that it touches first has to be copied. It runs none of the user's
code, which its workers do. Other steps have a copy of their own.

The server and all copies end when the end of a pipe that the
controller holds is closed, by whatever the controller dies of.

Usage: ``python -P -m psyrun.steps.forkserver DESCRIPTOR TASKFILE FOLDER``, with a
listening socket as that descriptor, the folder of the task, and that pipe as standard
input.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from psyrun.errors import PsyrunError, SpaceWarning, refusal_of
from psyrun.steps.forkcopy import NOTHING, do_all, do_only
from psyrun.steps.forkrequest import StepRequest
from psyrun.steps.job import ImportedTask
from psyrun.steps.not_started import STATUS as NOT_STARTED_STATUS
from psyrun.steps.watchdog import Watchdog
from psyrun.utils.former import FORMER
from psyrun.utils.process.basics import (
    end_threads,
    fork,
    holding_signals,
    log_line,
    prepare_forked_process,
)
from psyrun.utils.process.ending import forget_parent, leave, prepare_forks
from psyrun.utils.process.isolation import isolate
from psyrun.utils.process.offspring import (
    adopt_orphans,
    children,
    end_offspring,
    end_strays,
    outlive_offspring,
)
from psyrun.utils.streams import receive_signals
from psyrun.workdir.layout import PROCESS, TaskLayout
from psyrun.workdir.plan import Plan

_GRACE = 3.0  # seconds between asking a job to end and killing it
_PIPE = 0  # standard input, which the controller holds open
_PAUSE = 0.5  # seconds between two looks at it

_NEEDED_LATE = (
    "psyrun.pspace.freezing",
    "psyrun.workdir.progressions",
    "psyrun.store.pickle_count",
    "psyrun.store.pickle_picking",
    "psyrun.tasks.provenance",
    "psyrun.workdir.result_metadata",
)
"""What jobs need and only what may be without NumPy imports late.

They may go on when the Python that they were started with is gone."""


def main(descriptor: str, taskfile: str, folder: str) -> None:
    """Serve the jobs of one task until the controller ends."""
    try:
        _serve(descriptor, taskfile, folder)
    except Exception as error:
        refusal = refusal_of(error)
        if not refusal:
            raise
        # Jobs that come find nobody, and say so.
        log_line(f"psy: the process that starts jobs of {taskfile} ended: {refusal}")
        leave(1)


def _serve(descriptor: str, taskfile: str, folder: str) -> None:
    isolate()
    receive_signals()
    for name in _NEEDED_LATE:
        importlib.import_module(name)
    listener = socket.socket(fileno=int(descriptor))
    outlive_offspring()
    # Who starts a run has been told.
    warnings.filterwarnings("ignore", FORMER, FutureWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"psyrun\.")
    warnings.filterwarnings("ignore", category=SpaceWarning)
    task = None
    # The job that imports the task again reports the error.
    with suppress(PsyrunError), _import_watchdog(folder), _ending_with_controller():
        task = ImportedTask.load(taskfile)
    end_threads()
    prepare_forks()
    gc.collect()
    gc.freeze()
    _Server(listener, task).serve()


def _import_watchdog(folder: str) -> AbstractContextManager[object]:
    layout = TaskLayout(Path(folder).absolute())
    plan = Plan.load(layout)
    if plan is None:
        return nullcontext()
    note = layout.round(plan.round).hanging_of("import")
    return Watchdog(note, lambda: "in the import of the task file", has_log=False)


@contextmanager
def _ending_with_controller() -> Iterator[None]:
    """End this process if the controller ends while the body goes on for too long."""
    is_over = threading.Event()
    thread = threading.Thread(target=_wait_for_end, args=(is_over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _wait_for_end(is_over: threading.Event) -> None:
    # The import may close the pipe.
    with suppress(OSError):
        while not select.select([_PIPE], [], [], 0)[0]:
            if is_over.wait(_PAUSE):
                return
        if not is_over.wait(_GRACE):
            end_offspring()
            os._exit(1)


@dataclass
class _Copy:
    """A copy of the server: it does one step, or several one after the other.

    Attributes
    ----------
    client : socket or None
        Whoever waits for the step that it does now; None while there is none.
    channel : socket or None
        By which it is given steps; None if it ends after its first one.
    """

    client: socket.socket | None
    channel: socket.socket | None = None
    is_cancelled: bool = False


@dataclass
class _Server:
    listener: socket.socket
    task: ImportedTask | None
    copies: dict[int, _Copy] = field(default_factory=dict)
    idle: list[int] = field(default_factory=list)
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self) -> None:
        wake, wake_end = socket.socketpair()
        wake_end.setblocking(False)
        signal.set_wakeup_fd(wake_end.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(wake, selectors.EVENT_READ, lambda: self._reap(wake))
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, sys.exit)
        try:
            while True:
                for key, _ in self.selector.select():
                    key.data()
        finally:
            self._end_copies()

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        with suppress(OSError, ValueError), StepRequest.received(client) as request:
            try:
                self._start(client, request)
            except OSError as error:
                request.refuse(error)
                client.sendall(bytes([NOT_STARTED_STATUS]))
            else:
                return
        client.close()

    def _start(self, client: socket.socket, request: StepRequest) -> None:
        is_warm = request.arguments[0] == PROCESS and self._is_forkable_for(PROCESS)
        if is_warm:
            pid = self.idle.pop() if self.idle else self._fork_warm(request)
            copy = self.copies[pid]
            copy.client = client
            assert copy.channel is not None
            # Where it has just been killed, that is told when it is reaped.
            with suppress(OSError):
                request.send(copy.channel)
        else:
            pid = self._fork(lambda: do_only(request, self.task))
            self.copies[pid] = _Copy(client)
        self.selector.register(
            client, selectors.EVENT_READ, lambda: self._client_left(pid, client)
        )

    def _is_forkable_for(self, step: str) -> bool:
        return self.task is not None and self.task.is_forkable_for(step)

    def _fork_warm(self, first: StepRequest) -> int:
        """Start a copy that does one step after the other."""
        ours, theirs = socket.socketpair()

        def act() -> int:
            ours.close()
            # It is sent to the copy as all others are.
            first.close()
            return do_all(theirs, self.task)

        try:
            pid = self._fork(act)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.copies[pid] = _Copy(None, ours)
        self.selector.register(ours, selectors.EVENT_READ, lambda: self._done(pid))
        return pid

    def _fork(self, act: Callable[[], int]) -> int:
        server = os.getpid()
        with holding_signals():
            pid = fork()
            if pid == 0:
                self._be_copy(server, act)
        return pid

    def _be_copy(self, server: int, act: Callable[[], int]) -> NoReturn:
        """Do something in a process that was just forked, and end it."""
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            prepare_forked_process(server)
            forget_parent()
            if self.task is not None:
                self.task.obstacles.forget_handlers()
            adopt_orphans()
            self.listener.close()
            for other in self.copies.values():
                for connection in (other.client, other.channel):
                    if connection is not None:
                        connection.close()
            os.dup2(os.open(os.devnull, os.O_RDWR), NOTHING)
            code = act()
        finally:
            leave(code)

    def _client_left(self, pid: int, client: socket.socket) -> None:
        """End a step whose client was killed: nobody waits for it any more."""
        copy = self.copies.get(pid)
        if copy is None or copy.client is not client or copy.is_cancelled:
            # The step ended at the same moment.
            return
        self.selector.unregister(client)
        copy.is_cancelled = True
        _signal_group(pid, signal.SIGTERM)

    def _done(self, pid: int) -> None:
        """Take the answer of a copy that is ready for the next step."""
        copy = self.copies.get(pid)
        if copy is None or copy.channel is None:
            # It was reaped at the same moment.
            return
        with suppress(OSError):
            if copy.channel.recv(1):
                if not copy.is_cancelled:
                    self._answer(copy, 0)
                    self.idle.append(pid)
                return
        # It ends, and its exit status is to follow.
        self.selector.unregister(copy.channel)

    def _reap(self, wake: socket.socket) -> None:
        wake.recv(4096)
        for pid in list(self.copies):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._end_strays()
                self._forget(pid, os.waitstatus_to_exitcode(status))

    def _forget(self, pid: int, code: int) -> None:
        copy = self.copies.pop(pid)
        if pid in self.idle:
            self.idle.remove(pid)
        if copy.client is not None:
            self._answer(copy, code)
        if copy.channel is not None:
            with suppress(KeyError):
                self.selector.unregister(copy.channel)
            copy.channel.close()

    def _end_strays(self) -> None:
        """End what jobs started that have ended.

        What the import of the task started is of this session, which jobs are not.
        """
        found = set(children()) - self.copies.keys()
        if found:
            session = os.getsid(0)
            own = [pid for pid in found if _session_of(pid) == session]
            end_strays({*self.copies, *own})

    def _answer(self, copy: _Copy, code: int) -> None:
        """Tell the client the exit status of its step."""
        client, copy.client = copy.client, None
        assert client is not None
        if not copy.is_cancelled:
            self.selector.unregister(client)
            with suppress(OSError):
                # As the status of a shell whose child was ended by a signal.
                client.sendall(bytes([code if code >= 0 else 128 - code]))
        client.close()

    def _end_copies(self) -> None:
        signal.set_wakeup_fd(-1)
        # Nothing is to interrupt what is done from here on.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for pid, copy in self.copies.items():
            if copy.client is None and copy.channel is not None:
                # It ends by itself, with all that is to be done at its end.
                copy.channel.close()
            else:
                _signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for pid in self.copies:
            if not _has_ended(pid, deadline):
                _signal_group(pid, signal.SIGKILL)
        self._end_strays()


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _has_ended(pid: int, deadline: float) -> bool:
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return True
        time.sleep(0.01)
    return False


def _signal_group(pid: int, number: signal.Signals) -> None:
    # The job itself first: it may not have got as far as having a group.
    for signal_to in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):
            signal_to(pid, number)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
