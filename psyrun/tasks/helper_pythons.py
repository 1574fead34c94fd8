"""Pythons that libraries start for a task, such as the pools of joblib.

Many search the current folder first, or take over the import path of the process
that starts them, before they have imported what they need themselves. Where the
project has modules that are called as those of libraries, each of these Pythons
begins with `begin`.

Programs that a task starts with `subprocess` are its own affair, and left alone.
"""

from __future__ import annotations

import _posixsubprocess
import os
import runpy
import sys
from collections.abc import Sequence
from typing import Any

_FLAGS = ("-m", "-c")
_NEEDS_NOTHING = "resource_tracker"  # which imports only what Python has


def separate_helpers(folders: Sequence[str]) -> None:
    """Have Pythons that libraries start from now on tell the project from others.

    `folders` are those of the project.
    """
    # `subprocess` has got the function itself; other libraries look it up here.
    start = _posixsubprocess.fork_exec

    def start_separated(words: Sequence[Any], *rest: Any) -> Any:
        return start(_separated(words, folders), *rest)

    _posixsubprocess.fork_exec = start_separated  # type: ignore[assignment]


def _separated(words: Sequence[Any], folders: Sequence[str]) -> Sequence[Any]:
    """Return the words of a command, if it starts Python, with a call of `begin`."""
    texts = [os.fsdecode(word) for word in words]
    place = next((i for i, text in enumerate(texts) if text in _FLAGS), 0)
    if texts[:1] != [sys.executable] or not 0 < place < len(texts) - 1:
        return words
    flag, what = texts[place : place + 2]
    code = what if flag == "-c" else f"{run.__name__}({what!r})"
    if _NEEDS_NOTHING not in what:
        names = f"{begin.__name__}, {run.__name__}"
        code = f"from {__name__} import {names}; {begin.__name__}({folders!r}); {code}"
    changed = [*texts[:place], "-P", "-c", code, *texts[place + 2 :]]
    return [os.fsencode(text) for text in changed]


def begin(folders: Sequence[str]) -> None:
    """Tell the folders of the project from those of libraries, in such a Python."""
    from psyrun.tasks.import_path import separate

    separate(folders)


def run(module: str) -> None:
    """Do as ``python -m``."""
    runpy.run_module(module, run_name="__main__", alter_sys=True)
