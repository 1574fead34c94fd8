"""Why a Python did not start psyrun: it is gone, or lacks a library."""

from __future__ import annotations

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "psyrun"
_MISSING = re.compile(r"No module named '?(\w+)")
# Such as /usr/bin/python3: No module named psyrun
_ACTUAL = re.compile(r"^(/.+?): (?:Error while finding module|No module named)")
_NOT_STARTED = re.compile(
    r"not found$|No such file or directory$|Permission denied$|cannot execute"
    r"|bad interpreter|Exec format error|error while loading shared libraries"
    r"|^Unknown option: -|^<no Python frame>$"
)
_AGAIN = "Make its virtual environment again, with psyrun in it"


def fault_of(python: str) -> str:
    """Return why a program cannot be run, empty if nothing is wrong with its file."""
    path = Path(python)
    if not path.is_absolute() or os.access(path, os.X_OK):
        return ""
    if path.exists():
        return "must not be executed"
    links = [place for place in (path, *path.parents) if place.is_symlink()]
    if not links:
        return "is gone"
    return f"is gone, as {links[0]} links to {os.path.realpath(links[0])}"


def own_fault() -> str:
    """Return what is wrong with the Python of this process and what to do, or ``''``.

    It may have been removed or upgraded since the process was started.
    """
    if fault := fault_of(sys.executable):
        return f"{sys.executable}: {fault}. {_AGAIN}."
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None or not Path(spec.origin).exists():
        return _without(sys.executable, _PACKAGE)
    return ""


def why_not_started(python: str, said: str) -> str:
    """Return why a Python did not start psyrun, and what to do; empty if it did.

    Parameters
    ----------
    python : str
        Its path, or a name for that of this process.
    said : str
        The end of what was printed.
    """
    python = python if os.sep in python else sys.executable
    last = said.rstrip().rpartition("\n")[2].strip()
    missing, actual = _MISSING.search(last), _ACTUAL.match(last)
    if missing is None and _NOT_STARTED.search(last) is None:
        return ""
    if fault := fault_of(python):
        return f"{python}: {fault}. {_AGAIN}."
    if actual and Path(actual[1]).parent != Path(python).parent:
        return (
            f"{python}: is gone on the machine of the job. {_AGAIN}, where all "
            "machines see it."
        )
    if missing is not None:
        return _without(python, missing[1])
    return f"{python}: cannot be started ({_cause(said, last)}). {_AGAIN}."


def _without(python: str, package: str) -> str:
    return (
        f"{python}: cannot import {package}. Install it there again with '{python} -m "
        f"pip install {package}'; if that Python was upgraded, make the virtual "
        "environment again."
    )


def _cause(said: str, last: str) -> str:
    is_crippled = "No module named 'encodings'" in said
    return "its standard library is gone" if is_crippled else last
