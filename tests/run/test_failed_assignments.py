"""Runs in which assignments fail: what is repeated, accepted, or stopped."""

import time

import pytest
from projects import Project

pytestmark = pytest.mark.slow

BACKENDS = ["DistributeBackend", "LoadBalancingBackend"]

TASK = """\
from pathlib import Path
from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range(20))
backend = {backend}
max_jobs = 2
file_dep = []


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    if x % 5 == 3 and not Path("fixed").exists():
        raise ValueError(f"cannot do {{x}}")
    return {{"y": x**2}}
"""
ALL = list(range(20))
BAD = [3, 8, 13, 18]
GOOD = [x for x in ALL if x not in BAD]


@pytest.fixture(params=BACKENDS)
def failing(project: Project, request) -> Project:
    """The project, in which a fifth of the assignments fail until it is fixed."""
    project.write(TASK.format(backend=request.param))
    return project


def test_failures_are_reported_and_the_others_kept(failing) -> None:
    errors = failing.psy("run", "-j", "2", status=1).stderr
    assert "ValueError" in errors and "16 of 20 assignments are kept" in errors
    assert failing.calls() == ALL
    assert not (failing.work() / "result.pkl").exists()


def test_only_failed_assignments_are_repeated(failing) -> None:
    failing.psy("run", status=1)
    failing.calls()
    (failing.folder / "fixed").touch()
    assert "4 failed assignments evaluated again" in failing.psy("run").stdout
    assert failing.calls() == BAD
    assert failing.result() == {"x": ALL, "y": [x**2 for x in ALL]}


def test_accepted_failures_are_gone_without_and_still_counted(failing) -> None:
    failing.psy("run", status=1)
    failing.calls()
    assert "without 4 assignments" in failing.psy("run", "--accept-failures").stdout
    assert failing.calls() == []
    assert failing.result() == {"x": GOOD, "y": [x**2 for x in GOOD]}
    assert "16/20" in failing.psy("status").stdout


def test_accepted_failures_are_not_tried_again(failing) -> None:
    failing.psy("run", "--accept-failures", "-j", "2")
    failing.calls()
    failing.psy("run")
    assert failing.calls() == []


def test_failures_are_accepted_in_the_first_run_too(failing) -> None:
    failing.psy("run", "--accept-failures", "-j", "2")
    assert failing.calls() == ALL
    assert failing.result()["x"] == GOOD


def test_continue_tries_accepted_failures_again_after_a_change(failing) -> None:
    failing.psy("run", "--accept-failures")
    failing.calls()
    failing.edit("x**2", "x**2 + 0")
    (failing.folder / "fixed").touch()
    failing.psy("run", "--continue")
    assert failing.calls() == BAD
    assert failing.result()["x"] == ALL


def test_a_run_with_too_many_failures_is_stopped(project) -> None:
    project.write(TASK.format(backend="DistributeBackend"))
    project.edit("x % 5 == 3", "x >= 3")
    errors = project.psy("run", "--max-failures", "2", status=1).stderr
    assert "max_failures" in errors
    # Three fail in the first job, and the second one does not begin.
    assert len(project.calls()) <= 6


def test_jobs_evaluate_nothing_once_too_many_have_failed(project) -> None:
    project.write(TASK.format(backend="DistributeBackend"))
    project.edit("max_jobs = 2", "max_jobs = 10\nmax_failures = 1")
    project.edit("x % 5 == 3", "x >= 0")
    assert "max_failures" in project.psy("run", status=1).stderr
    assert len(project.calls()) == 2
    # The records tell runs apart by their times.
    time.sleep(0.1)
    project.psy("run", status=1)
    assert len(project.calls()) == 2
    (project.folder / "fixed").touch()
    project.psy("run")
    assert project.calls() == ALL


def test_failures_of_an_earlier_run_do_not_stop_the_next(failing) -> None:
    failing.edit("max_jobs = 2", "max_jobs = 2\nmax_failures = 4")
    failing.psy("run", status=1)
    # The records tell runs apart by their times.
    time.sleep(0.1)
    failing.calls()
    failing.psy("run", status=1)
    assert failing.calls() == BAD


def test_rows_of_older_code_are_counted(project) -> None:
    project.psy("run")
    project.edit("x**2", "x**3")
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    project.psy("run", "--continue")
    assert project.result()["y"] == [1, 4, 9, 16, 125]
    assert "4 rows by an earlier version" in project.psy("status", "-v").stdout


def test_workers_stop_in_time_for_the_wall_time(project, monkeypatch) -> None:
    project.write(TASK.format(backend="LoadBalancingBackend"))
    project.edit("    return", "    import time; time.sleep(0.4)\n    return")
    (project.folder / "fixed").touch()
    monkeypatch.setenv("PSYRUN_DEADLINE", str(time.time() + 6))
    assert "wall time" in project.psy("run", status=1).stderr
    n_done = len(project.calls())
    assert 0 < n_done < 20
    monkeypatch.delenv("PSYRUN_DEADLINE")
    project.psy("run", "-j", "2")
    assert len(project.calls()) == 20 - n_done
    assert project.result()["x"] == ALL
