"""Where the rows of a version of a task come from: its source, git, libraries.

It is recorded once for each version, when the first plan with it is accepted.
"""

from __future__ import annotations

import ast
import platform
import shlex
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from psyrun.errors import StoreError
from psyrun.tasks.fingerprint.imports import parse
from psyrun.utils import __version__
from psyrun.utils.files import read_bytes, read_json, write_json
from psyrun.utils.git import state_of

_MOST_BYTES = 1 << 20  # of source


def record_provenance(
    folder: Path, fingerprint: str, files: Iterable[str], taskdir: Path
) -> None:
    """Record where the rows of a version come from, if that is not recorded yet.

    Parameters
    ----------
    folder : Path
        The folder of these records.
    fingerprint : str
        The version.
    files : iterable of str
        The files that it depends on, relative to the current folder.
    taskdir : Path
        The folder of the task file.
    """
    path = _record(folder, fingerprint)
    # Rows are worth more than what is known of them.
    with suppress(StoreError, OSError):
        if path is not None and not path.exists():
            write_json(path, _provenance(files, taskdir))


def _record(folder: Path, fingerprint: str) -> Path | None:
    return folder / f"{fingerprint}.json" if fingerprint.isalnum() else None


def recorded_provenance(folder: Path, fingerprints: Iterable[str]) -> dict[str, Any]:
    """Return what is recorded of some versions, as far as it can be read."""
    found = {}
    for fingerprint in fingerprints:
        path = _record(folder, fingerprint)
        with suppress(StoreError, OSError):
            record = None if path is None else read_json(path)
            if isinstance(record, dict):
                found[fingerprint] = record
    return found


def _provenance(files: Iterable[str], taskdir: Path) -> dict[str, Any]:
    names = sorted(files)
    source = _source(names)
    return {
        "recorded": time.time(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "psyrun": __version__,
        "libraries": _libraries(source, taskdir),
        "git": state_of(Path.cwd()),
        "files": names,
        "source": source,
    }


def _source(files: Iterable[str]) -> dict[str, str]:
    """Return the text of the Python files, as much as is kept of them."""
    found, left = {}, _MOST_BYTES
    for name in files:
        with suppress(StoreError, OSError, UnicodeDecodeError):
            if name.endswith(".py") and Path(name).stat().st_size <= left:
                found[name] = read_bytes(name).decode()
                left -= len(found[name])
    return found


def _libraries(source: Mapping[str, str], taskdir: Path) -> dict[str, str]:
    """Return the versions of what is imported that is not of the project."""
    names = {name for text in source.values() for name in _imported(text)}
    names -= {*sys.stdlib_module_names, "psyrun"}
    own = (Path.cwd(), taskdir, Path("src"))
    versions = {
        name: _version_of(name)
        for name in sorted(names)
        if not any((f / name).is_dir() or (f / f"{name}.py").exists() for f in own)
    }
    return {name: version for name, version in versions.items() if version}


def _imported(text: str) -> Iterator[str]:
    try:
        statements = parse(text.encode())
    except SyntaxError:
        return
    for node in (n for statement in statements for n in ast.walk(statement)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _version_of(name: str) -> str:
    from importlib import metadata

    version = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(version, str):
        return version
    for distribution in (name, *_distributions().get(name, ())):
        with suppress(metadata.PackageNotFoundError, ValueError):
            return metadata.version(distribution)
    return ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    from importlib import metadata

    return metadata.packages_distributions()
