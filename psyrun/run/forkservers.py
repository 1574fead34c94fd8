"""The fork servers of one run, as their controller sees them.

The servers import much, see `psyrun.steps.forkserver`; this module does not.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from psyrun.run.own_folders import new_folder, parents, remove_all_abandoned
from psyrun.steps.forkclient import address
from psyrun.utils.environment import FOLDER_VARIABLE, TMPDIR_VARIABLE
from psyrun.utils.process.isolation import isolated
from psyrun.workdir.plan import DEFAULT_PYTHON

_LONGEST = 90  # bytes of the folder of a socket, whose path has 104 at most on macOS
_PATIENCE = 5.0  # seconds; a server gives its jobs three of them to end


def _new_folder() -> str:
    """Return a new folder for sockets; empty if there can be none.

    Then each job is a process of its own.
    """
    remove_all_abandoned()
    for parent in parents():
        with suppress(OSError):
            folder = new_folder(parent)
            if len(os.fsencode(folder)) <= _LONGEST:
                return folder
            shutil.rmtree(folder)
    return ""


class ForkServers:
    """The servers of one run, given folder, task file and Python of each task.

    By the folder of a task, `settings` has what is added to the environment of its
    server.
    """

    def __init__(
        self,
        tasks: Iterable[tuple[Path, str, str]],
        settings: Mapping[Path, Mapping[str, str]] | None = None,
    ) -> None:
        self._settings = settings or {}
        self._folder = _new_folder()
        self.environment: dict[str, str] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        if self._folder:
            where = f"{socket.gethostname()}:{self._folder}"
            self.environment = {FOLDER_VARIABLE: where}
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
                env=isolated({**os.environ, **self._settings.get(task_folder, {})}),
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
                # Out of reach of Ctrl-C: it is the controller who ends the run.
                start_new_session=True,
            )

    @property
    def own_folder(self) -> tuple[dict[str, str], list[str]]:
        """Environment and arguments by which Snakemake's own files are in the folder.

        So they go with it, even if Snakemake is killed.
        """
        if not self._folder:
            return {}, []
        user = {TMPDIR_VARIABLE: os.environ.get("TMPDIR", "")}
        cache = str(Path(self._folder, "cache"))
        return {**user, "TMPDIR": self._folder}, ["--runtime-source-cache-path", cache]

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
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
