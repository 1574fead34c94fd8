"""Daemons in the background whose process ids are written down."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

# A shell starts the daemon and ends: the daemon belongs to nobody who would have to
# wait for it, and its number is known at once.
_IN_BACKGROUND = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'

# In the environment of a daemon, and of each slurmstepd that a slurmd starts, but not
# of the jobs, which get the environment of sbatch.
MARK = "PSYRUN_TEST_CLUSTER"


class Daemons:
    """The daemons recorded in a folder.

    A record is a file `NAME.running` with the process id and the time at which the
    process started, as the kernel tells it: a process id alone may belong to
    somebody else by now.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(
        self, name: str, command: list[str], env: Mapping[str, str] | None = None
    ) -> None:
        """Start `command`; its output is appended to `NAME.out`."""
        shell = ["setsid", "sh", "-c", _IN_BACKGROUND, "sh"]
        started = subprocess.run(
            [*shell, str(self.folder / f"{name}.out"), *command],
            env={**os.environ, **(env or {}), MARK: self._mark(name)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        pid = int(started.stdout)
        self._record(name).write_text(f"{pid} {_start_time(pid) or 0}")

    def pid(self, name: str) -> int | None:
        """Return the process id of a daemon, None if it doesn't run."""
        try:
            pid, start_time = map(int, self._record(name).read_text().split())
        except (OSError, ValueError):
            return None
        return pid if _start_time(pid) == start_time else None

    def running(self) -> list[str]:
        """Return the names of the daemons that run."""
        names = sorted(record.stem for record in self.folder.glob("*.running"))
        return [name for name in names if self.pid(name) is not None]

    def stop(self, name: str, patience: float = 10) -> None:
        """End a daemon, by force if it does not end otherwise."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            pid = self.pid(name)
            if pid is None:
                break
            _signal(pid, number)
            wait_until(lambda: self.pid(name) is None, patience)
        self._record(name).unlink(missing_ok=True)

    def kill(self, name: str) -> None:
        """End a daemon as a power cut would."""
        if (pid := self.pid(name)) is not None:
            _signal(pid, signal.SIGKILL)
            wait_until(lambda: self.pid(name) is None, 10)
        self._record(name).unlink(missing_ok=True)

    def kill_what_it_started(self, name: str) -> None:
        """End the processes that a daemon left, with their descendants."""
        mark = f"{MARK}={self._mark(name)}".encode()
        daemon = self.pid(name)
        for pid in [pid for pid in _pids() if pid != daemon and mark in _environ(pid)]:
            for descendant in [pid, *descendants(pid)]:
                _signal(descendant, signal.SIGKILL)

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.running"

    def _mark(self, name: str) -> str:
        return f"{self.folder}:{name}"


def wait_until(holds: Callable[[], bool], patience: float) -> bool:
    """Wait until a condition holds; return whether it does."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def descendants(pid: int) -> Iterator[int]:
    """Yield the children of a process, their children, and so on."""
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                yield child
                yield from descendants(child)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _start_time(pid: int) -> int | None:
    """Return when a process started, None if it has ended."""
    try:
        # The name in parentheses may hold blanks and parentheses itself.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
