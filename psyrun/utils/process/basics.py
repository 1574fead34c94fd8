"""Processes: their last lines, parents, and threads."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TYPE_CHECKING = False

if TYPE_CHECKING:
    import subprocess
    from types import FrameType
    from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to end."""
_MAPS = Path("/proc/self/maps")
_PAUSE_SOFT = 1  # omp_pause_soft of OpenMP 5.0: settings stay, threads end


def log_line(text: str) -> None:
    """Write a line to the log, if that is possible.

    The disk may be full. What is recorded elsewhere must not get lost for a log.
    """
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def start_below(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program, as `subprocess.Popen` does, that ends with this process.

    On Linux, however this process ends. A request to end it waits meanwhile.
    """
    import subprocess

    with holding_signals():
        return subprocess.Popen(command, preexec_fn=die_with_parent, **options)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def holding_signals() -> Iterator[None]:
    """Hold back what asks this process to end, while it forks.

    What is raised in callbacks that Python calls at a fork is printed and forgotten,
    also a `KeyboardInterrupt`. And the new process would do what only its parent has to
    do. To mask signals would not do, as other threads take them for this one.
    """
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    came: list[int] = []
    try:
        if threading.current_thread() is threading.main_thread():
            for each in ENDING_SIGNALS:
                handler = signal.getsignal(each)
                if callable(handler):
                    handlers[each] = handler
                    signal.signal(each, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            handlers[number](number, sys._getframe())


def fork() -> int:
    """Fork as `os.fork` does, without its warning of threads."""
    with warnings.catch_warnings():
        # Those of numerical libraries handle it by themselves.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def prepare_forked_process(parent: int) -> None:
    """Prepare a forked process: the kernel kills it when its parent ends (Linux only).

    Elsewhere a worker notices that between two assignments. Ctrl-C is left to the
    parent, and SIGTERM ends the process, whatever the parent does about it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)


def end_threads() -> None:
    """End the threads that OpenMP keeps for this thread, so that it can fork.

    The next parallel region, here or in the forked process, starts new ones.
    """
    for path in _runtimes():
        # A library that was replaced on disk, or libgomp before GCC 9.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(path).omp_pause_resource_all(_PAUSE_SOFT)


def memory_map() -> list[str]:
    """Return the lines of proc(5)'s list of this process's memory (Linux only)."""
    try:
        # A path may hold any bytes.
        return _MAPS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []


def instances(objects: Iterable[Any], kinds: tuple[type, ...]) -> list[Any]:
    """Return the objects of some classes, such as of those that `gc` knows."""
    objects = list(objects)
    # There are many objects, but few types. isinstance() would ask proxies for the
    # class of what they stand for, which may be gone.
    found = {kind for kind in set(map(type, objects)) if issubclass(kind, kinds)}
    return [thing for thing in objects if type(thing) in found]


def _runtimes() -> set[str]:
    """Return the paths of the GNU OpenMP libraries that are loaded here.

    There may be several, as packages bring their own.
    """
    lines = memory_map()
    paths = [line.split(maxsplit=5)[5] for line in lines if "/libgomp" in line]
    return {path for path in paths if Path(path).name.startswith("libgomp")}


def cancel_timers(package: str) -> None:
    """Cancel the timers of a package, for which Python would wait at its end.

    Snakemake looks at its jobs again a second after each start of some (its
    ``--max-jobs-per-timespan``), also where all of them have ended by then.
    """
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            module = getattr(thread.function, "__module__", None) or ""
            if module.partition(".")[0] == package:
                thread.cancel()
