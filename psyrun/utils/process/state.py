"""What a task file may change of its process, which psyrun needs as it was.

A file may change the current folder, replace the standard streams, or turn warnings
into errors. Paths of psyrun would then lead elsewhere, its messages would get lost, or
raise. So that is put back when the file has been run, and its functions are called
with what it left. Other changes that would stop psyrun are undone for good.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_HOOKS = ("excepthook", "displayhook", "unraisablehook")
# Jobs are waited for, ended, and talked to. Others may mean something to the file.
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
_OWN_RIGHTS = 0o700


@dataclass(frozen=True)
class _Surroundings:
    """What the functions of a file find as the file has left it."""

    folder: str
    streams: dict[str, Any]
    filters: list[Any]

    @classmethod
    def now(cls) -> _Surroundings:
        streams = {name: getattr(sys, name) for name in _STREAMS}
        return cls(_folder(), streams, list(warnings.filters))

    def enter(self) -> None:
        if self.folder and self.folder != _folder():
            # It may be gone by now.
            with suppress(OSError):
                os.chdir(self.folder)
        for name, stream in self.streams.items():
            if not _is_closed(stream):
                setattr(sys, name, stream)
        if self.filters != list(warnings.filters):
            _set_filters(self.filters)


# By the names of modules. That also keeps streams from being collected, which would
# close what they have in common with those of before.
_left: dict[str, _Surroundings] = {}


@contextmanager
def guarded(module: str) -> Iterator[None]:
    """Put back what the body, which runs the file of a module, changes."""
    before, undo = _Surroundings.now(), _Undo()
    try:
        yield
    finally:
        left = _left[module] = _Surroundings.now()
        before.enter()
        for name, stream in before.streams.items():
            if _is_closed(stream):
                _reopen(name)
        _set_filters(
            [f for f in left.filters if f[0] != "error" or f in before.filters]
        )
        undo.run()


def enter_as_left(module: str) -> None:
    """Take what the file of a module has left."""
    if module in _left:
        _left[module].enter()


@contextmanager
def as_left(module: str) -> Iterator[None]:
    """Take what the file of a module has left, in the body only."""
    before = _Surroundings.now()
    enter_as_left(module)
    try:
        yield
    finally:
        before.enter()


@contextmanager
def outliving_exit() -> Iterator[None]:
    """Have `os._exit` raise `SystemExit` in the body, so that this process goes on.

    Copies of this process end as they would, and so does another thread's request.
    """
    caller, leave, is_over = (os.getpid(), threading.get_ident()), os._exit, False

    def raise_exit(status: int) -> NoReturn:
        if is_over or (os.getpid(), threading.get_ident()) != caller:
            leave(status)
        raise SystemExit(status)

    os._exit = raise_exit
    try:
        yield
    finally:
        is_over = True
        if os._exit is raise_exit:
            os._exit = leave


class _Undo:
    """What is undone for good, if a file has changed it."""

    def __init__(self) -> None:
        self._umask = _umask()
        self._handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._hooks = {name: getattr(sys, name) for name in _HOOKS}
        self._arguments, self._path = list(sys.argv), list(sys.path)
        self._depth = sys.getrecursionlimit()

    def run(self) -> None:
        if _umask() & _OWN_RIGHTS:
            os.umask(self._umask)
        if threading.current_thread() is threading.main_thread():
            self._put_handlers_back()
        for name, hook in self._hooks.items():
            if not callable(getattr(sys, name, None)):
                setattr(sys, name, hook)
        sys.argv[:] = self._arguments
        # What a file adds is for its imports.
        sys.path += [path for path in self._path if path not in sys.path]
        sys.setrecursionlimit(max(self._depth, sys.getrecursionlimit()))

    def _put_handlers_back(self) -> None:
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return ""


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _set_filters(filters: list[Any]) -> None:
    if filters != list(warnings.filters):
        warnings.filters[:] = filters  # type: ignore[index]
        # Python remembers what it has filtered.
        warnings._filters_mutated()  # type: ignore[attr-defined]


def _is_closed(stream: Any) -> bool:
    try:
        return bool(getattr(stream, "closed", False))
    except ValueError:
        return True  # Its buffer was detached.


def _reopen(name: str) -> None:
    mode = "r" if name == "stdin" else "w"
    with suppress(OSError):
        stream = open(  # noqa: SIM115
            _STREAMS[name], mode, errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)
