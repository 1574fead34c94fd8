"""Programs that write to a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

QUIET = ("CI", "COLUMNS", "JPY_PARENT_PID", "MPLBACKEND")


def on_terminal(
    command: Sequence[str], folder: Path, columns: int = 80, **environment: str
) -> tuple[int, str]:
    """Run a program on a terminal; return its exit status and all that it wrote."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if k not in QUIET}
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=its,
        stdout=its,
        stderr=its,
        env={**inherited, "TERM": "xterm-256color", **environment},
    )
    os.close(its)
    written = b""
    # Linux tells of the end by an error.
    with suppress(OSError):
        while data := os.read(own, 1 << 16):
            written += data
    os.close(own)
    return process.wait(), written.decode()
