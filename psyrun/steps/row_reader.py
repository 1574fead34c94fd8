"""A process that reads rows as the merge will: in it, no `setup` has run.

`setup` may import modules and register classes, without which a row cannot be
unpickled. Whatever becomes of this process is no fault of a row: the job reads all
rows once more before it writes its block.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import NoReturn

from psyrun.utils.process.basics import (
    fork,
    holding_signals,
    prepare_forked_process,
)
from psyrun.workdir.row_pickles import reading_error

_SIZE = 8  # bytes of the length before each message


class RowReader:
    """The reader of one worker, both forked from the same job."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid

    @classmethod
    def start(cls) -> RowReader:
        """Fork a reader; it ends with those that hold this end of its connection."""
        parent = os.getpid()
        ours, theirs = socket.socketpair()
        with holding_signals():
            pid = fork()
            if pid == 0:
                ours.close()
                _serve(theirs, parent)
        theirs.close()
        return cls(ours, pid)

    def __call__(self, payload: bytes) -> str:
        """Return why a pickle cannot be read there, empty if it can."""
        try:
            _send(self._connection, payload)
            return _receive(self._connection).decode()
        except OSError:
            return reading_error(payload)

    def close(self) -> None:
        """Close this end of the connection in this process."""
        self._connection.close()


def _serve(connection: socket.socket, parent: int) -> NoReturn:
    try:
        prepare_forked_process(parent)
        with suppress(OSError):
            while True:
                cause = reading_error(_receive(connection))
                _send(connection, cause.encode(errors="backslashreplace"))
    finally:
        os._exit(0)


def _send(connection: socket.socket, message: bytes) -> None:
    connection.sendall(len(message).to_bytes(_SIZE, "little") + message)


def _receive(connection: socket.socket) -> bytes:
    size = int.from_bytes(_received(connection, _SIZE), "little")
    return _received(connection, size)


def _received(connection: socket.socket, size: int) -> bytes:
    pieces: list[bytes] = []
    while size:
        piece = connection.recv(min(size, 1 << 16))
        if not piece:
            raise ConnectionError("the other end left")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
