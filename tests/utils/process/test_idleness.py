"""What processes do, as CPU time and the clock tell it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from projects import wait_until

from psyrun.utils.process.idleness import (
    IdleClock,
    Usage,
    usage_beside_this_thread,
    usage_of,
)

WAITING = "import sys; sys.stdin.read()"
BUSY = "while True: pass"
# It waits for another, which works.
WITH_BUSY_CHILD = f"""\
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", {BUSY!r}]) as child:
    print(child.pid, flush=True)
    sys.stdin.read()
    child.kill()
"""
NOBODY = frozenset({1})


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        if code == BUSY:
            process.kill()


def cpu_time(pid: int) -> float:
    return usage_of([pid]).cpu


def test_a_process_that_works_uses_cpu_time() -> None:
    with running(BUSY) as process:
        wait_until(lambda: cpu_time(process.pid) > 0.3)


def test_what_a_process_has_others_do_counts_as_its_own() -> None:
    with running(WITH_BUSY_CHILD) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        before = cpu_time(process.pid)
        wait_until(lambda: cpu_time(process.pid) > before + 0.3)
        assert usage_of([process.pid]).pids == {process.pid, child}


def test_what_a_child_used_that_has_ended_is_not_lost() -> None:
    before = usage_of([os.getpid()]).cpu
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert usage_of([os.getpid()]).cpu > before + 0.25


def test_a_process_that_is_gone_uses_nothing() -> None:
    with running(WAITING) as process:
        pass
    assert cpu_time(process.pid) == 0


def test_whoever_looks_does_not_count_itself() -> None:
    used: list[float] = []

    def look() -> None:
        before = usage_beside_this_thread().cpu
        while time.thread_time() < 0.3:
            pass
        used.append(usage_beside_this_thread().cpu - before)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert used[0] < 0.1


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.idle = IdleClock(longest_gap=90, clock=lambda: self.now)
        self.idle.look(Usage(5.0, NOBODY), "a")

    def look(self, after: float, cpu: float, progress: str = "a") -> float:
        self.now += after
        self.idle.look(Usage(cpu, NOBODY), progress)
        return self.idle.idle


def test_who_uses_no_cpu_time_and_achieves_nothing_is_idle() -> None:
    clock = Clock()
    assert [clock.look(30, 5.0) for _ in range(3)] == [30, 60, 90]


def test_who_waits_in_a_loop_is_idle_too() -> None:
    clock = Clock()
    assert [clock.look(30, 5.0 + 0.15 * n) for n in (1, 2, 3)] == [30, 60, 90]
    assert round(clock.idle.used, 2) == 0.45


def test_who_gets_little_cpu_time_is_not_idle() -> None:
    """Others may leave it no more."""
    clock = Clock()
    found = [clock.look(0.1, 5.0 + 0.01 * n) for n in range(1, 10)]
    assert max(found) < 0.3


def test_who_goes_on_after_a_long_time_is_noticed_at_once() -> None:
    clock = Clock()
    assert [clock.look(30, 5.0) for _ in range(1000)][-1] == 30000
    assert clock.look(2, 5.1) == 0


def test_who_uses_cpu_time_is_not_idle() -> None:
    clock = Clock()
    assert [clock.look(30, cpu) for cpu in (5.0, 6.0, 6.0)] == [30, 0, 30]


def test_who_goes_on_to_something_else_is_not_idle() -> None:
    clock = Clock()
    assert [clock.look(30, 5.0, progress) for progress in "aabb"] == [30, 60, 0, 30]


def test_who_starts_another_process_is_not_idle() -> None:
    clock = Clock()
    clock.look(30, 5.0)
    clock.idle.look(Usage(5.0, NOBODY | {2}), "a")
    assert clock.idle.idle == 0


def test_a_time_in_which_nobody_looked_hardly_counts() -> None:
    """All of the job may have been suspended."""
    clock = Clock()
    assert [clock.look(after, 5.0) for after in (30, 36000, 30)] == [30, 120, 150]
