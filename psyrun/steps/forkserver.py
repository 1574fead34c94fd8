"""A process that has imported a task once and forks a copy for each job.

Starting Python and importing a task file (with NumPy, PyTorch, …) takes much
longer than a small job. So whoever controls a local run starts one server for
each task. It imports the task file while Snakemake starts, and then answers
the jobs of the run, see `psyrun.steps.forkclient`.

The server and all jobs it started end when the end of a pipe that the
controller holds is closed, by whatever the controller dies of.

Usage: ``python -P -m psyrun.steps.forkserver DESCRIPTOR TASKFILE``, with a listening
socket as that descriptor and that pipe as standard input.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from psyrun.errors import PsyrunError
from psyrun.steps.job import ImportedTask
from psyrun.steps.main import run
from psyrun.utils.environment import FOLDER_VARIABLE
from psyrun.utils.process.basics import end_threads, prepare_forked_process
from psyrun.utils.process.ending import forget_parent, leave, prepare_forks
from psyrun.utils.process.isolation import isolate, isolated
from psyrun.utils.process.offspring import (
    adopt_orphans,
    children,
    end_strays,
    outlive_offspring,
)

_GRACE = 3.0  # seconds between asking a job to end and killing it


def main(descriptor: str, taskfile: str) -> None:
    """Serve the jobs of one task until the controller ends."""
    isolate()
    listener = socket.socket(fileno=int(descriptor))
    outlive_offspring()
    task = None
    # The job that imports the task again reports the error.
    with suppress(PsyrunError):
        task = ImportedTask.load(taskfile)
    end_threads()
    prepare_forks()
    gc.collect()
    gc.freeze()
    _Server(listener, task).serve()


@dataclass
class _Job:
    connection: socket.socket
    is_cancelled: bool = False


@dataclass
class _Server:
    listener: socket.socket
    task: ImportedTask | None
    jobs: dict[int, _Job] = field(default_factory=dict)
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
            self._end_jobs()

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        with suppress(OSError, ValueError):
            head, streams, _, _ = socket.recv_fds(connection, 4, 2)
            request = _receive(connection, int.from_bytes(head, "little"))
            folder, step, *arguments = os.fsdecode(request).split("\0")
            self._start(connection, folder, [step, *arguments], streams)
            for stream in streams:
                os.close(stream)
            return
        connection.close()

    def _start(
        self,
        connection: socket.socket,
        folder: str,
        arguments: list[str],
        streams: list[int],
    ) -> None:
        server = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _be_job(self, server, folder, arguments, streams)
        self.jobs[pid] = _Job(connection)
        self.selector.register(
            connection, selectors.EVENT_READ, lambda: self._client_left(pid)
        )

    def _client_left(self, pid: int) -> None:
        """End a job whose client was killed: nobody waits for it any more."""
        job = self.jobs.get(pid)
        if job is None or job.is_cancelled:
            # The job ended at the same moment.
            return
        self.selector.unregister(job.connection)
        job.is_cancelled = True
        _signal_group(pid, signal.SIGTERM)

    def _reap(self, wake: socket.socket) -> None:
        wake.recv(4096)
        for pid in list(self.jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                job = self.jobs.pop(pid)
                self._end_strays()
                self._answer(job, os.waitstatus_to_exitcode(status))

    def _end_strays(self) -> None:
        """End what jobs started that have ended.

        What the import of the task started is of this session, which jobs are not.
        """
        found = set(children()) - self.jobs.keys()
        if found:
            session = os.getsid(0)
            own = [pid for pid in found if _session_of(pid) == session]
            end_strays({*self.jobs, *own})

    def _answer(self, job: _Job, code: int) -> None:
        if not job.is_cancelled:
            self.selector.unregister(job.connection)
            with suppress(OSError):
                # As the status of a shell whose child was ended by a signal.
                job.connection.sendall(bytes([code if code >= 0 else 128 - code]))
        job.connection.close()

    def _end_jobs(self) -> None:
        signal.set_wakeup_fd(-1)
        # Nothing is to interrupt what is done from here on.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for pid in self.jobs:
            _signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for pid in self.jobs:
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


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the client left")
        received += piece
    return received


def _be_job(
    server: _Server, parent: int, folder: str, arguments: list[str], streams: list[int]
) -> NoReturn:
    """Run a step in a process that was just forked."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        prepare_forked_process(parent)
        forget_parent()
        adopt_orphans()
        server.listener.close()
        for target, stream in enumerate([os.open(os.devnull, os.O_RDONLY), *streams]):
            os.dup2(stream, target)
        os.chdir(folder)
        if server.task is not None and not server.task.is_forkable_for(arguments[0]):
            # What the import holds locked or open is not for copies.
            os.environ.pop(FOLDER_VARIABLE, None)
            command = [sys.executable, "-P", "-m", "psyrun.steps", *arguments]
            os.execve(sys.executable, command, isolated(os.environ))
        code = run(arguments, server.task)
    finally:
        leave(code)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
