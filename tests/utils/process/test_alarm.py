"""A time limit for what is done in this process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from psyrun.utils.process.alarm import TimedOut, time_limit


def loop() -> None:
    while True:
        try:
            time.sleep(1e6)
        except Exception:
            continue


def test_what_takes_longer_is_ended_also_if_it_catches_exceptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Else a busy machine may end all tests.
    monkeypatch.setattr("psyrun.utils.process.alarm._GRACE", 600.0)
    before = signal.getsignal(signal.SIGALRM)
    message = r"^took longer than timeout = 0\.05 s$"
    with pytest.raises(TimedOut, match=message), time_limit(0.05):
        loop()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("seconds", [None, 1000.0, 1e300])
def test_what_is_done_before_goes_on(seconds: float | None) -> None:
    with time_limit(seconds):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_code_that_never_returns_to_python_ends_with_its_process() -> None:
    code = (
        "from psyrun.utils.process.alarm import time_limit\n"
        "with time_limit(0.05):\n    max(range(10**18))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert 'File "<string>", line 3 in <module>' in ended.stderr
