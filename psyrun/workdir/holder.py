"""Processes that hold something, such as a lock: which they are, and if they live.

On the same system, whose table of processes can be looked at, a holder is gone as soon
as its process is. From elsewhere (another machine, another container, or before a new
start of the machine) its heartbeat decides: the time of modification of its file, which
a holder renews every `HEARTBEAT` seconds. That is compared with the time that the file
system gives to a file that is written now, as clocks of machines differ.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from psyrun.errors import PsyrunError
from psyrun.utils.environment import JOB_VARIABLE
from psyrun.utils.leftovers import probe
from psyrun.utils.process.identity import UNSEEN, boot, process_start, process_table

HEARTBEAT = 20.0
EXPIRY = 300.0
_MOST_AHEAD = 60.0  # seconds that clocks of a disk and its users may differ
_NAME = re.compile(r"[\w.:]{0,64}", re.ASCII)  # it becomes part of that of a file
_MOST = 1 << 16  # bytes of a record
_FORMERLY_UNSEEN = "alive"  # on macOS, in records of former versions
_LOOKS, _PAUSE = 10, 0.05  # until a file that stays empty is taken for what it is


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes
    ----------
    started : str
        When that process started, as the system tells it: a process number
        that was used again does not pass for the holder.
    since : float
        When the lock was taken, in seconds since the epoch.
    job : str
        The job of a queue that the process belongs to; empty if none. Where
        the queue says that it ended, the lock is stale at once.
    boot, table : str
        Of which boot of a system, and of which of its tables of processes, the process
        is; empty if unknown, as in files of former versions.
    token : str
        Text that nobody else has who took a lock, not even the same process.
    """

    host: str
    pid: int
    started: str
    since: float
    job: str = ""
    boot: str = ""
    table: str = ""
    token: str = ""

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        where = f"{self.host}, in another container or machine of that name,"
        is_clear = self.is_here or self.host != socket.gethostname()
        return f"process {self.pid} on {self.host if is_clear else where} since {since}"

    @property
    def is_here(self) -> bool:
        """Whether the holder is among the processes that can be seen from here."""
        if self.host != socket.gethostname():
            return False
        is_known = self.boot and boot()
        return not is_known or (self.boot, self.table) == (boot(), process_table())

    @classmethod
    def me(cls) -> Holder:
        """Return this process as a holder."""
        pid, job = os.getpid(), os.environ.get(JOB_VARIABLE, "")
        started, token = process_start(pid) or UNSEEN, secrets.token_hex(8)
        place = {"boot": boot(), "table": process_table()}
        host = socket.gethostname()
        return cls(host, pid, started, time.time(), job, token=token, **place)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Holder:
        """Return the holder that a record names; what a later version adds is left out.

        Raises `ValueError` if it is no such record.
        """
        if not isinstance(record, Mapping):
            raise ValueError("is no record of a process")
        known = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        try:
            holder = cls(**known)
        except TypeError:
            raise ValueError("lacks what names a process") from None
        if not holder._is_sound:
            raise ValueError("has entries of other types than expected")
        return holder

    @property
    def _is_sound(self) -> bool:
        texts = (self.host, self.started, self.job, self.boot, self.table, self.token)
        return (
            all(isinstance(text, str) and text.isprintable() for text in texts)
            and all(_NAME.fullmatch(text) for text in (self.started, self.token))
            and type(self.pid) is int
            and self.pid > 0
            and type(self.since) in (int, float)
            and math.isfinite(self.since)
            and abs(self.since) < 1e11
        )

    def is_same_process(self, other: Holder | None) -> bool:
        """Whether another lock is held by the same process, whenever it took that."""
        keys = ("host", "pid", "started", "boot", "table")
        return other is not None and all(
            getattr(self, key) == getattr(other, key) for key in keys
        )


def recorded_holder(path: Path) -> Holder | None:
    """Return the holder that a lock names, whether that process lives or not.

    Raises `PsyrunError` for a file that is no lock.
    """
    try:
        return Holder.of_record(json.loads(_content(path)))
    except FileNotFoundError:
        if path.is_symlink():
            raise _no_lock(path) from None
        return None
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise _no_lock(path) from error


def _no_lock(path: Path) -> PsyrunError:
    return PsyrunError(
        f"{path}: is not a lock of psyrun; delete the file if nobody runs the task."
    )


def _content(path: Path) -> bytes:
    # A pipe with nobody at its other end does not keep a reader waiting then.
    for _ in range(_LOOKS):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if found := os.read(file, _MOST):
                return found
        finally:
            os.close(file)
        # Where there are no links, it is empty for a moment.
        time.sleep(_PAUSE)
    return b""


def is_live(holder: Holder, path: Path) -> bool:
    """Whether the process lives that wrote a file, or that renewed it lately."""
    if holder.is_here:
        started = process_start(holder.pid)
        # What is hidden from this user is not gone, nor what did not see itself.
        unknown = (UNSEEN, _FORMERLY_UNSEEN)
        is_comparable = started not in unknown and holder.started not in unknown
        return started is not None and (started == holder.started or not is_comparable)
    try:
        # It lies in the future where a clock was set back, see `correct_heartbeat`.
        return heartbeat_age(path) < EXPIRY
    except FileNotFoundError:
        return False


def heartbeat_age(path: Path) -> float:
    """Return how long ago a file was renewed, in seconds, by the clock of its disk.

    Raises `OSError` if it cannot be looked at.
    """
    renewed = path.stat().st_mtime
    return time.time() + _clock_offset(path.parent) - renewed


def correct_heartbeat(path: Path) -> None:
    """Let a heartbeat of the future be one of now, from which on it can expire.

    The clock was set back since it was renewed, so that it would seem fresh until the
    clock comes to that time again. Who lives renews it before it expires.
    """
    correct_time(path, _MOST_AHEAD)


def correct_time(path: Path, tolerance: float = 0.0) -> None:
    """Let a file be modified now that is said to be in the future, by the disk's clock.

    Nothing happens to one that lies no more than `tolerance` seconds ahead.
    """
    with suppress(OSError):
        is_ahead = path.stat().st_mtime > time.time() + tolerance
        if is_ahead and heartbeat_age(path) < -tolerance:
            os.utime(path)


_offsets: dict[Path, tuple[float, float]] = {}
"""What `_clock_offset` found of folders, and when (monotonic)."""


def _clock_offset(folder: Path) -> float:
    """Return by how many seconds the clock of a folder's disk is ahead of ours."""
    now = time.monotonic()
    offset, until = _offsets.get(folder, (0.0, 0.0))
    if now > until:
        offset = _measured_offset(folder)
        _offsets[folder] = offset, now + 1.0
    return offset


def _measured_offset(folder: Path) -> float:
    # Who may not write there has nothing else to go by than the own clock.
    with suppress(OSError):
        for _ in range(_LOOKS):
            before = time.time()
            made = _time_of_new(folder)
            # In between, this process may have been suspended, or its network.
            if abs(time.time() - before) < 1.0:
                return made - before
    return 0.0


def _time_of_new(folder: Path) -> float:
    with probe(folder) as file:
        return os.fstat(file).st_mtime
