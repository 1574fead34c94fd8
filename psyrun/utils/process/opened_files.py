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
from typing import Any


class _Collected:
    into: set[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _Collected.into is not None:
        name, mode, _ = arguments
        # Without a mode, a file was opened by its descriptor or by `os.open`.
        if isinstance(name, str) and mode is not None and set("wax+").isdisjoint(mode):
            _Collected.into.add(os.path.abspath(name))  # noqa: PTH100


@cache
def _add_hook() -> None:
    sys.addaudithook(_note)


@contextmanager
def opened_files() -> Iterator[set[str]]:
    """Collect the absolute paths of files that the body opens for reading."""
    _add_hook()
    found: set[str] = set()
    _Collected.into = found
    try:
        yield found
    finally:
        _Collected.into = None
