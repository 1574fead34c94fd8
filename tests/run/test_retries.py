"""Assignments whose process is killed on this machine, and tried again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import Project

import psyrun

pytestmark = pytest.mark.slow

# Killed as often as the file says.
TASK = """\
import os
import signal
from pathlib import Path
from psyrun import Param, {backend}
{top}

pspace = Param(x=range(8))
max_jobs = 1
pool_size = 2
max_failures = 0
retries = 2
backend = {backend}


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    if x in (2, 5):
        n_calls = Path("calls").read_text().split().count(str(x))
        if n_calls <= int(Path("deaths").read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
    return {{"y": x**2}}
"""
QUEUE = """\
from local_queue import LocalQueue
scheduler = LocalQueue("my queue")
"""
ALL = list(range(8))


def project_with(project: Project, deaths: int, **settings: str) -> Project:
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    (project.folder / "deaths").write_text(str(deaths))
    defaults = {"backend": "DistributeBackend", "top": ""}
    project.write(TASK.format(**(defaults | settings)))
    return project


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_what_was_killed_is_tried_again_after_the_others(
    project: Project, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_with(project, 2, backend=backend)
    said = project.psy("run").stdout
    assert "the process of assignment 2 (x=2) ended with signal 9 (SIGKILL" in said
    order = [int(each) for each in (project.folder / "calls").read_text().split()]
    assert sorted(order[:8]) == ALL
    assert sorted(order[8:]) == [2, 2, 5, 5]
    assert project.result() == {"x": ALL, "y": [x**2 for x in ALL]}
    monkeypatch.chdir(project.folder)
    attempts = psyrun.load("a", costs=True)["cost_attempt"]
    assert attempts.tolist() == [3 if x in (2, 5) else 1 for x in ALL]


def test_what_is_killed_each_time_has_failed(project: Project) -> None:
    project_with(project, 1000)
    project.edit("max_failures = 0\n", "")
    project.psy("run", status=1)
    assert project.calls() == sorted([*ALL, 2, 2, 5, 5])
    assert project.psy("failed", "--all", "a").stdout.count("WorkerDied") == 2


def test_in_a_queue_it_is_left_to_the_next_job(project: Project) -> None:
    project_with(project, 1, top=QUEUE)
    project.edit("max_failures = 0\n", "")
    project.psy("run", status=1)
    assert project.calls() == ALL
