"""The fork servers of one run, as their controller sees them.

The servers import much, see `psyrun.steps.forkserver`; this module does not.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from psyrun.errors import PsyrunError
from psyrun.steps.forkclient import address
from psyrun.utils.environment import FOLDER_VARIABLE
from psyrun.utils.files import write_json
from psyrun.utils.process.isolation import isolated
from psyrun.workdir.holder import Holder, is_live, recorded_holder
from psyrun.workdir.plan import DEFAULT_PYTHON

_PREFIX, _HOLDER = "psyrun-", "holder"
_LONGEST = 90  # bytes of the folder of a socket, whose path has 104 at most on macOS
_PATIENCE = 5.0  # seconds; a server gives its jobs three of them to end


def _new_folder() -> str:
    """Return a new folder for sockets; empty if there can be none.

    Then each job is a process of its own.
    """
    for parent in _parents():
        with suppress(OSError):
            _remove_abandoned(Path(parent))
            folder = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
            if len(os.fsencode(folder)) > _LONGEST:
                os.rmdir(folder)  # noqa: PTH106
                continue
            write_json(Path(folder, _HOLDER), asdict(Holder.me()))
            return folder
    return ""


def _parents() -> Iterator[str]:
    # The usual one may be in the depth of a user's folders.
    with suppress(OSError):
        yield tempfile.gettempdir()
    yield from ("/tmp", "/var/tmp")


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of this user's runs that were killed, on this system."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, PsyrunError):
            status = folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            path = folder / _HOLDER
            holder = recorded_holder(path)
            if holder is not None and holder.is_here and not is_live(holder, path):
                shutil.rmtree(folder, ignore_errors=True)


class ForkServers:
    """The servers of one run, given folder, task file and Python of each task."""

    def __init__(self, tasks: Iterable[tuple[Path, str, str]]) -> None:
        self._folder = _new_folder()
        self.environment: dict[str, str] = {}
        self._servers: list[subprocess.Popen[bytes]] = []
        if self._folder:
            place = f"{socket.gethostname()}:{self._folder}"
            self.environment = {FOLDER_VARIABLE: place}
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
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
