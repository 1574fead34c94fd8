"""What git knows of a folder, if it answers soon."""

from __future__ import annotations

import hashlib
import os
import selectors
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_SECONDS = 3.0
_KEPT_BYTES = 1 << 18
_PIECE = 1 << 16
# No programs of others, no locks, and no questions.
_OPTIONS = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--binary")
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class _Output(NamedTuple):
    """What a command has printed: its begin, its SHA-256, its size in bytes."""

    begin: bytes
    digest: str
    size: int


def state_of(folder: Path, seconds: float = _SECONDS) -> dict[str, Any] | None:
    """Return which commit a folder is of, and what was changed since, ready for JSON.

    The change is that of files that git tracks. It is cut off after 256 KiB, and
    missing if it takes longer than some `seconds`.

    Returns
    -------
    dict or None
        ``commit`` (None before the first one), ``is_clean``, ``diff``,
        ``diff_bytes`` and ``diff_sha256``, the last four None if they are not known;
        None outside of a repository, or without git.
    """
    deadline = time.monotonic() + seconds
    if _output(folder, ("rev-parse", "--git-dir"), deadline) is None:
        return None
    head = _output(folder, ("rev-parse", "--verify", "--quiet", "HEAD"), deadline)
    commit = None if head is None else head.begin.decode(errors="replace").strip()
    diff = None if head is None else _output(folder, _DIFF, deadline)
    if diff is None:
        unknown = dict.fromkeys(("is_clean", "diff", "diff_bytes", "diff_sha256"))
        return {"commit": commit, **unknown}
    return {
        "commit": commit,
        "is_clean": not diff.size,
        "diff": diff.begin.decode(errors="replace"),
        "diff_bytes": diff.size,
        "diff_sha256": diff.digest,
    }


def _output(folder: Path, command: tuple[str, ...], deadline: float) -> _Output | None:
    """Return what git prints; None if it fails, is not there, or takes too long."""
    try:
        process = subprocess.Popen(
            ["git", *_OPTIONS, *command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
        )
    except OSError:
        return None
    with process:
        try:
            found = _read(process, deadline)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except (OSError, subprocess.TimeoutExpired):
            found, status = None, 1
        finally:
            with suppress(OSError):
                process.kill()
    return found if status == 0 else None


def _read(process: subprocess.Popen[bytes], deadline: float) -> _Output | None:
    assert process.stdout is not None
    number = process.stdout.fileno()
    begin, digest, size = bytearray(), hashlib.sha256(), 0
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(number, _PIECE)
            if not piece:
                return _Output(bytes(begin), digest.hexdigest(), size)
            begin += piece[: _KEPT_BYTES - len(begin)]
            digest.update(piece)
            size += len(piece)
    return None
