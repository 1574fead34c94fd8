"""What keeps a process from being copied."""

import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from projects import wait_until

from psyrun.utils.process import forkable
from psyrun.utils.process.forkable import Obstacles, obstacles


@pytest.fixture
def added() -> Callable[[], set[str]]:
    """What has come since the beginning: those who run the tests may have threads."""
    threads = threading.enumerate()
    before = obstacles(threads)
    assert not before.python
    return lambda: {str(one) for one in _all(obstacles(threads))} - set(_all(before))


def _all(found: Obstacles) -> list[str]:
    return [*found.python, *found.others]


def test_a_thread_of_python_is_named(added: Callable[[], set[str]]) -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="mine")
    thread.start()
    try:
        assert added() == {"thread 'mine'"}
        assert not obstacles(threading.enumerate()).python
    finally:
        end.set()
        thread.join()
    assert added() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_native_thread_is_found(added: Callable[[], set[str]]) -> None:
    libc = ctypes.CDLL(None)
    thread = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(thread), None, libc.pause, None) == 0
    try:
        assert added() == {"a thread of an unknown library"}
    finally:
        libc.pthread_cancel(thread)
        libc.pthread_join(thread, None)
    wait_until(lambda: not added(), 10)


def test_an_open_device_is_a_gpu_in_use(
    added: Callable[[], set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkable, "_DEVICES", (str(tmp_path),))
    with (tmp_path / "nvidia0").open("w"):
        assert added() == {"a GPU"}
    assert added() == set()


def test_torch_is_asked_for_its_gpu(
    added: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = SimpleNamespace(is_initialized=lambda: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert added() == {"a GPU"}
