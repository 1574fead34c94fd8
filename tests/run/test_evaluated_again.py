"""Rows are evaluated again although they are valid: ``psy run --rerun``."""

from __future__ import annotations

import signal
import subprocess

import pytest
from projects import Project, kill_all_of, wait_until

import psyrun

pytestmark = pytest.mark.slow

TASK = """\
import time
from pathlib import Path

from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while Path("hold").exists() and x > 2:
        time.sleep(0.05)
    if Path("broken").exists() and x > 3:
        raise ValueError("as asked")
    return {"y": x**2, "run": int(Path("number").read_text())}
"""


@pytest.fixture
def done(project: Project) -> Project:
    """A project whose task is done."""
    project.write(TASK)
    number(project, 1)
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    return project


def number(project: Project, run: int) -> None:
    """Say to the rows which run they are of."""
    (project.folder / "number").write_text(str(run))


def test_what_an_expression_selects_is_evaluated_again(done: Project) -> None:
    number(done, 2)
    said = done.psy("run", "-n", "--rerun", "1 < y < 16").stdout
    assert "a: 2 to evaluate (2 of them again), 2 kept," in said
    assert done.calls() == []
    said = done.psy("run", "--rerun", "1 < y < 16").stdout
    assert "a: 2 assignments evaluated again ('1 < y < 16')\n" in said
    assert done.calls() == [2, 3]
    assert done.result()["run"] == [1, 2, 2, 1]
    done.psy("run")
    done.snakemake()
    assert done.calls() == []


def test_rows_of_an_older_version_are_evaluated_again(done: Project) -> None:
    done.edit("x**2", "x**3")
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    done.psy("run", "--continue")
    assert done.calls() == [5]
    assert len(psyrun.stale(done.work())) == 4
    error = done.psy("run", "--rerun", "x == 1", status=2).stderr
    assert "would compute 3 other rows again, made by an older version" in error
    done.psy("run", "--continue", "--rerun", "x == 1")
    assert done.calls() == [1]
    done.psy("run", "--rerun", "stale")
    assert done.calls() == [2, 3, 4]
    assert done.result()["y"] == [1, 8, 27, 64, 125]


def test_accepted_failures_are_evaluated_again(done: Project) -> None:
    (done.folder / "broken").touch()
    done.edit("[1, 2, 3, 4]", "[1, 2, 3, 5]")
    done.psy("run", "--accept-failures")
    assert done.calls() == [5]
    done.psy("run", "--accept-failures", "--rerun", "failed")
    assert done.calls() == [5]
    (done.folder / "broken").unlink()
    said = done.psy("run", "--rerun", "failed").stdout
    assert "a: 1 assignment evaluated again (failed)" in said
    assert done.calls() == [5]
    assert done.result()["x"] == [1, 2, 3, 5]


def begun(project: Project) -> subprocess.Popen[str]:
    """Begin to evaluate all again, until two rows are recorded and two are awaited."""
    (project.folder / "hold").touch()
    number(project, 2)
    process = project.start("psyrun.cli", "run", "-j2", "--rerun", "y > 0")

    def has_rows() -> bool:
        return psyrun.load(project.work(), partial=True).get("run") == [2, 2]

    try:
        wait_until(has_rows)
    except BaseException:
        kill_all_of(process)
        raise
    return process


def ended(project: Project) -> None:
    """Check that the old rows are there, and let evaluations end."""
    assert project.result()["run"] == [1, 1, 1, 1]
    assert psyrun.load(project.work())["run"] == [1, 1, 1, 1]
    (project.folder / "hold").unlink()
    project.calls()
    number(project, 3)


def test_after_ctrl_c_a_run_goes_on_and_does_not_begin_again(done: Project) -> None:
    process = begun(done)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "'psy run --continue a' keeps them" in errors
    assert "rows of --rerun 'y > 0' in the result until" in done.psy("status").stdout
    ended(done)
    assert "goes on with what is evaluated again ('y > 0')" in done.psy("run").stdout
    assert done.calls() == [3, 4]
    assert done.result()["run"] == [2, 2, 3, 3]
    done.psy("run")
    assert done.calls() == []


def test_after_a_kill_snakemake_goes_on_as_well(done: Project) -> None:
    kill_all_of(begun(done))
    ended(done)
    done.snakemake()
    assert done.calls() == [3, 4]
    assert done.result()["run"] == [2, 2, 3, 3]


def test_after_a_kill_the_old_rows_can_be_kept(done: Project) -> None:
    kill_all_of(begun(done))
    ended(done)
    done.psy("run", "--continue")
    assert done.calls() == []
    assert done.result()["run"] == [2, 2, 1, 1]


def test_a_detached_run_evaluates_again(done: Project) -> None:
    number(done, 2)
    done.psy("run", "--detach", "--rerun", "x > 3 and y > 0")
    done.psy("attach", "a")
    assert done.calls() == [4]
    assert done.result()["run"] == [1, 1, 1, 2]


def test_what_is_refused_for_one_task_is_done_for_none(done: Project) -> None:
    done.write(TASK.replace("(x", "(z").replace("x ", "z ").replace("x**", "z**"), "b")
    done.edit("{x}", "{z}", "b")
    for rerun, error in {
        "x > 1": "psy: task 'b': was never run, so that nothing is evaluated again. ",
        "y > 1 and": "psy: task 'a': --rerun: 'y > 1 and' is no Python expression (",
    }.items():
        said = done.psy("run", "--rerun", rerun, status=2)
        assert error in said.stderr and "Traceback" not in said.stderr
        assert done.calls() == []
    done.psy("run", "b")
    done.calls()
    said = done.psy("run", "--rerun", "x > 1", "a", "b", status=2)
    assert said.stderr.startswith("psy: task 'b': --rerun: 'x > 1' uses 'x', which is")
    assert said.stderr.count("\n") == 1
    assert done.calls() == []
    done.psy("run", "--rerun", "y == 4", "a", "b")
    assert done.calls() == [2, 2]
    said = done.psy("run", "--rerun", "True", "--fresh", status=2)
    assert said.stderr.startswith("psy: --fresh evaluates all again, and --rerun only")
