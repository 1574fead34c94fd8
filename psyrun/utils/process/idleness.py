"""For how long processes have done nothing.

A process that waits for what never comes uses no CPU time, or next to none, where it
looks again and again. That is measured together with all processes below it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from psyrun.utils.process.offspring import descendants

# Of one core. To look again every 10 ms, as joblib does, takes less than half of it.
_IDLE_SHARE = 0.01
_TICK = 1 / os.sysconf("SC_CLK_TCK")  # seconds; CPU times are given in these


class Usage(NamedTuple):
    """CPU time in seconds that some processes have used, and which they are."""

    cpu: float
    pids: frozenset[int]


def usage_of(roots: Iterable[int]) -> Usage:
    """Return what some processes of this machine, and all below them, have used."""
    pids = {pid for root in roots for pid in (root, *descendants(root))}
    return Usage(sum(map(_cpu_time, pids)), frozenset(pids))


def usage_beside_this_thread() -> Usage:
    """Return what this process and all below it have used, but for this thread."""
    cpu, pids = usage_of(descendants(os.getpid()))
    return Usage(cpu + time.process_time() - time.thread_time(), pids)


def _cpu_time(pid: int) -> float:
    """Return the CPU time of a process and its children that have ended; 0 if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0.0 if Path("/proc/self/stat").exists() else _cpu_time_elsewhere(pid)
    # Fields after the command, which may hold blanks: proc(5), 14 to 17.
    return sum(map(int, stat.rpartition(b")")[2].split()[11:15])) * _TICK


def _cpu_time_elsewhere(pid: int) -> float:
    import psutil

    with suppress(psutil.Error):
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    return 0.0


class IdleClock:
    """Measures for how long something has done nothing.

    `longest_gap` are the seconds that may lie between two looks. What is above it
    does not count: whoever looks was suspended itself.
    """

    def __init__(
        self, longest_gap: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._longest_gap = longest_gap
        self._clock = clock
        self._last: tuple[float, Usage, Hashable] | None = None
        self.idle = 0.0
        self.used = 0.0

    def look(self, usage: Usage, progress: Hashable) -> None:
        """Compare with the last look; `progress` differs if something was achieved.

        Afterwards `idle` is for how many seconds nothing was done, and `used` how much
        CPU time was used nevertheless.
        """
        now, last = self._clock(), self._last
        self._last = now, usage, progress
        if last is None or (usage.pids, progress) != (last[1].pids, last[2]):
            self.idle = self.used = 0.0
            return
        gap, used = now - last[0], usage.cpu - last[1].cpu
        self.idle += min(gap, self._longest_gap)
        self.used += max(0.0, used)
        # Since it began, or now, after it may have hung for long.
        if _is_work(self.used, self.idle) or _is_work(used, gap):
            self.idle = self.used = 0.0


def _is_work(cpu: float, seconds: float) -> bool:
    return cpu > seconds * _IDLE_SHARE + _TICK
