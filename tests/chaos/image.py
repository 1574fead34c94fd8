"""A file system in a file, whose power can be cut: what was not synced is gone.

Linux, root, mkfs.ext4 and a loop device are needed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_WITHOUT_JOURNAL = 2  # also what is in the journal's memory is lost
_SIZE = 96 << 20  # bytes
_PATIENCE = 30.0  # seconds
OPTIONS = (
    "data=ordered,commit=5",
    "data=ordered,noauto_da_alloc,commit=1",
    "data=ordered,noauto_da_alloc,commit=5",
    "data=writeback,noauto_da_alloc,commit=2",
)


def why_not() -> str:
    """Return why no image can be mounted here, empty if one can."""
    if os.geteuid() != 0:
        return "only root can mount file systems"
    if not shutil.which("mkfs.ext4") or not Path("/dev/loop-control").exists():
        return "there is no mkfs.ext4, or no loop device"
    return ""


class Image:
    """An ext4 file system in `folder`, mounted at `folder/disk`."""

    def __init__(self, folder: Path, options: str) -> None:
        self._file = folder / "image"
        self._options = options
        self.place = folder / "disk"
        self.place.mkdir(parents=True)
        with self._file.open("wb") as file:
            file.truncate(_SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._file], check=True)
        self.mount()

    def mount(self) -> None:
        """Mount it; this replays its journal, as a start of the machine does."""
        words = ["mount", "-o", f"loop,{self._options}", self._file, self.place]
        subprocess.run(words, check=True)

    def cut_power(self) -> float:
        """Have all be lost that is not on disk; return when, on the system's clock.

        Processes that work in the file system are ended.
        """
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _WITHOUT_JOURNAL))
        finally:
            os.close(descriptor)
        at = time.time()
        self.unmount()
        self._renew()
        self.mount()
        return at

    def _renew(self) -> None:
        # Another mount namespace may hold on to the file system that was shut down.
        former = self._file
        self._file = former.with_name(f"{former.name}-again")
        subprocess.run(["cp", "--sparse=always", former, self._file], check=True)
        former.unlink()

    def unmount(self) -> None:
        """End all processes that use it, and unmount it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            for pid in self._users():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            done = subprocess.run(["umount", self.place], capture_output=True)
            if not done.returncode:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(done.stderr.decode())
            time.sleep(0.02)

    def _users(self) -> Iterator[int]:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                links = [process / "cwd", *(process / "fd").iterdir()]
                if int(process.name) != os.getpid() and any(map(self._is_in, links)):
                    yield int(process.name)

    def _is_in(self, link: Path) -> bool:
        with suppress(OSError):
            return f"{link.readlink()}/".startswith(f"{self.place}/")
        return False
