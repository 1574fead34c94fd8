import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from accepting import accept_plan

from psyrun.cli.main import main
from psyrun.planning.prepare import TaskRun
from psyrun.steps.main import run

SQUARE = """\
from psyrun import Param

pspace = Param(x=range(10))
max_jobs = 2


def execute(x):
    return {"y": x**2}
"""


@dataclass(frozen=True)
class Result:
    """How a call of psy ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "psy-tasks").mkdir()
    return tmp_path


@pytest.fixture
def write_task(project) -> Callable[..., Path]:
    """Write a task file that squares ten numbers, or another one."""

    def write(name: str = "square", text: str = SQUARE) -> Path:
        path = Path("psy-tasks", f"task_{name}.py")
        path.write_text(text)
        return path

    return write


@pytest.fixture
def psy(project, capfd) -> Callable[..., Result]:
    """Call psy in this process."""

    def call(*arguments: str) -> Result:
        capfd.readouterr()
        status = main(arguments)
        out, err = capfd.readouterr()
        return Result(status, out, err)

    return call


@pytest.fixture
def start_psy(project) -> Callable[..., subprocess.Popen[str]]:
    """Start psy as a process of its own, which ends with the test."""
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "psyrun.cli", *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def work(project) -> Callable[..., TaskRun]:
    """Do some steps of a task, as its jobs do."""

    def work(*steps: str, name: str = "square", keep_going: bool = False) -> TaskRun:
        path = Path("psy-tasks", f"task_{name}.py")
        task = accept_plan(path, keep_going=keep_going)
        where = [str(task.layout.folder), str(task.plan.round)]
        for step in steps:
            kind, *block = step.split()
            run([kind, *where, *block])
        task.release()
        return task

    return work


@pytest.fixture
def finish(work) -> Callable[..., TaskRun]:
    """Do all steps of a task that has two blocks."""

    def finish(name: str = "square", keep_going: bool = False) -> TaskRun:
        steps = ("split", "process 0", "process 1", "merge")
        return work(*steps, name=name, keep_going=keep_going)

    return finish
