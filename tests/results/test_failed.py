"""Failed assignments as a table."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from projects import Project

import psyrun
from psyrun.errors import PsyrunError

pytestmark = pytest.mark.slow

FAILING = """\
import os
from dataclasses import dataclass
from pathlib import Path

from psyrun import Param


@dataclass(frozen=True)
class Shape:
    size: int


pspace = Param(
    x=[0, 1, 2, 3], name=["a", "it's, b", "c", "d"], host="mine", shape=Shape(1)
)
max_jobs = 1
pool_size = 2


def execute(x, name, host, shape):
    if x == 1:
        raise ValueError("bad,\\nvery \\"bad\\"")
    if x == 2 and not Path("mended").exists():
        os._exit(3)
    return {"y": x}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write(FAILING)
    project.psy("run", status=1)
    return project


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(project.folder)
    return project


def test_failures_are_columns(here: Project) -> None:
    table = psyrun.failed("a")
    assert list(table) == [
        "number",
        "x",
        "name",
        "host",
        "shape",
        "error",
        "message",
        "where",
        "host_",
        "attempt",
        "duration",
        "memory",
        "accepted",
    ]
    assert table["number"] == table["x"] == [1, 2]
    assert table["name"] == ["it's, b", "c"]
    assert [shape.size for shape in table["shape"]] == [1, 1]
    assert table["error"] == ["ValueError", "WorkerDied"]
    assert table["message"][0] == 'bad,\nvery "bad"'
    assert table["where"] == ["psy-tasks/task_a.py:22", "exit status 3"]
    assert all(table["host_"]) and table["host"] == ["mine"] * 2
    assert table["attempt"] == [1, 1]
    assert all(seconds > 0 for seconds in table["duration"])
    assert math.isnan(table["memory"][1])
    assert table["memory"][0] > 10**6
    assert table["accepted"] == [False, False]


def test_failures_are_a_frame(here: Project) -> None:
    frame = psyrun.failed("a", as_="pandas")
    assert isinstance(frame, pd.DataFrame)
    assert frame.groupby("error").size().to_dict() == {"ValueError": 1, "WorkerDied": 1}
    assert frame.x.tolist() == [1, 2]


def test_failures_are_tables_of_polars_and_arrow(here: Project) -> None:
    columns = psyrun.failed("a")
    frame = psyrun.failed("a", as_="polars")
    table = psyrun.failed("a", as_="arrow")
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == table.column_names == list(columns)
    for key in ("number", "x", "name", "error", "message", "accepted"):
        assert frame[key].to_list() == table[key].to_pylist() == columns[key]
    assert frame["shape"].to_list() == [{"size": 1}] * 2
    assert table["shape"].to_pylist() == ["Shape(size=1)"] * 2


def test_attempts_are_counted_and_what_has_a_row_has_not_failed(here: Project) -> None:
    (here.folder / "mended").touch()
    here.psy("run", status=1)
    table = psyrun.failed("a")
    assert (table["x"], table["attempt"]) == ([1], [2])
    here.psy("run", "--accept-failures")
    accepted = psyrun.failed("a")
    assert (accepted["x"], accepted["accepted"]) == ([1], [True])


def test_failures_are_found_from_below_and_by_the_work_folder(here: Project) -> None:
    (here.folder / "notebooks").mkdir()
    code = "import psyrun; print(psyrun.failed({!r})['shape'])"
    for task in ("a", "../psy-work/a"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(task)],
            cwd=here.folder / "notebooks",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "[Shape(size=1), Shape(size=1)]\n"


def test_without_failures_there_are_columns_without_rows(here: Project) -> None:
    here.edit("raise ValueError", "str")
    here.edit("os._exit(3)", "pass")
    assert psyrun.failed("a")["x"] == [1, 2]
    here.psy("run")
    assert psyrun.failed("a")["number"] == []
    here.write(FAILING, "new")
    assert psyrun.failed("new")["error"] == []


def test_what_is_no_task_or_form_is_told_in_one_line(here: Project) -> None:
    with pytest.raises(PsyrunError, match=r"'polar': there is no .* mean 'polars'"):
        psyrun.failed("a", as_="polar")
    with pytest.raises(PsyrunError, match="no task, work folder or data file"):
        psyrun.failed("b")
    with pytest.raises(PsyrunError, match=r"psy-tasks/task_a.py: is neither a task"):
        psyrun.failed("psy-tasks/task_a.py")


@pytest.mark.parametrize(
    ("form", "library"),
    [("pandas", "pandas"), ("polars", "polars"), ("arrow", "pyarrow")],
)
def test_without_a_library_one_line_names_the_extra(
    here: Project, form: str, library: str
) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; import psyrun; "
    code += f"print(psyrun.failed('a')['x']); psyrun.failed('a', as_={form!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[1, 2]\n"
    assert done.stderr.endswith(
        f"as_={form!r} needs {library}. "
        f"Install it with \"pip install 'psyrun[{form}]'\".\n"
    )


def test_failures_are_printed_as_comma_separated_values(here: Project) -> None:
    done = here.psy("failed", "--csv", "a")
    (here.folder / "failed.csv").write_text(done.stdout)
    frame = pd.read_csv(here.folder / "failed.csv")
    table = psyrun.failed("a")
    assert list(frame) == list(table)
    for key in ("number", "x", "name", "host", "error", "message", "where", "host_"):
        assert frame[key].tolist() == table[key]
    assert frame["attempt"].tolist() == [1, 1]
    assert math.isnan(frame["memory"][1])
    header = done.stdout.splitlines()[0]
    assert re.match("number,x,name,host,shape,error,message,where,host_,", header)


def test_without_failures_there_is_a_header(here: Project) -> None:
    here.write(FAILING, "new")
    done = here.psy("failed", "--csv", "new")
    assert done.stdout == (
        "number,error,message,where,host,attempt,duration,memory,accepted\n"
    )
    assert here.psy("failed", "--csv", "--traceback", "a", status=2).stderr.count("\n")
