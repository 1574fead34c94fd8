"""How processes end that run the user's code, and may be copies of others.

A forked process must not return to the frames that it shares with its parent.
But what Python does at the end of a process is done here too: threads are
waited for, exit handlers are called, and what stands in the buffers of files
is written.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
import threading
import time
import traceback
import weakref
from _io import _IOBase
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO, IOBase, StringIO, TextIOWrapper
from typing import Any, NoReturn

from psyrun.utils.environment import deadline, exit_limit
from psyrun.utils.process.basics import instances, log_line
from psyrun.utils.process.offspring import end_offspring

_SHORTEST = 1.0  # seconds; also where wall time is nearly over

# Files that were open before this process was forked.
_inherited: list[weakref.ref[IOBase]] = []


def prepare_forks() -> None:
    """Write what stands in buffers, so that no copy of this process writes it again.

    The files are also remembered: the copies may write to them.
    """
    files = _open_files()
    _inherited[:] = map(weakref.ref, files)
    _flush(files)
    ctypes.CDLL(None).fflush(None)


def forget_parent() -> None:
    """Leave to the parent of a forked process what is to be removed with its end.

    That is its temporary folders, and its processes.
    """
    registry: dict[Any, Any] = getattr(weakref.finalize, "_registry", {})
    for finalizer in list(registry):
        finalizer.detach()
    processes = sys.modules.get("multiprocessing.process")
    getattr(processes, "_children", set()).clear()


def leave(
    code: int, limit: float = float("inf"), *, ends_offspring: bool = True
) -> NoReturn:
    """End this process, after what it has still to do.

    For that it has as many seconds as `limit` and `exit_limit` allow. What it started
    ends, too, unless it is told otherwise.
    """
    try:
        _Ending(code, limit, end_offspring if ends_offspring else _nothing).run()
    finally:
        os._exit(code)


def _nothing() -> None:
    """Leave what this process started."""


def leave_memory(end: SystemExit | None) -> NoReturn:
    """End this process as Python does, except that the system frees its memory.

    To take apart whatever a large program has imported takes Python a while.
    """
    code = 0 if end is None or end.code is None else end.code
    if not isinstance(code, int):
        log_line(str(code))
        code = 1
    for act in (*_AT_THE_END, sys.stdout.flush, sys.stderr.flush):
        _act(act)
    os._exit(code)


# As at the end of Python itself, in this order.
_AT_THE_END: tuple[Callable[[], object], ...] = (
    threading._shutdown,  # type: ignore[attr-defined]
    atexit._run_exitfuncs,
)


def _act(act: Callable[[], object]) -> None:
    try:
        act()
    except KeyboardInterrupt:
        # Who interrupts a process that ends anyway knows why this is not done.
        return
    except BaseException:
        with suppress(OSError, ValueError):
            traceback.print_exc()


class _Ending:
    """The last things that a process does."""

    def __init__(self, code: int, limit: float, last: Callable[[], None]) -> None:
        self._code = code
        self._last = last
        rest = max(_SHORTEST, deadline() - time.time())
        self._limit = min(limit, exit_limit(), rest)

    def run(self) -> None:
        alarm = threading.Timer(self._limit, self._give_up)
        alarm.daemon = True
        alarm.start()
        for act in (*_AT_THE_END, _close_files, self._last):
            _act(act)
        alarm.cancel()

    def _give_up(self) -> None:
        threads = [
            thread.name
            for thread in threading.enumerate()
            if not thread.daemon and thread is not threading.main_thread()
        ]
        which = f" (threads: {', '.join(threads)})" if threads else ""
        log_line(
            f"process {os.getpid()} did not come to its end within {self._limit:g} s "
            f"after its work was done{which}, so it is ended. Set PSYRUN_EXIT_LIMIT to "
            "more seconds if it needs them."
        )
        try:
            self._last()
        finally:
            os._exit(self._code)


def _open_files() -> list[IOBase]:
    """Return the files with a buffer that this process may write to."""
    objects = gc.get_objects()
    # Its parent io.IOBase would ask all that claim to be derived from it.
    return [file for file in instances(objects, (_IOBase,)) if _is_buffered(file)]


def _is_buffered(file: IOBase) -> bool:
    with suppress(Exception):
        in_memory = isinstance(file, (BytesIO, StringIO))
        return hasattr(file, "write") and not in_memory and not file.closed
    return False


def _flush(files: Iterable[IOBase]) -> None:
    for file in sorted(files, key=_depth):
        with suppress(Exception):
            file.flush()


def _depth(file: IOBase) -> int:
    """Return at which place a file is written: text, then what packs it, then bytes."""
    if isinstance(file, TextIOWrapper):
        return 0
    return 2 if type(file).__module__ == "_io" else 1


def _close_files() -> None:
    """Write what stands in buffers; close what this process itself opened."""
    before = [file for ref in _inherited if (file := ref()) is not None]
    streams = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    kept = [*before, *streams, *(getattr(one, "buffer", None) for one in streams)]
    ids = set(map(id, kept))
    for file in sorted(_open_files(), key=_depth):
        if id(file) not in ids:
            with suppress(Exception):
                file.close()
    _flush(file for file in kept if isinstance(file, IOBase))
    ctypes.CDLL(None).fflush(None)
