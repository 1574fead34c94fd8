"""The peak of the memory of a process."""

import mmap
import os
import sys

import pytest

from psyrun.utils.process.memory import forget_peak, peak_memory

SIZE = 200 << 20


def use_memory() -> None:
    with mmap.mmap(-1, SIZE) as memory:
        memory.write(b"x" * SIZE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets peaks")
def test_what_was_used_before_is_forgotten() -> None:
    forget_peak()
    before = peak_memory()
    use_memory()
    assert peak_memory() > before + SIZE * 0.9
    forget_peak()
    assert peak_memory() < before + SIZE / 2


def test_peaks_are_bytes() -> None:
    assert 1 << 20 < peak_memory() < 1 << 40


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it apart")
def test_the_memory_of_who_starts_a_process_is_not_its_own() -> None:
    code = (
        "from psyrun.utils.process.memory import peak_memory; "
        f"raise SystemExit(peak_memory() > {SIZE // 2})"
    )
    use_memory()
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
