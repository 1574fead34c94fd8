"""The fork servers of one run, as their controller sees them.

The servers import much, see `psyrun.steps.forkserver`; this module does not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from psyrun.steps.forkclient import address
from psyrun.utils.environment import FOLDER_VARIABLE
from psyrun.utils.process.isolation import isolated
from psyrun.workdir.plan import DEFAULT_PYTHON

_PATIENCE = 5.0  # seconds; a server gives its jobs three of them to end


class ForkServers:
    """The servers of one run, given folder, task file and Python of each task."""

    def __init__(self, tasks: Iterable[tuple[Path, str, str]]) -> None:
        self._folder = tempfile.mkdtemp(prefix="psyrun-")
        self.environment = {FOLDER_VARIABLE: f"{socket.gethostname()}:{self._folder}"}
        self._servers = [self._start(*task) for task in tasks]

    def _start(
        self, task_folder: Path, taskfile: str, python: str
    ) -> subprocess.Popen[bytes]:
        command = sys.executable if python == DEFAULT_PYTHON else python
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # Jobs that come before the import is over wait in the queue.
            listener.bind(address(self._folder, str(task_folder)))
            listener.listen(128)
            descriptor = listener.fileno()
            return subprocess.Popen(
                [
                    *(command, "-P", "-m", "psyrun.steps.forkserver"),
                    *(str(descriptor), taskfile, str(task_folder)),
                ],
                env=isolated(os.environ),
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
                # Out of reach of Ctrl-C: it is the controller who ends the run.
                start_new_session=True,
            )

    @property
    def pids(self) -> list[int]:
        """The processes of the servers, which end by themselves if this one dies."""
        return [server.pid for server in self._servers]

    def stop(self) -> None:
        """End the servers and the jobs that they started."""
        for server in self._servers:
            assert server.stdin is not None
            server.stdin.close()
        for server in self._servers:
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                # It may still be importing the task.
                server.kill()
                server.wait()
        self.remove_folder()

    def remove_folder(self) -> None:
        """Remove the folder of their sockets, when they have ended."""
        shutil.rmtree(self._folder, ignore_errors=True)
