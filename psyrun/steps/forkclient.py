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
    """Return the path of the socket of a task's server.

    Parameters
    ----------
    folder : str
        The folder for all sockets of this run.
    task_folder : str
        The folder of the task.

    Returns
    -------
    str
        A short path: sockets allow for about 100 characters only.
    """
    return f"{folder}/{zlib.crc32(os.path.realpath(task_folder).encode()):08x}"


def server_address(arguments: list[str]) -> str | None:
    """Return the socket of the server for a step.

    Parameters
    ----------
    arguments : list of str
        The step, the folder of the task, the round and, for ``process``, the block.

    Returns
    -------
    str or None
        Path of the socket; None where this run has no server for the task on
        this machine, so that the step has to be run in a process of its own.
    """
    host, _, folder = os.environ.get(FOLDER_VARIABLE, "").partition(":")
    if host != _socket.gethostname() or len(arguments) < 2:
        return None
    path = address(folder, arguments[1])
    # The folder is gone with the run. Tasks for a queue never had a socket in it.
    return None if os.path.isdir(folder) and not os.path.exists(path) else path


class Request:
    """A step that a server was asked to run.

    Parameters
    ----------
    path : str
        The socket of the server.
    arguments : list of str
        The step and its arguments.
    output : int
        Descriptor that takes the step's output and errors.

    Raises
    ------
    OSError
        If there is no server any more.
    """

    def __init__(self, path: str, arguments: list[str], output: int) -> None:
        text = "\0".join([os.getcwd(), *arguments]).encode()
        streams = array("i", [output, output])
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)
        self._connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._connection.connect(path)
        self._connection.sendmsg([len(text).to_bytes(4, "little")], [rights])
        self._connection.sendall(text)

    def wait(self) -> int:
        """Return the exit status of the step.

        Raises
        ------
        OSError
            If the server ended before the step did.
        """
        answer = self._connection.recv(1)
        self._connection.close()
        if not answer:
            raise ConnectionError("the run that this job belongs to has ended")
        return answer[0]

    def cancel(self) -> None:
        """Have the server end the step."""
        self._connection.shutdown(_socket.SHUT_RDWR)


def ask(arguments: list[str]) -> int | None:
    """Have a warm process run a step.

    Parameters
    ----------
    arguments : list of str
        The step and its arguments.

    Returns
    -------
    int or None
        The exit status of the step; None where this machine has no server
        for it, so that the step has to be run here.
    """
    path = server_address(arguments)
    if path is None:
        return None
    try:
        return Request(path, arguments, sys.stdout.fileno()).wait()
    except OSError as error:
        # Running the step here would outlive the run that it belongs to.
        print(error, file=sys.stderr)
        return _DIED
