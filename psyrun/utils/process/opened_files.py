"""Which files a piece of code opens, as far as Python itself opens them.

An audit hook cannot be removed, and slows calls such as ``id`` a little from then on,
so it is nothing for processes that evaluate assignments.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar


class _Collected:
    into: set[str] | None = None
    written: ClassVar[set[str]] = set()


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _Collected.into is not None:
        name, mode, flags = arguments
        if not isinstance(name, str | os.PathLike):
            return
        path = os.path.abspath(os.fsdecode(name))  # noqa: PTH100
        # Without a mode, it was opened by `os.open`.
        if mode is None and flags & os.O_ACCMODE == os.O_RDONLY:
            mode = "r"
        if mode is None or not set("wax+").isdisjoint(mode):
            _Collected.written.add(path)
        elif path not in _Collected.written:
            _Collected.into.add(path)


@cache
def _add_hook() -> None:
    sys.addaudithook(_note)


@contextmanager
def opened_files() -> Iterator[set[str]]:
    """Collect the absolute paths of files that the body opens for reading.

    Those that it has written before are not among them.
    """
    _add_hook()
    found: set[str] = set()
    _Collected.into = found
    _Collected.written.clear()
    try:
        yield found
    finally:
        _Collected.into = None
