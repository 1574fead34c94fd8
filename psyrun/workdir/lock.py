"""Locks that say who holds them and are not outlived by their holder.

A lock is a small file made by an exclusive link, which is atomic on network file
systems too, or, where there are no links, by exclusive creation. It names its holder,
and is stale as soon as that does not live any more, see `psyrun.workdir.holder`. Its
heartbeat is the file's time of modification.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from psyrun.errors import LostLockError, PsyrunError, RunningError
from psyrun.utils.environment import JOB_VARIABLE
from psyrun.utils.files import place
from psyrun.workdir import holder as heartbeats
from psyrun.workdir.holder import (
    Holder,
    correct_heartbeat,
    heartbeat_age,
    is_live,
    recorded_holder,
)
from psyrun.workdir.layout import Round, TaskLayout, locks_in

_REMOVAL_EXPIRY = 30.0
_SESSION = 8  # characters of a token in the name of a session
_RIGHT = re.compile(r"\..+\.[0-9]+-(?!.*\.tmp$)[\w.:]*", re.ASCII)
_PAUSE = 0.05  # seconds that another process is given to remove a lock


class Lock:
    """An exclusive lock on a task or one of its jobs, which messages name `subject`.

    For up to `patience` seconds, it is waited for who else holds it.
    """

    def __init__(self, path: Path, subject: str, patience: float = 0.0) -> None:
        self.path = path
        self.subject = subject
        self._patience = patience
        self._mine: Holder | None = None
        self._is_lost = False
        self._stop = threading.Event()

    def acquire(self) -> Holder | None:
        """Take the lock and keep its heartbeat going until it is released.

        Returns the holder of the stale lock that was taken over, if there was one.
        Raises `RunningError` if another process holds the lock.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._stop = threading.Event()
        self._is_lost = False
        former, deadline = None, time.monotonic() + self._patience
        while not self._take():
            correct_heartbeat(self.path)
            holder = live_holder(self.path)
            if holder is None:
                former = self._break_stale() or former
            elif time.monotonic() < deadline:
                time.sleep(_PAUSE)
            else:
                text = f"{self.subject} is run by {holder}."
                raise RunningError(f"{text}{self._hint(holder)}")
        atexit.register(self.release)
        threading.Thread(target=self._beat, daemon=True).start()
        return former

    def _hint(self, holder: Holder) -> str:
        """Say how long a holder of before a restart, or in a container, is believed."""
        if holder.is_here or holder.host != socket.gethostname():
            return ""
        with suppress(OSError):
            rest = max(1, round(heartbeats.EXPIRY - heartbeat_age(self.path)))
            return (
                f" If that ended with its container or a restart of {holder.host}, try "
                f"again in {rest} s."
            )
        return ""

    @property
    def token(self) -> str:
        """Text that no other holder has; empty while it is not held."""
        return "" if self._mine is None else self._mine.token

    @property
    def session(self) -> str:
        """Short text for the time that it is held now; later ones sort later."""
        return "" if self._mine is None else session_of(self._mine)

    def _take(self) -> bool:
        mine = Holder.me()
        is_first = place(self.path, json.dumps(asdict(mine)))
        if is_first:
            self._mine = mine
        return is_first

    def _break_stale(self) -> Holder | None:
        """Remove a stale lock.

        A plain removal could hit the new lock of a faster process. So the right to
        remove the lock of one dead holder is itself a file that one process makes, and
        until that has removed the lock, no other can stand in its place.
        """
        former = recorded_holder(self.path)
        if former is None or is_live(former, self.path):
            return None
        name = f".{self.path.name}.{former.pid}-{former.started}{former.token}"
        right = self.path.with_name(name)
        if not place(right, json.dumps(asdict(Holder.me()))):
            self._wait_for_right(right)
            return None
        # It may have woken up, or somebody else was faster.
        is_stale = recorded_holder(self.path) == former
        if is_stale and not is_live(former, self.path):
            self.path.unlink(missing_ok=True)
        right.unlink(missing_ok=True)
        return former

    def _wait_for_right(self, right: Path) -> None:
        """Another process removes the lock now, or was killed while doing so."""
        with suppress(FileNotFoundError):
            if _is_used(right):
                time.sleep(_PAUSE)
            else:
                right.unlink()

    @property
    def is_lost(self) -> bool:
        """Whether another process has taken the lock over, or removed it.

        That happens to a process that was suspended for more than `EXPIRY` seconds.
        What was lost stays lost, whoever holds it later.
        """
        mine = self._mine
        if mine is not None and not self._is_lost:
            # What cannot be read now may still be ours.
            with suppress(OSError, PsyrunError):
                is_other = recorded_holder(self.path) != mine
                # One that was given back meanwhile is not lost.
                self._is_lost = is_other and not self._stop.is_set()
        return self._is_lost

    def check(self) -> None:
        """Raise `LostLockError` if the lock is lost."""
        if self.is_lost:
            raise self._lost()

    def _lost(self) -> LostLockError:
        cause = "was suspended, and its lock was taken over meanwhile"
        with suppress(OSError, PsyrunError):
            if recorded_holder(self.path) is None:
                cause = "has stopped, as its lock was removed or taken over meanwhile"
        return LostLockError(
            f"{self.subject} {cause}. "
            "Nothing of the other run was overwritten; what was recorded here is kept."
        )

    def _beat(self) -> None:
        while not self._stop.wait(heartbeats.HEARTBEAT) and not self.is_lost:
            with suppress(OSError):
                os.utime(self.path)

    def release(self) -> None:
        """Give the lock back; a forked child that inherited it does nothing.

        One that cannot be removed is stale once this process has ended. What was done
        under it is done all the same.
        """
        if self._mine is not None and self._mine.pid == os.getpid():
            self._stop.set()
            atexit.unregister(self.release)
            with suppress(OSError, PsyrunError):
                if recorded_holder(self.path) == self._mine:
                    self.path.unlink(missing_ok=True)
            self._mine = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, kind: object, error: object, frames: object) -> None:
        is_lost = self.is_lost
        self.release()
        # Whatever was missing then, another run may have removed.
        if is_lost and isinstance(error, Exception):
            raise self._lost() from error


def _is_used(right: Path) -> bool:
    """Whether the process lives that made a right to remove a lock, just now."""
    if abs(heartbeat_age(right)) >= _REMOVAL_EXPIRY:
        return False
    # Those of former versions are empty.
    with suppress(PsyrunError):
        maker = recorded_holder(right)
        return maker is not None and is_live(maker, right)
    return True


def remove_abandoned_rights(layout: TaskLayout) -> None:
    """Remove rights to remove a lock whose makers were killed after they did that."""
    folders = [layout.folder, *(each.locks for each in layout.rounds().values())]
    for path in (path for folder in folders for path in folder.glob(".*-*")):
        with suppress(OSError):
            if _RIGHT.fullmatch(path.name) and not _is_used(path):
                path.unlink()


def is_held_in(path: Path, session: str) -> bool:
    """Whether a lock is still held in a session, see `Lock.session`."""
    try:
        holder = recorded_holder(path)
    except (OSError, PsyrunError):
        # What cannot be read now may still be ours.
        return True
    return holder is not None and session_of(holder) == session


def is_held_by(path: Path, holder: Holder) -> bool:
    """Whether a lock is still held as it was."""
    with suppress(OSError, PsyrunError):
        return recorded_holder(path) == holder
    # What cannot be read now may still be theirs.
    return True


def local_controller(layout: TaskLayout) -> Holder | None:
    """Return who runs a task, if this process and that can see each other.

    In a queue, both must be in the same job: others go on without their controller.
    """
    with suppress(OSError, PsyrunError):
        holder = recorded_holder(layout.lock)
        job = os.environ.get(JOB_VARIABLE, "")
        if holder is not None and holder.is_here and holder.job == job:
            return holder
    return None


def session_of(holder: Holder) -> str:
    """Return the session in which a lock is held; it is part of the names of files.

    Jobs that follow one another within a second have names in their order, too.
    """
    microseconds = int(holder.since * 1e6)
    return f"{microseconds:014x}{holder.token[:_SESSION]}"


def live_holder(path: Path) -> Holder | None:
    """Return who holds a lock; None where nobody does or the lock is stale."""
    holder = recorded_holder(path)
    return holder if holder is not None and is_live(holder, path) else None


def break_lock(path: Path, job: str) -> None:
    """Remove a lock if it is that of a job of a queue that has ended."""
    holder = recorded_holder(path)
    if holder is not None and holder.job == job:
        path.unlink(missing_ok=True)


def remove_stale_lock(path: Path) -> None:
    """Remove a lock whose holder does not live, as other machines cannot see that."""
    Lock(path, path.name)._break_stale()


def remove_stale_locks(layout: TaskLayout) -> None:
    """Remove the locks of jobs that have ended, as other machines cannot see that."""
    for path in locks_of(layout):
        with suppress(OSError, PsyrunError):
            remove_stale_lock(path)


def locks_of(layout: TaskLayout) -> list[Path]:
    """Return the locks of the jobs of a task, stale ones included."""
    return [p for r in layout.rounds().values() for p in locks_in(r.locks)]


def live_holders(folder: Path) -> dict[str, Holder]:
    """Return who holds the locks of a folder, by the name of the lock."""
    found = {path.name: live_holder(path) for path in locks_in(folder)}
    return {name: holder for name, holder in found.items() if holder is not None}


def running_jobs(layout: TaskLayout) -> list[tuple[str, Holder]]:
    """Return the running jobs of all rounds, such as ``process:3``, and their holders.

    Two rounds may have a job of the same name.
    """
    return [
        job for round_ in layout.rounds().values() for job in jobs_of(round_).items()
    ]


def jobs_of(round_: Round) -> dict[str, Holder]:
    """Return who runs the jobs of a round, by job."""
    holders = live_holders(round_.locks)
    return {name.replace("-", ":"): holder for name, holder in holders.items()}
