"""Project folders that former versions of psyrun left, see `make.py` there."""

from __future__ import annotations

import json
import os
import socket
import sys
import tarfile
from pathlib import Path

from projects import Project

FOLDER = Path(__file__).parents[1] / "workdir" / "former_versions"
ROWS = FOLDER / "rows.py"
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def unpack(version: str, name: str, folder: Path) -> Project:
    """Return a project as if the version had left it in this folder just now."""
    with tarfile.open(FOLDER / version / f"{name}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    here = {
        "@PROJECT@": str(folder),
        "@BIN@": str(Path(sys.executable).parent),
        "@HOST@": socket.gethostname(),
    }
    for path in filter(Path.is_file, folder.rglob("*")):
        _replace(path, here)
    project = Project(folder)
    # What was evaluated since is of interest.
    project.calls()
    return project


def rows(version: str, name: str) -> dict[str, list[str]]:
    """Return the rows that the version loaded, by task and column."""
    return json.loads((FOLDER / version / f"{name}.json").read_text())


def _replace(path: Path, texts: dict[str, str]) -> None:
    """Replace texts in a file, unless it is binary; keep its times."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    times = path.stat()
    for old, new in texts.items():
        text = text.replace(old, new)
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
