"""Processes that end without taking their memory apart."""

import subprocess
import sys

import pytest

from psyrun.utils.process.ending import _act

ENDS = """\
import atexit, sys, threading
from psyrun.utils.process.ending import leave_memory

class Large:
    def __del__(self):
        print("taken apart")

large = Large()
atexit.register(print, "handler")
atexit.register(lambda: 1 / 0)
sys.stdout.write("buffer ")
threading.Timer(0.01, print, ["thread"]).start()
leave_memory({end})
"""


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("None", 0, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit(3)", 3, ""),
        ("SystemExit(True)", 1, ""),
        ("SystemExit('no rule')", 1, "no rule\n"),
    ],
)
def test_what_python_does_at_its_end_is_done(end, status, error) -> None:
    code = ENDS.format(end=end)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (status, "buffer thread\nhandler\n")
    assert ended.stderr.startswith(error)
    assert "ZeroDivisionError" in ended.stderr


def test_who_interrupts_a_process_that_ends_sees_no_traceback(capsys) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    _act(interrupted)
    assert capsys.readouterr().err == ""
