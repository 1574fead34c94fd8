"""Which assignments are in flight: what each worker of a job evaluates now."""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psyrun.utils.files import read_bytes

_RECORD = struct.Struct("<qqq")
_IDLE = -1
_ENDED = -2  # the position is the exit status then


@dataclass(frozen=True, slots=True)
class InFlight:
    """What a worker evaluates.

    Attributes
    ----------
    index : int
        The assignment.
    position, end : int
        Its position in the work of the job, and where the worker's range ends.
    """

    index: int
    position: int
    end: int


class InFlightTable:
    """Memory that the workers of a job share with it, kept in a file.

    The file outlives the job, so that the next one can tell which evaluations were
    interrupted.
    """

    def __init__(self, path: Path, n_workers: int) -> None:
        idle = _RECORD.pack(_IDLE, 0, 0) * n_workers
        # Written, not only made longer: a full disk must show here, as an error,
        # rather than kill the worker that writes to the memory later.
        path.write_bytes(idle)
        self._memory = _shared_memory(path)

    @classmethod
    def of_job(cls, path: Path) -> InFlightTable:
        """Return the table that a job has made, for a worker that is no copy of it."""
        table = cls.__new__(cls)
        table._memory = _shared_memory(path)
        return table

    def set(self, worker: int, index: int, position: int, end: int) -> None:
        """Note that a worker begins with an assignment."""
        _RECORD.pack_into(self._memory, worker * _RECORD.size, index, position, end)

    def clear(self, worker: int) -> None:
        """Note that a worker evaluates nothing."""
        self.set(worker, _IDLE, 0, 0)

    def get(self, worker: int) -> InFlight | None:
        """Return what a worker evaluates."""
        record = _RECORD.unpack_from(self._memory, worker * _RECORD.size)
        return None if record[0] < 0 else InFlight(*record)

    def end(self, worker: int, code: int) -> None:
        """Note that a worker has done its work, and with which exit status it ends."""
        self.set(worker, _ENDED, code, 0)

    def exit_status(self, worker: int) -> int | None:
        """Return the exit status of a worker that has done its work."""
        index, code, _ = _RECORD.unpack_from(self._memory, worker * _RECORD.size)
        return code if index == _ENDED else None

    def close(self) -> None:
        """Give the memory back; the file stays."""
        self._memory.close()


def _shared_memory(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(file, 0)
    finally:
        os.close(file)


def slots(path: Path) -> list[InFlight | None]:
    """Return what each worker of a job was evaluating when the job ended."""
    with suppress(FileNotFoundError):
        data = read_bytes(path)
        whole = data[: len(data) - len(data) % _RECORD.size]
        records = _RECORD.iter_unpack(whole)
        return [None if one[0] < 0 else InFlight(*one) for one in records]
    return []


def interrupted(path: Path) -> list[int]:
    """Return the assignments that were evaluated when a job was killed."""
    return [slot.index for slot in slots(path) if slot is not None]
