"""Assignments that are done, failed or of an older version, as spaces."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project

import psyrun
from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace.space import Product

GRID = """\
from psyrun import Param

pspace = Param(x={xs}) * Param(y=[10, 20])
max_jobs = 3
max_failures = None


def execute(x, y):
    if x == 2:
        raise {error}("as asked")
    return {{"z": {z}}}
"""


def grid(xs: str = "[0, 1]", z: str = "x + y", error: str = "ValueError") -> str:
    return GRID.format(xs=xs, z=z, error=error)


def points(space) -> list[tuple[int, int]]:
    columns = space.build()
    return list(zip(columns["x"], columns["y"], strict=True)) if len(space) else []


def test_all_that_is_done_keeps_its_structure(done) -> None:
    done(grid())
    space = psyrun.done("a")
    assert isinstance(space, Product)
    assert points(space) == [(0, 10), (0, 20), (1, 10), (1, 20)]
    assert len(psyrun.stale("a")) == 0
    assert len(psyrun.failed("a", as_="space")) == 0


def test_no_task_file_is_run(done) -> None:
    done(grid())
    path = Path("psy-tasks/task_a.py")
    path.write_text(path.read_text() + "\nraise SystemExit('it was run')\n")
    assert len(psyrun.done("a")) == 4
    assert len(psyrun.stale("a")) in (0, 4)


def test_what_is_done_grows_with_the_blocks(done) -> None:
    done(grid("[0, 1, 3]"), "split")
    assert len(psyrun.done("a")) == 0
    done(grid("[0, 1, 3]"), "process 1")
    assert points(psyrun.done("a")) == [(1, 10), (1, 20)]
    todo = Param(x=[0, 1, 3]) * Param(y=[10, 20]) - psyrun.done("a")
    assert points(todo) == [(0, 10), (0, 20), (3, 10), (3, 20)]


def test_what_failed_is_a_space_also_by_its_cause(done) -> None:
    done(grid("[0, 1, 2]"), "split", "process 0", "process 1", "process 2")
    assert points(psyrun.failed("a", as_="space")) == [(2, 10), (2, 20)]
    assert points(psyrun.failed("a", as_="space", cause="ValueError")) == [
        *((2, 10), (2, 20)),
    ]
    assert len(psyrun.failed("a", as_="space", cause="KeyError")) == 0
    assert psyrun.failed("a", cause="KeyError")["number"] == []
    assert psyrun.failed("a", cause="ValueError")["x"] == [2, 2]
    assert points(psyrun.done("a")) == [(0, 10), (0, 20), (1, 10), (1, 20)]


def test_rows_of_older_versions_are_told_by_the_code_as_it_is(done) -> None:
    done(grid())
    path = Path("psy-tasks/task_a.py")
    path.write_text(grid(z="x - y"))
    assert points(psyrun.stale("a")) == [(0, 10), (0, 20), (1, 10), (1, 20)]
    done(grid("[0, 1, 3]", z="x - y"), keep_going=True)
    assert points(psyrun.stale("a")) == [(0, 10), (0, 20), (1, 10), (1, 20)]
    current = psyrun.done("a") - psyrun.stale("a")
    assert points(current) == [(3, 10), (3, 20)]
    path.write_text(grid())
    assert points(psyrun.stale("a")) == [(3, 10), (3, 20)]


def test_tasks_are_found_from_below_and_by_their_work_folder(done, monkeypatch) -> None:
    done(grid())
    Path("notebooks").mkdir()
    monkeypatch.chdir("notebooks")
    assert len(psyrun.done("a")) == len(psyrun.done("../psy-work/a")) == 4
    Path("../psy-tasks/task_a.py").write_text(grid(z="x * y"))
    assert len(psyrun.stale("a")) == len(psyrun.stale("../psy-work/a")) == 4
    assert Path.cwd().name == "notebooks"


@pytest.mark.parametrize("of", [psyrun.done, psyrun.stale])
def test_what_was_never_run_or_is_no_task_is_told_in_one_line(done, of) -> None:
    Path("psy-tasks/task_a.py").write_text(grid())
    with pytest.raises(PsyrunError, match=r"task 'a': was never run\. Start it with"):
        of("a")
    with pytest.raises(PsyrunError, match=r"^b: there is no task, work folder"):
        of("b")
    Path("some.pkl").touch()
    with pytest.raises(PsyrunError, match=r"is neither a task nor the work folder"):
        of("some.pkl")


NEW = """\
import psyrun
from psyrun import Param

pspace = Param(x=range(6)) - psyrun.done("a")


def execute(x):
    with open("new-calls", "a") as file:
        file.write(f"{x}\\n")
    return {"y": -x}
"""


@pytest.mark.slow
def test_a_task_takes_what_another_one_has_not_done(project: Project) -> None:
    project.psy("run", "a")
    project.write(NEW, "new")
    said = project.psy("run", "new")
    assert "file_dep" not in said.stdout + said.stderr
    assert project.calls("new-calls") == [0, 5]
    # What was divided stays, also when the other task gets more rows.
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    project.psy("run", "--continue", "a")
    project.psy("run", "new")
    assert project.calls("new-calls") == []
    assert project.result("new")["x"] == [0, 5]
