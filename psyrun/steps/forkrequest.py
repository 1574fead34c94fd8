"""What the fork server of a task is asked for: a step, and where to print.

`psyrun.steps.forkclient.Request` is the other side, which imports next to nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from psyrun.errors import refusal_of
from psyrun.steps.command import StepCommand
from psyrun.steps.not_started import record_cause

_HEAD = 4  # bytes before a request that tell its length


@dataclass(frozen=True)
class StepRequest:
    """A step to do: in which folder, with which arguments, and where to print.

    The open files are closed where it is left as a context.
    """

    text: bytes
    streams: Sequence[int]

    @classmethod
    def received(cls, connection: socket.socket) -> StepRequest:
        """Receive a request, see `psyrun.steps.forkclient.Request`.

        Raises `OSError` if the other side left before it was whole.
        """
        head, streams, _, _ = socket.recv_fds(connection, _HEAD, 2)
        request = cls(_receive(connection, int.from_bytes(head, "little")), streams)
        if len(streams) != 2 or len(request.arguments) < 1:
            request.close()
            raise ValueError("is no request")
        return request

    def send(self, connection: socket.socket) -> None:
        """Pass it on."""
        head = len(self.text).to_bytes(_HEAD, "little")
        socket.send_fds(connection, [head], list(self.streams))
        connection.sendall(self.text)

    @property
    def arguments(self) -> list[str]:
        """The arguments of the step, see `psyrun.steps.main.run`."""
        return os.fsdecode(self.text).split("\0")[1:]

    def enter(self) -> None:
        """Go to the folder and print to the files of the request."""
        print_to(*self.streams)
        os.chdir(self.text.split(b"\0")[0])

    def refuse(self, error: OSError) -> None:
        """Record that the step did not begin, as the system refused a process."""
        folder = Path(os.fsdecode(self.text.split(b"\0")[0]))
        step = StepCommand.read(self.arguments)
        step = replace(step, folder=folder / step.folder)
        with suppress(OSError):
            record_cause(step, refusal_of(error))

    def close(self) -> None:
        """Close the open files, once they were handed on or are not needed."""
        for stream in self.streams:
            os.close(stream)

    def __enter__(self) -> StepRequest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the other side left")
        received += piece
    return received


def print_to(*files: int) -> None:
    """Have what is printed go to the first of two files, and errors to the second."""
    for target, file in enumerate(files, start=1):
        os.dup2(file, target)
