"""Which process this is, so that others, here or elsewhere, can tell if it lives.

A number of a process says little by itself: numbers are used again, other machines and
containers have processes of the same number, and a system may hide the processes of
others. So a process is named by the boot of its system, by its table of processes
(which containers have of their own), its number, and the moment that it started.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_BOOT = _PROC / "sys/kernel/random/boot_id"  # random(4)
_TABLE = _PROC / "self/ns/pid"  # pid_namespaces(7)

UNSEEN = ""
"""Stands for the start of a process that lives, but cannot be looked at."""


@cache
def boot() -> str:
    """Return what differs between machines, and between boots of one; else empty."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return _boot_of_macos() if sys.platform == "darwin" else ""


def process_table() -> str:
    """Return what differs between containers on one machine; empty if unknown."""
    with suppress(OSError):
        return str(_TABLE.readlink())
    return ""


def process_start(pid: int) -> str | None:
    """Return when a process of this machine started, None if it is gone.

    A zombie counts as gone. The text is only good for comparison; it is `UNSEEN` for a
    process that lives, but that belongs to somebody else and is hidden.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        is_hidden = (_PROC / "self/stat").exists()
        return (
            (UNSEEN if is_hidden else _start_elsewhere(pid)) if _exists(pid) else None
        )
    # Fields after the command, which may hold blanks: proc(5), 3 and 22.
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in b"ZX" else fields[19].decode()


def _own_number() -> int:
    """Return the number of this process in /proc, 0 if there is no such folder."""
    with suppress(OSError, ValueError):
        return int((_PROC / "self").readlink().name)
    return 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _start_elsewhere(pid: int) -> str | None:
    """Stand in for `process_start` on systems without /proc."""
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.Error:
        return UNSEEN


def _boot_of_macos() -> str:
    """Return ``sysctl kern.bootsessionuuid``, which needs no program for it."""
    size = ctypes.c_size_t(64)
    text = ctypes.create_string_buffer(size.value)
    name = b"kern.bootsessionuuid"
    failed = ctypes.CDLL(None).sysctlbyname(name, text, ctypes.byref(size), None, 0)
    return "" if failed else text.value.decode()
