"""Commands of queues that print what they are told to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# For local_queue, an example of a scheduler of one's own.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def command(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Put a shell script on the PATH; it writes down its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def install(name: str, script: str) -> Path:
        called = tmp_path / f"{name}.called"
        write_down = f'printf "%s\\n" "$@" > {called}\n'
        path = folder / name
        path.write_text(f"#!/bin/sh\n{write_down}{script}\n")
        path.chmod(0o755)
        return called

    return install
