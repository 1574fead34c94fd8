"""How a job finds and uses the fork server of its task.

This module imports little, because it is started once for each job.
"""

import os
import sys

# Holds HOST:FOLDER. Jobs on other machines may inherit it.
FOLDER_VARIABLE = "PSYRUN_FORKSERVERS"
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
    import zlib

    return f"{folder}/{zlib.crc32(os.path.realpath(task_folder).encode()):08x}"


def ask(arguments: list[str]) -> int | None:
    """Have a warm process run a step.

    Parameters
    ----------
    arguments : list of str
        The step, the frozen space and, for ``process``, the block.

    Returns
    -------
    int or None
        The exit status of the step; None where this machine has no server
        for it, so that the step has to be run here.
    """
    import json
    import socket

    host, _, folder = os.environ.get(FOLDER_VARIABLE, "").partition(":")
    if host != socket.gethostname() or len(arguments) < 2:
        return None
    task_folder = os.path.dirname(os.path.dirname(arguments[1]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(address(folder, task_folder))
            request = json.dumps([os.getcwd(), arguments]).encode()
            streams = [sys.stdout.fileno(), sys.stderr.fileno()]
            socket.send_fds(connection, [len(request).to_bytes(4, "little")], streams)
            connection.sendall(request)
            answer = connection.recv(1)
        except OSError:
            answer = b""
    if not answer:
        # Running the step here would outlive the run that it belongs to.
        print("the run that this job belongs to has ended", file=sys.stderr)
        return _DIED
    return answer[0]
