"""Runs that evaluate a part of a space, as a user starts and kills them."""

from __future__ import annotations

import pytest
from projects import Project, kill_all_of, wait_until

TASK = """\
import time
from pathlib import Path
from psyrun import Param
from psyrun.backend import DistributeBackend, LoadBalancingBackend

pspace = Param(a=range(6)) * Param(b=range(8))
backend = {backend}
max_jobs = 2


def execute(a, b):
    with Path("calls").open("a") as file:
        file.write(f"{{8 * a + b}}\\n")
    if Path("stop").exists() and Path("calls").read_text().count("\\n") >= 4:
        time.sleep(100)
    return {{"y": 8 * a + b}}
"""
ALL = list(range(48))
PART = [8 * a + b for a in range(2, 5) for b in (1, 7)]
pytestmark = pytest.mark.slow


def task(backend: str = "DistributeBackend") -> str:
    return TASK.format(backend=backend)


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_a_run_of_a_part_that_is_killed_goes_on(project: Project, backend: str) -> None:
    project.write(task(backend))
    (project.folder / "stop").touch()
    process = project.start("psyrun.cli", "run", "-p", "a=2:5", "-p", "b=1,7")
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and calls.read_text().count("\n") >= 4)
    kill_all_of(process)
    (project.folder / "stop").unlink()
    before = project.calls()
    assert set(before) < set(PART)
    said = project.psy("run", "-p", "b=1,7", "-p", "a=2:5").stdout
    assert "a: 6 of 48 assignments chosen (b=1,7, a=2:5)" in said
    more = project.calls()
    # What was being evaluated is evaluated again.
    assert len(set(before).intersection(more)) <= 1
    assert sorted({*before, *more}) == PART
    assert project.result()["y"] == PART
    project.psy("run", "-j", "2")
    assert project.calls() == [i for i in ALL if i not in PART]
    assert project.result()["y"] == ALL


def test_plain_snakemake_does_the_rest(project: Project) -> None:
    project.write(task())
    project.psy("run", "-p", "a=2")
    assert project.calls() == list(range(16, 24))
    # What was not chosen is there, too.
    project.psy("debug", "a", "a=5", "b=0")
    assert project.calls() == [40]
    project.snakemake()
    assert project.calls() == [i for i in ALL if i // 8 != 2]
    assert project.result()["y"] == ALL


def test_a_detached_run_is_of_the_part(project: Project) -> None:
    project.write(task())
    project.psy("run", "--detach", "-p", "a=2", "a")
    project.psy("attach", "a")
    assert project.calls() == list(range(16, 24))
    assert "8/48" in project.psy("status").stdout


def test_a_name_that_one_of_several_tasks_lacks_stops_all(project: Project) -> None:
    project.write(task())
    other = "from psyrun import Param\npspace = Param(c=[1])\nexecute = dict\n"
    project.write(other, "c")
    assert "task 'c': -p: there is no parameter 'a'" in (
        project.psy("run", "-p", "a=2", status=2).stderr
    )
    assert project.calls() == []
    assert not (project.work() / "state.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "a"], "run: -p 'a' has no name and value"),
        (["-p", "a=1", "-p", "a=2"], "run: -p names 'a' twice"),
        (["-p", "a=1", "--fresh"], "--fresh evaluates all again, and -p only a part"),
    ],
)
def test_parts_that_say_nothing_are_refused(
    project: Project, arguments: list[str], message: str
) -> None:
    project.write(task())
    assert message in project.psy("run", *arguments, status=2).stderr
