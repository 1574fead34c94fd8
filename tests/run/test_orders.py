"""Assignments are evaluated in the order that was asked for."""

from __future__ import annotations

import pytest
from projects import Project, kill_all_of, wait_until

import psyrun
from psyrun.workdir.division import Division
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

TASK = """\
import time
from pathlib import Path
from psyrun import Param
from psyrun.backend import DistributeBackend, LoadBalancingBackend

pspace = Param(a=range(6)) * Param(b=range(8))
backend = {backend}
order = "{order}"
max_jobs = {n_jobs}


def execute(a, b):
    with Path("calls").open("a") as file:
        file.write(f"{{8 * a + b}}\\n")
    if Path("stop").exists() and Path("calls").read_text().count("\\n") >= 16:
        time.sleep(100)
    return {{"y": 8 * a + b}}
"""
ALL = list(range(48))


def task(order: str, *, backend: str = "DistributeBackend", n_jobs: int = 1) -> str:
    return TASK.format(order=order, backend=backend, n_jobs=n_jobs)


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
@pytest.mark.parametrize("order", ["even", "random"])
def test_the_result_is_in_the_order_of_the_space(
    project: Project, order: str, backend: str
) -> None:
    project.write(task(order, backend=backend))
    project.psy("run")
    calls = [int(line) for line in (project.folder / "calls").read_text().split()]
    assert sorted(calls) == ALL
    assert calls != ALL
    assert project.result()["y"] == ALL


def test_each_block_covers_the_space(project: Project) -> None:
    project.write(task("even", n_jobs=4))
    project.psy("run")
    assert project.calls() == ALL
    assert project.result()["y"] == ALL
    division = Division.load(TaskLayout(project.work()).round(1))
    blocks = [list(division.indices(block)) for block in range(4)]
    assert sorted(i for block in blocks for i in block) == ALL
    for block in blocks:
        assert {i // 8 for i in block} == set(range(6))


def test_a_run_that_is_killed_at_a_third_has_all_values(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(task("even"))
    (project.folder / "stop").touch()
    process = project.start("psyrun.cli", "run")
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and calls.read_text().count("\n") >= 16)
    kill_all_of(process)
    monkeypatch.chdir(project.folder)
    found = psyrun.load("a", partial=True, as_="xarray")
    there = found["y"].notnull()
    assert there.any("b").all()
    assert there.any("a").all()
    (project.folder / "stop").unlink()
    before = set(project.calls())
    project.psy("run")
    # What was being evaluated is evaluated again.
    assert len(before.intersection(project.calls())) <= 1
    assert project.result()["y"] == ALL


def test_the_command_line_has_the_last_word(project: Project) -> None:
    project.write(task("space"))
    project.psy("run", "--order", "even")
    calls = [int(line) for line in (project.folder / "calls").read_text().split()]
    assert sorted(calls) == ALL
    assert calls != ALL
    project.calls()
    # How it was evaluated does not matter any more.
    project.psy("run")
    assert project.calls() == []


def test_what_is_missing_is_divided_in_the_new_order(project: Project) -> None:
    project.write(task("space", n_jobs=2).replace('"y": 8', '"y": 1 // (b != 3) * 8'))
    project.psy("run", status=1)
    assert project.calls() == ALL
    project.write(task("even", n_jobs=2))
    project.psy("run", "--continue")
    assert project.calls() == [i for i in ALL if i % 8 == 3]
    assert project.result()["y"] == ALL


def test_other_orders_are_refused(project: Project) -> None:
    project.write(task("sobol"))
    said = project.psy("run", status=2).stderr
    assert "order is 'sobol'; it must be one of 'space', 'even', 'random'" in said
    project.psy("run", "--order", "sobol", status=2)
