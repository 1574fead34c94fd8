"""Whether a copy of this process can go on: it has no other threads, and no GPU.

A fork copies only the thread that asks for it. What the others held locked stays
locked in the copy for ever. So where threads run, it is looked at whose they are:
some libraries start theirs anew in a copy.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from psyrun.utils.process.basics import memory_map
from psyrun.utils.process.code_watch import INSTALLED

_TASKS = Path("/proc/self/task")
_WORD = 8  # bytes
_MOST = 1 << 16  # bytes of a stack
_PATIENCE = 0.1  # seconds until a thread waits for something
_PAUSE = 0.005
# These register what is to be done in a copy (pthread_atfork), or look for it.
_FORKABLE = re.compile(
    r"openblas|/numexpr/|libgomp|libiomp|libomp|libmkl|jemalloc", re.IGNORECASE
)
_OF_SYSTEM = re.compile(r"^(libc|libpthread|ld-linux.*|libm|libdl)[-.]")
_DEVICES = ("/dev/nvidia", "/dev/kfd")


class ImportWatch:
    """Sees what is done while the context is entered that a copy could not go on with.

    Exit handlers of the user's own code are to be called once for each process that
    runs it, as they may remove files. Those of libraries are known to bear forks.
    """

    def __enter__(self) -> ImportWatch:
        self._before = threading.enumerate()
        self._register = atexit.register
        self._has_handlers = False
        self._handlers: list[Any] = []
        atexit.register = self._watch  # type: ignore[assignment]
        return self

    def __exit__(self, *exception: object) -> None:
        atexit.register = self._register

    def _watch(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        file = sys._getframe(1).f_code.co_filename
        self._has_handlers |= not (INSTALLED.search(file) or file.startswith("<"))
        self._handlers.append(function)
        return self._register(function, *args, **kwargs)

    def obstacles(self) -> Obstacles:
        """Return what there is now."""
        found = obstacles(self._before)
        handlers = ["an exit handler"] if self._has_handlers else []
        return Obstacles([*found.python, *handlers], found.others, self._handlers)


class Obstacles(NamedTuple):
    """What a copy lacks: threads and the like of Python code, and others.

    With all exit handlers that were registered meanwhile.
    """

    python: list[str]
    others: list[str]
    handlers: Sequence[Any] = ()

    def forget_handlers(self) -> None:
        """Leave to the parent of this copy what it has to do at its end.

        Each may remove what belongs to what is lacking, such as a folder that a pool
        shares with its processes. Where nothing is, copies run the user's code.
        """
        if self:
            for handler in self.handlers:
                atexit.unregister(handler)

    def __bool__(self) -> bool:
        return bool(self.python or self.others)

    def __str__(self) -> str:
        return ", ".join([*self.python, *self.others])


def obstacles(before: Iterable[threading.Thread]) -> Obstacles:
    """Return what a copy of this process lacks, besides some threads of before."""
    known = set(before)
    python = [thread for thread in threading.enumerate() if thread not in known]
    ids = {thread.native_id for thread in threading.enumerate()}
    found = [
        f"a thread of {name}"
        for name in sorted(set(_native_threads(ids)))
        if not _FORKABLE.search(name)
    ]
    found += ["a GPU"] if _uses_gpu() else []
    return Obstacles([f"thread {thread.name!r}" for thread in python], found)


def _uses_gpu() -> bool:
    """Whether a GPU was used, by whichever library."""
    for entry in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            if str(entry.readlink()).startswith(_DEVICES):
                return True
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    with suppress(Exception):
        return bool(cuda is not None and cuda.is_initialized())
    return False


def _native_threads(known: set[int | None]) -> Iterator[str]:
    """Yield the library of each thread that is not Python's (Linux only)."""
    try:
        found = [int(entry.name) for entry in _TASKS.iterdir()]
    except OSError:
        return
    others = [one for one in found if one not in known and one != os.getpid()]
    libraries = _Libraries.loaded() if others else None
    for one in others:
        # It may have ended meanwhile.
        if libraries is not None and (name := _library_of(one, libraries)) is not None:
            yield name


@dataclass(frozen=True)
class _Libraries:
    """Where this process has code, in order, and how far each piece of memory goes."""

    pieces: list[tuple[int, int, str]]

    @classmethod
    def loaded(cls) -> _Libraries:
        pieces = []
        for line in memory_map():
            place, access, *rest = line.split(maxsplit=5)
            begin, _, end = place.partition("-")
            name = rest[3] if "x" in access and len(rest) > 3 else ""
            pieces.append((int(begin, 16), int(end, 16), name))
        return cls(pieces)

    def at(self, address: int) -> tuple[int, str]:
        """Return where the memory at an address ends, and whose code it is."""
        place = bisect_right(self.pieces, (address, sys.maxsize, "")) - 1
        begin, end, name = self.pieces[place] if place >= 0 else (0, 0, "")
        return (end, name) if begin <= address < end else (0, "")


def _library_of(thread: int, libraries: _Libraries) -> str | None:
    """Return the path of the library that a thread runs; None if it has ended.

    That is the first on its stack which is not the system's.
    """
    try:
        stack = _stack_of(thread)
    except OSError:
        return None if not (_TASKS / str(thread)).exists() else "an unknown library"
    end = libraries.at(stack)[0]
    size = max(0, min(end - stack, _MOST)) // _WORD * _WORD
    data = ctypes.string_at(stack, size)
    for word in memoryview(data).cast("Q"):
        name = libraries.at(word)[1]
        if name and not _OF_SYSTEM.match(Path(name).name):
            return name
    return "an unknown library"


def _stack_of(thread: int) -> int:
    """Return the address of a thread's stack, once it waits for something.

    Raises `OSError` where the system does not tell.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        # proc(5): "running", or a call with its arguments, stack and place.
        words = (_TASKS / f"{thread}/syscall").read_text().split()
        if len(words) > 2:
            return int(words[-2], 16)
        if time.monotonic() > deadline:
            raise OSError("the thread does not wait for anything")
        time.sleep(_PAUSE)
