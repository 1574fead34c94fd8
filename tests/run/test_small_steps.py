"""Split and merge of small tasks in a queue, which need no job of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project, wait_until

from psyrun.utils.resources import shipped

pytestmark = pytest.mark.slow

TASK = """\
import os
import signal
import sys
import time
from pathlib import Path

from local_queue import LocalQueue
from psyrun import Param

pspace = Param(x=range(4))
max_jobs = 2
scheduler = LocalQueue("my queue")


def execute(x):
    return {"y": x**2}
"""

# What a step does on this machine, and not as a job of the queue.
IN_STEP = """
if "{step}" in sys.argv and "PSYRUN_JOB" not in os.environ:
    {deed}
"""
WAIT = 'Path("waits").touch()\n    while not Path("go").exists(): time.sleep(0.05)'
BOTH = ["a:merge", "a:process:0", "a:process:1", "a:split"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    project.write(TASK)
    return project


def jobs(project: Project) -> list[str]:
    """Return the names of the jobs that the queue has had."""
    return sorted(path.read_text() for path in project.folder.glob("my queue/*/name"))


def append(project: Project, text: str) -> None:
    project.write(project.taskfile().read_text() + text)


def waiting(project: Project, step: str) -> subprocess.Popen[str]:
    """Return a run one of whose steps waits on this machine."""
    append(project, IN_STEP.format(step=step, deed=WAIT))
    process = project.start("psyrun.cli", "run")
    wait_until((project.folder / "waits").exists)
    return process


def go_on(project: Project) -> None:
    (project.folder / "go").touch()
    project.psy("run")
    assert project.result()["y"] == [0, 1, 4, 9]


def test_they_are_no_jobs_and_else_as_before(project: Project) -> None:
    shown = project.psy("run").stdout
    assert jobs(project) == ["a:process:0", "a:process:1"]
    assert project.result()["y"] == [0, 1, 4, 9]
    assert ".  a:split\n" in shown
    assert ".  a:merge\n" in shown
    logs = {path.name for path in project.work().glob("a:*.log")}
    assert logs == {f"{name}.log" for name in BOTH}
    assert "done" in project.psy("status").stdout
    assert ".  " not in project.psy("run").stdout


def test_plain_snakemake_does_the_same(project: Project) -> None:
    options = ["--profile", str(shipped("profiles", "queue"))]
    snakefile = str(shipped("workflow", "Snakefile"))
    project.run("snakemake", "--snakefile", snakefile, *options)
    assert jobs(project) == ["a:process:0", "a:process:1"]
    assert project.result()["y"] == [0, 1, 4, 9]


@pytest.mark.parametrize(
    ("in_task", "of_site", "expected"),
    [
        ("queue", None, BOTH),
        (None, "queue", BOTH),
        ("local", "queue", BOTH[1:3]),
    ],
)
def test_task_and_site_can_ask_for_jobs(
    project: Project, in_task: str | None, of_site: str | None, expected: list[str]
) -> None:
    if in_task is not None:
        append(project, f"split_and_merge = {in_task!r}\n")
    options = ["--", "--psyrun-split-and-merge", of_site] if of_site else []
    project.psy("run", *options)
    assert jobs(project) == expected
    assert project.result()["y"] == [0, 1, 4, 9]


def test_a_site_that_says_something_else_is_told(project: Project) -> None:
    said = project.psy("run", "--", "--psyrun-split-and-merge", "no", status=2).stderr
    assert "psyrun-split-and-merge: must be auto, local or queue, got 'no'." in said
    assert "Traceback" not in said


def test_arguments_of_its_own_give_a_step_a_job(project: Project) -> None:
    text = 'scheduler_args = {"nice": lambda job: 2 if job.endswith("merge") else 1}\n'
    append(project, text)
    project.psy("run")
    assert jobs(project) == BOTH[:3]
    assert project.result()["y"] == [0, 1, 4, 9]


def test_a_step_that_fails_says_why(project: Project) -> None:
    deed = 'Path("go").exists() or sys.exit("not here")'
    append(project, IN_STEP.format(step="split", deed=deed))
    said = project.psy("run", status=2).stderr
    assert "a:split failed; its log is psy-work/a/a:split.log:" in said
    assert "not here" in said
    assert jobs(project) == []
    go_on(project)


def test_an_exit_without_a_cause_is_told(project: Project) -> None:
    append(project, IN_STEP.format(step="split", deed="os._exit(7)"))
    said = project.psy("run", status=2).stderr
    assert "a:split failed" in said
    assert re.search(r"psy-tasks/task_a\.py:\d+: raised SystemExit: 7 while", said)
    assert jobs(project) == []


@pytest.mark.parametrize("step", ["split", "merge"])
def test_what_this_machine_kills_gets_a_job(project: Project, step: str) -> None:
    deed = "os.kill(os.getpid(), signal.SIGKILL)"
    append(project, IN_STEP.format(step=step, deed=deed))
    shown = project.psy("run").stdout
    assert f"a:{step}: signal 9 (SIGKILL" in shown
    assert "it gets a job of its own" in shown
    assert jobs(project) == sorted(["a:process:0", "a:process:1", f"a:{step}"])
    assert project.result()["y"] == [0, 1, 4, 9]


@pytest.mark.parametrize("step", ["split", "merge"])
def test_ctrl_c_ends_a_step_and_the_next_run_goes_on(
    project: Project, step: str
) -> None:
    process = waiting(project, step)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    go_on(project)
    assert jobs(project) == ["a:process:0", "a:process:1"]


def test_kill_ends_a_step(project: Project) -> None:
    process = waiting(project, "split")
    assert "running" in project.psy("status").stdout
    assert "a: stopped" in project.psy("kill", "a").stdout
    process.communicate(timeout=60)
    assert "nothing is running" in project.psy("kill", "a").stdout
    go_on(project)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_step_ends_with_its_controller(project: Project) -> None:
    process = waiting(project, "merge")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    go_on(project)
    assert jobs(project) == ["a:process:0", "a:process:1"]
