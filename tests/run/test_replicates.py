"""Replicates have the same random numbers in each run, and alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from projects import Project

import psyrun
from psyrun import Param, map_pspace, map_pspace_parallel
from psyrun.pspace import replicates

TASK = """\
from pathlib import Path

from psyrun import Param
from psyrun.pspace import replicates

pspace = Param(x=[1, 2]) * replicates(3, seed=1)
max_jobs = 2


def execute(x, replicate, rng, seed):
    with Path("calls").open("a") as file:
        file.write(f"{10 * x + replicate}\\n")
    return {"y": x + rng.random(), "seed": str(seed)}
"""
# Also by other Pythons, and other versions of NumPy.
EXPECTED = [
    1.9377004788754948,
    1.4199563952183922,
    1.5937919015581667,
    2.194857459033363,
    2.914998018901219,
    2.5929553264717344,
]


def execute(x: float, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    return {"y": x + rng.random(), "seed": str(seed)}


@pytest.mark.slow
def test_a_row_is_the_same_in_each_run_and_alone(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.write(TASK)
    project.psy("run")
    small = psyrun.load("a", costs=True)
    assert small["y"] == EXPECTED
    assert small["cost_seed"].tolist() == small["seed"]
    # Others are added before, between and after them, in another order.
    project.edit("Param(x=[1, 2])", "Param(x=[0.5, 2.0, 1.5, 1.0]).shuffle()")
    project.edit("replicates(3", "replicates(250")
    project.write(project.taskfile().read_text() + "order = 'even'\n", "b")
    project.taskfile("a").unlink()
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "psyrun.cli", "run"]
    subprocess.run(command, cwd=project.folder, env=environment, check=True)
    large = project.result("b")
    points = zip(large["x"], large["replicate"], strict=True)
    found = dict(zip(points, large["y"], strict=True))
    assert len(found) == 1000
    points = zip(small["x"], small["replicate"], strict=True)
    assert [found[point] for point in points] == EXPECTED
    tested = project.psy("test", "b", "x=2", "replicate=1").stdout
    debugged = project.psy("debug", "b", "x=2", "replicate=1").stdout
    assert f"y = {EXPECTED[4]!r}" in tested
    assert f"y={EXPECTED[4]!r}" in debugged
    seed = small["seed"][4]
    assert f"    seed = {seed}\n" in tested
    assert f"replicate=1, seed={seed}\n" in debugged


def test_a_row_is_the_same_without_a_task() -> None:
    space = replicates(3, seed=1) * Param(x=[2, 1])
    found = map_pspace(execute, space)
    rows = zip(found["x"], found["replicate"], found["y"], strict=True)
    assert [y for *_, y in sorted(rows)] == EXPECTED
    assert map_pspace_parallel(execute, space, n_jobs=2) == found


@pytest.mark.slow
def test_what_is_evaluated_when_replicates_change(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.write(TASK)
    project.psy("run")
    assert project.calls() == [10, 11, 12, 20, 21, 22]
    before = project.result()["y"]
    project.edit("replicates(3", "replicates(4")
    project.psy("run")
    assert project.calls() == [13, 23]
    project.edit("seed=1", "seed=2")
    told = project.psy("run", "--continue")
    assert project.calls() == []
    assert "seed of replicates: 1 -> 2" in told.stdout + told.stderr
    told = project.psy("run")
    assert project.calls() == [10, 11, 12, 13, 20, 21, 22, 23]
    assert not set(before) & set(project.result()["y"])
    project.edit("seed=2", "seed=1")
    project.psy("run")
    assert project.calls() == []
    assert set(before) < set(project.result()["y"])


@pytest.mark.slow
def test_replicates_leave_rows_of_other_points_valid(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.write(
        TASK.replace(" * replicates(3, seed=1)", "")
        .replace("(x, replicate, rng, seed)", "(x, replicate=0, rng=None, seed=0)")
        .replace("rng.random()", "(rng.random() if rng else 0)")
    )
    project.psy("run")
    assert project.calls() == [10, 20]
    project.edit("[1, 2])", "[1, 2]) + Param(x=[1]) * replicates(2)")
    project.psy("run")
    assert project.calls() == [10, 11]
    costs = psyrun.load("a", costs=True)
    assert costs["cost_seed"].tolist()[:2] == ["", ""]
    assert "earlier" not in project.psy("status", "a").stdout
    assert "older" not in project.psy("run", "--continue").stdout
    assert project.calls() == []
    assert costs["cost_seed"].tolist()[2:] == costs["seed"][2:]


@pytest.mark.slow
def test_rows_so_far_have_their_seeds(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    project.write(TASK + "    assert False\n")
    project.edit("    return", "    if (x, replicate) != (2, 1):\n        return")
    project.psy("run", status=1)
    found = psyrun.load("a", partial=True, costs=True)
    assert found["y"] == [*EXPECTED[:4], EXPECTED[5]]
    assert found["cost_seed"].tolist() == found["seed"]


@pytest.mark.slow
def test_setup_must_not_return_what_replicates_give(project: Project) -> None:
    project.write(TASK + "\n\ndef setup(proc_id):\n    return {'rng': 1}\n")
    told = project.psy("run", status=2)
    assert "setup returns 'rng', which execute gets from" in told.stdout + told.stderr


@pytest.mark.slow
def test_jobs_refuse_a_seed_that_is_drawn_at_random(project: Project) -> None:
    project.write("import random\n" + TASK)
    project.edit("seed=1", "seed=random.randrange(2**60)")
    told = project.psy("run", status=2)
    assert "when the job was planned, and have seed=" in told.stdout + told.stderr
    assert "Give them a fixed number, such as seed=1" in told.stdout + told.stderr
