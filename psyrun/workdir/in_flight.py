"""What each worker of a job evaluates at the moment, for when it dies."""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_SLOT = struct.Struct("<qqq")
_IDLE = -1


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a worker is at.

    Attributes
    ----------
    index : int
        The assignment that it evaluates.
    position, end : int
        Position of that in the work of the job, and where its range ends.
    """

    index: int
    position: int
    end: int


class InFlightTable:
    """Memory that the workers of a job share with it, kept in a file.

    The file outlives the job: the next one finds in it which evaluations were
    cut off.

    Parameters
    ----------
    path : Path
        The file.
    n_workers : int
        Number of workers.
    """

    def __init__(self, path: Path, n_workers: int) -> None:
        idle = _SLOT.pack(_IDLE, 0, 0) * n_workers
        # Written, not only made longer: a full disk must show here, as an error,
        # rather than kill the worker that writes to the memory later.
        path.write_bytes(idle)
        file = os.open(path, os.O_RDWR)
        try:
            self._memory = mmap.mmap(file, len(idle))
        finally:
            os.close(file)

    def note(self, worker: int, index: int, position: int, end: int) -> None:
        """Note that a worker begins with an assignment."""
        _SLOT.pack_into(self._memory, worker * _SLOT.size, index, position, end)

    def clear(self, worker: int) -> None:
        """Note that a worker is at nothing."""
        self.note(worker, _IDLE, 0, 0)

    def get(self, worker: int) -> InFlight | None:
        """Return what a worker is at, None if that is nothing."""
        slot = InFlight(*_SLOT.unpack_from(self._memory, worker * _SLOT.size))
        return None if slot.index == _IDLE else slot

    def close(self) -> None:
        """Give the memory back; the file stays."""
        self._memory.close()


def interrupted(path: Path) -> list[int]:
    """Return the assignments that were evaluated when a job was killed."""
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        whole = data[: len(data) - len(data) % _SLOT.size]
        return [index for index, *_ in _SLOT.iter_unpack(whole) if index != _IDLE]
    return []
