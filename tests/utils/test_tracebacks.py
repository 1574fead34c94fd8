"""Tracebacks as users see them."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

import psyrun.mapper
from psyrun.errors import StoreError
from psyrun.store.pickle import check_picklable
from psyrun.utils.tracebacks import (
    dumped_traceback,
    innermost_frame,
    is_users,
    user_traceback,
    without_traceback,
)


class Fragile:
    def __getstate__(self) -> object:
        raise KeyError("state")


def told_of(value: object) -> str:
    with pytest.raises(StoreError) as caught:
        check_picklable("y", value)
    error: BaseException = caught.value
    # As where psyrun calls this by itself.
    assert error.__traceback__
    return user_traceback(error.with_traceback(error.__traceback__.tb_next))


def test_what_only_psyrun_raised_has_no_traceback() -> None:
    assert told_of(lambda: 0).startswith("psyrun.errors.StoreError: key 'y' holds")


def test_code_of_the_user_that_psyrun_calls_is_shown() -> None:
    told = told_of(Fragile())
    assert "in __getstate__" in told
    assert "psyrun/store" not in told


def test_an_exception_that_was_never_raised_stays_the_cause() -> None:
    def fail() -> None:
        raise RuntimeError("outer") from ValueError("inner")

    with pytest.raises(RuntimeError) as caught:
        fail()
    assert "ValueError: inner" in user_traceback(caught.value)


TOLD = """\
Traceback (most recent call last):
  File "/home/me/sweep/model.py", line 3, in earlier
    1 / 0
ZeroDivisionError: division by zero

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/home/me/sweep/psy-tasks/task_a.py", line 7, in execute
    return draw(n)
  File "/home/me/sweep/model.py", line 9, in draw
    return generator.normal(size=n)
  File "numpy/random/_generator.pyx", line 1220, in numpy.random.normal
  File "_common.pyx", line 617, in numpy.random._common.cont
ValueError: negative dimensions are not allowed
"""


def test_the_place_of_an_error_is_in_the_users_files() -> None:
    frame = 'File "/home/me/sweep/model.py", line 9, in draw'
    assert innermost_frame(TOLD) == frame


def test_without_a_file_of_the_user_it_is_the_innermost_of_all() -> None:
    told = TOLD.replace("/home/me/sweep", "/usr/lib/python3.12/site-packages")
    frame = 'File "_common.pyx", line 617, in numpy.random._common.cont'
    assert innermost_frame(told) == frame
    assert innermost_frame("ValueError: x") == ""


@pytest.mark.parametrize(
    "filename",
    [
        "/home/me/sweep/.venv/lib/python3.12/site-packages/scipy/optimize/_root.py",
        "/usr/lib/python3/dist-packages/numpy/core/numeric.py",
        "/opt/conda/envs/a/lib/python3.11/json/decoder.py",
        "/usr/local/lib64/python3.13t/json/decoder.py",
        "numpy/random/mtrand.pyx",
        "<string>",
        "<frozen importlib._bootstrap>",
        psyrun.mapper.__file__,
    ],
)
def test_files_of_libraries_are_not_the_users(filename: str) -> None:
    assert not is_users(filename)


@pytest.mark.parametrize(
    "filename",
    [
        "/home/me/sweep/psy-tasks/task_a.py",
        "/home/me/lib/model.py",
        "/home/me/lib/python3d/model.py",
    ],
)
def test_other_files_are(filename: str) -> None:
    assert is_users(filename)


def test_a_dump_begins_below_the_frames_of_psyrun() -> None:
    own = Path(psyrun.__file__).parent / "steps/worker.py"
    dump = (
        "Stack (most recent call first):\n"
        '  File "/home/m\\xfcller/a.py", line 3 in inner\n'
        '  File "/home/m\\xfcller/a.py", line 8 in execute\n'
        f'  File "{own}", line 1 in _evaluate\n'
        '  File "<frozen runpy>", line 88 in _run_code\n'
    )
    assert dumped_traceback(dump) == (
        '  File "/home/müller/a.py", line 8, in execute\n'
        '  File "/home/müller/a.py", line 3, in inner\n'
    )


@pytest.mark.parametrize("dump", ["", "<no Python frame>", "File", "\0"])
def test_a_dump_without_frames_has_none(dump: str) -> None:
    assert dumped_traceback(dump) == ""


def test_of_errors_that_follow_from_each_other_the_last_one_is_told() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError as error:
                raise OSError("second") from error
        except OSError:
            raise RuntimeError("third\nwith another line")  # noqa: B904

    with pytest.raises(RuntimeError) as found:
        fail()
    lines = "".join(traceback.format_exception(found.value)).splitlines()
    cause = ["RuntimeError: third", "with another line"]
    assert without_traceback(["before", *lines]) == (["before"], cause)
    assert without_traceback(["before"]) == (["before"], [])
