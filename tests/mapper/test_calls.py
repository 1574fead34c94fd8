"""Errors of calls tell which call it was, and progress is shown if asked for."""

from __future__ import annotations

import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from terminals import on_terminal

from psyrun import Param, map_pspace, map_pspace_hdd_backed, map_pspace_parallel
from psyrun.errors import JobError

Evaluate = Callable[..., Any]


def fail(x: int, name: str) -> dict[str, Any]:
    if x == 2:
        raise KeyError("not there")
    return {"y": x}


class NoteError(Exception):
    """An exception that leaves its attributes in the worker."""

    def __reduce__(self) -> Any:
        return NoteError, self.args


class FarError(Exception):
    """An exception that cannot be read again."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def fail_with(x: int, kind: type[Exception], arguments: Any) -> dict[str, Any]:
    raise kind(*arguments)


def nested(x: int) -> dict[str, Any]:
    return map_pspace(fail, Param(x=[x + 1], name="inner"))


def chained(x: int) -> dict[str, Any]:
    try:
        [][x]
    except IndexError as error:
        raise RuntimeError("outer") from error
    return {}


@pytest.fixture(params=["serial", "loky", "multiprocessing", "threading", "file"])
def evaluate(request: pytest.FixtureRequest, tmp_path: Path) -> Evaluate:
    def into_file(fn: Any, pspace: Any) -> Any:
        return map_pspace_hdd_backed(fn, pspace, tmp_path / "rows.pkl", n_jobs=2)

    def in_parallel(fn: Any, pspace: Any) -> Any:
        return map_pspace_parallel(fn, pspace, n_jobs=2, backend=request.param)

    return {"serial": map_pspace, "file": into_file}.get(request.param, in_parallel)


def test_an_error_has_a_note_with_the_parameters(evaluate: Evaluate) -> None:
    with pytest.raises(KeyError) as caught:
        evaluate(fail, Param(x=[1, 2], name="a"))
    assert caught.value.args == ("not there",)
    assert caught.value.__notes__ == ["raised in the call fail(x=2, name='a')"]
    shown = "".join(traceback.format_exception(caught.value))
    assert 'raise KeyError("not there")' in shown
    assert shown.endswith("raised in the call fail(x=2, name='a')\n")


def test_a_note_is_there_once_for_each_call(evaluate: Evaluate) -> None:
    with pytest.raises(KeyError) as caught:
        evaluate(nested, Param(x=[1]))
    assert caught.value.__notes__ == [
        "raised in the call fail(x=2, name='inner')",
        "raised in the call nested(x=1)",
    ]


def test_the_way_to_an_error_is_shown_with_its_causes(evaluate: Evaluate) -> None:
    with pytest.raises(RuntimeError) as caught:
        evaluate(chained, Param(x=[0]))
    shown = "".join(traceback.format_exception(caught.value))
    assert "[][x]" in shown
    assert 'raise RuntimeError("outer") from error' in shown


@pytest.mark.parametrize("apart", [{"n_jobs": 2}, {"n_jobs": 1}])
def test_an_exception_that_forgets_its_notes_has_one(apart: dict[str, int]) -> None:
    space = Param(x=[1], kind=NoteError, arguments=[("a",)])
    with pytest.raises(NoteError, match="a") as caught:
        map_pspace_parallel(fail_with, space, **apart)
    assert "fail_with(x=1, kind=" in caught.value.__notes__[0]


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_an_exception_that_cannot_be_sent_is_told_of(backend: str) -> None:
    space = Param(x=[1], kind=FarError, arguments=[(1, 2)])
    with pytest.raises(JobError, match=r"fail_with\(.*\) raised FarError: 1 and 2"):
        map_pspace_parallel(fail_with, space, n_jobs=2, backend=backend)


NOTEBOOK = """\
from psyrun import Param, map_pspace_parallel

class OwnError(Exception):
    pass

def fn(x):
    raise OwnError(x)

try:
    map_pspace_parallel(fn, Param(x=[1]), n_jobs=2)
except OwnError as error:
    print(type(error).__name__, error, error.__notes__)
"""


def test_exceptions_of_a_script_are_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, check=True
    )
    assert done.stdout == "OwnError 1 ['raised in the call fn(x=1)']\n"


def square(x: int) -> dict[str, int]:
    return {"y": x**2}


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_progress_is_told_in_lines(
    capsys: pytest.CaptureFixture[str], n_jobs: int | None
) -> None:
    space = Param(x=range(3))
    if n_jobs is None:
        rows = map_pspace(square, space, progress=True)
    else:
        rows = map_pspace_parallel(square, space, n_jobs=n_jobs, progress=True)
    assert rows["y"] == [0, 1, 4]
    first, last = capsys.readouterr().err.splitlines()
    assert first == "0 of 3 assignments done"
    assert re.fullmatch(r"3 of 3 assignments done after \d+ s", last)


def test_rows_of_a_file_count_as_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.pkl"
    for n_points in (3, 5, 5):
        space = Param(x=range(n_points))
        map_pspace_hdd_backed(square, space, file, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert [re.sub(" after .*", "", line) for line in lines] == [
        "0 of 3 assignments done",
        "3 of 3 assignments done",
        "3 of 5 assignments done",
        "5 of 5 assignments done",
    ]


def test_progress_is_only_shown_if_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    map_pspace(square, Param(x=range(3)))
    assert capsys.readouterr().err == ""


def test_what_was_done_before_an_error_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(KeyError):
        map_pspace(fail, Param(x=[0, 1, 2, 3], name="a"), progress=True)
    assert "2 of 4 assignments done after" in capsys.readouterr().err


ON_TERMINAL = """\
import sys, time
from psyrun import Param, map_pspace

def fn(x):
    time.sleep(0.15)
    return {"y": x}

rows = map_pspace(fn, Param(x=[1, 2, 3, 4]), progress=True)
print(rows["y"])
"""


def test_a_terminal_has_a_bar_that_goes_away(tmp_path: Path) -> None:
    status, written = on_terminal([sys.executable, "-c", ON_TERMINAL], tmp_path)
    assert status == 0
    assert "3/4" in written
    assert "assignments done" not in written
    assert written.endswith("[1, 2, 3, 4]\r\n")
