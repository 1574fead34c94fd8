"""Threads of OpenMP before a fork.

GNU's OpenMP runtime (libgomp) keeps the threads of a parallel region for the
next one. A forked process has no such threads, but would wait for them for
ever. LLVM's and Intel's runtimes, like OpenBLAS, see to forks themselves.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_PAUSE_SOFT = 1  # omp_pause_soft of OpenMP 5.0: settings stay, threads end


def end_threads() -> None:
    """End the threads that OpenMP keeps for this thread, so that it can fork.

    The next parallel region, here or in the forked process, starts new ones.
    """
    for path in _runtimes():
        # A library that was replaced on disk, or libgomp before GCC 9.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(path).omp_pause_resource_all(_PAUSE_SOFT)


def _runtimes() -> set[str]:
    """Return the paths of the GNU OpenMP libraries that are loaded here.

    There may be several, as packages bring their own.
    """
    try:
        # A path may hold any bytes.
        lines = _MAPS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return set()
    paths = [line.split(maxsplit=5)[5] for line in lines if "/libgomp" in line]
    return {path for path in paths if Path(path).name.startswith("libgomp")}
