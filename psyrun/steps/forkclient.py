"""How a job finds and uses the fork server of its task.

A job may be a process of its own, so this module imports next to nothing:
`socket` alone would take as long as all the rest of the start of Python.
"""

from __future__ import annotations

import _socket
import os
import sys
import zlib
from array import array

from psyrun.utils.environment import FOLDER_VARIABLE

_DIED = 70  # EX_SOFTWARE of sysexits.h


def address(folder: str, task_folder: str) -> str:
    """Return the path of the socket of a task's server, in the folder of its run.

    It is short, as sockets allow for about 100 characters only.
    """
    return f"{folder}/{zlib.crc32(os.fsencode(os.path.realpath(task_folder))):08x}"


def server_address(arguments: list[str]) -> str | None:
    """Return the socket of the server for a step, see `psyrun.steps.main.run`.

    None where this run has no server for the task on this machine, so that the step
    has to be run in a process of its own.
    """
    host, _, folder = os.environ.get(FOLDER_VARIABLE, "").partition(":")
    if host != _socket.gethostname() or len(arguments) < 2:
        return None
    path = address(folder, arguments[1])
    # The folder is removed after the run. Tasks for a queue have no socket in it.
    return None if os.path.isdir(folder) and not os.path.exists(path) else path


class Request:
    """A step that the server at the socket `path` was asked to run.

    `output` is the descriptor that takes the step's output and errors. Raises
    `OSError` if there is no server any more.
    """

    def __init__(self, path: str, arguments: list[str], output: int) -> None:
        text = os.fsencode("\0".join([os.getcwd(), *arguments]))
        streams = array("i", [output, output])
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)
        self._connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._connection.connect(path)
        self._connection.sendmsg([len(text).to_bytes(4, "little")], [rights])
        self._connection.sendall(text)

    def wait(self) -> int:
        """Return the exit status; raise `OSError` if the server ends before."""
        answer = self._connection.recv(1)
        self._connection.close()
        if not answer:
            raise ConnectionError("the run that this job belongs to has ended")
        return answer[0]

    def cancel(self) -> None:
        """Have the server end the step."""
        self._connection.shutdown(_socket.SHUT_RDWR)


def ask(arguments: list[str]) -> int | None:
    """Have a server run a step and return its exit status; None if there is none."""
    path = server_address(arguments)
    if path is None:
        return None
    try:
        return Request(path, arguments, sys.stdout.fileno()).wait()
    except OSError as error:
        # Running the step here would outlive the run that it belongs to.
        print(error, file=sys.stderr)
        return _DIED
