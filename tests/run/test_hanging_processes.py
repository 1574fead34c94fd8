"""Processes that seem to hang are told of, by each command that shows a run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from accepting import accept_plan
from projects import Project, kill_all_of, wait_until

from psyrun.utils.environment import HANG_LIMIT_VARIABLE
from psyrun.utils.resources import shipped

pytestmark = pytest.mark.slow

# A lock that is held when workers are forked keeps them waiting for ever.
DEADLOCK = """\
import threading
from psyrun import Param

pspace = Param(x=range(4))
max_jobs = 1
lock = threading.Lock()
lock.acquire()
{top}

def execute(x):
    if x == 1:
        lock.acquire()
    return {{"y": x}}
"""
THREAD = """\
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
WAITING = """\
        while not Path("go").exists():
            time.sleep(0.02)"""
# Where the process is what is named, its import lasts until there is a file.
SLOW_IMPORT = """\
import sys
import time
from pathlib import Path
from psyrun import Param

while "psyrun.steps{kind}" in sys.orig_argv and not Path("go").exists():
    time.sleep(0.02)

pspace = Param(x=range(4))


def execute(x):
    return {{"y": x}}
"""
PLAIN = (
    *("--snakefile", str(shipped("workflow", "Snakefile"))),
    *("--profile", str(shipped("profiles", "local")), "--cores", "2"),
)
RUNNING = re.compile(r"process (\d+) seems to hang: .*: py-spy dump --pid \1$", re.M)


class Watched:
    """A project whose run may hang."""

    def __init__(self, folder: Path) -> None:
        self.project = Project(folder)
        self.runs: list[subprocess.Popen[str]] = []

    def start(self, *command: str) -> subprocess.Popen[str]:
        self.runs.append(self.project.start("psyrun.cli", *command))
        return self.runs[-1]

    def start_snakemake(self) -> subprocess.Popen[str]:
        self.runs.append(self.project.start("snakemake", *PLAIN))
        return self.runs[-1]

    def log(self) -> str:
        path = self.project.work() / "run.log"
        return path.read_text() if path.exists() else ""

    def status(self, *options: str) -> str:
        return self.project.psy("status", *options).stdout

    def hanging(self) -> int:
        """Wait until it is in the log that a process hangs, and return it."""
        wait_until(lambda: RUNNING.search(self.log()))
        return int(RUNNING.findall(self.log())[0])


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv(HANG_LIMIT_VARIABLE, "1")
    watched = Watched(tmp_path / "project")
    yield watched
    for run in watched.runs:
        if run.poll() is None:
            kill_all_of(run)
        for stream in (run.stdout, run.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.parametrize("top", ["", THREAD], ids=["copies", "fresh workers"])
def test_a_deadlock_is_told_of_once_while_it_lasts(watched: Watched, top: str) -> None:
    watched.project.write(DEADLOCK.format(top=top))
    run = watched.start("run")
    pid = watched.hanging()
    (line,) = watched.status().splitlines()[1:]
    assert f"process:0 seems to hang: py-spy dump --pid {pid}" in line
    details = watched.status("-v")
    assert "a: 1 process without progress" in details
    assert re.search(
        rf"process:0: process {pid} seems to hang: no CPU time used for .* in "
        rf"assignment 1 \(x=1\): py-spy dump --pid {pid}",
        details,
    )
    assert "freshworker" in Path(f"/proc/{pid}/cmdline").read_text() or not top
    os.kill(pid, signal.SIGKILL)
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert len(re.findall("seems to hang", output)) == 1
    assert "seems to hang" not in watched.status("-v")
    assert "seems to hang" in (watched.project.work() / "a:process:0.log").read_text()
    assert "x=1" in watched.project.psy("failed", "a").stdout


def test_what_a_killed_job_noted_does_not_show(watched: Watched) -> None:
    watched.project.write(DEADLOCK.format(top=""))
    run = watched.start("run")
    watched.hanging()
    kill_all_of(run)
    assert (watched.project.work() / "round-1/hanging/process-0.json").exists()
    assert "seems to hang" not in watched.status("-v")


def test_a_process_that_goes_on_is_told_of_too(watched: Watched) -> None:
    watched.project.write(
        DEADLOCK.format(top="import time\nfrom pathlib import Path\n")
    )
    watched.project.edit("        lock.acquire()", WAITING)
    run = watched.start("run")
    pid = watched.hanging()
    (watched.project.folder / "go").touch()
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert watched.project.result()["y"] == [0, 1, 2, 3]
    assert f"a:process:0: process {pid} seems" in output
    assert not list((watched.project.work() / "round-1/hanging").iterdir())


def test_an_import_that_hangs_before_the_first_job_is_told_of(watched: Watched) -> None:
    watched.project.write(SLOW_IMPORT.format(kind=".forkserver"))
    run = watched.start("run")
    pid = watched.hanging()
    assert f"import seems to hang: py-spy dump --pid {pid}" in watched.status()
    (watched.project.folder / "go").touch()
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 0
    assert "in the import of the task file" in output
    assert not errors
    assert "seems to hang" not in watched.status("-v")


def test_a_run_of_plain_snakemake_is_looked_after_too(watched: Watched) -> None:
    watched.project.write(SLOW_IMPORT.format(kind=".forkserver"))
    run = watched.start_snakemake()
    wait_until(lambda: "import seems to hang" in watched.status())
    follower = watched.start("attach", "a")
    assert follower.stdout is not None
    line = next(li for li in follower.stdout if "seems to hang" in li)
    assert "in the import of the task file" in line
    (watched.project.folder / "go").touch()
    output, errors = run.communicate(timeout=60)
    assert run.returncode == 0, output + errors


def test_a_job_that_imports_the_task_by_itself_is_looked_after(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a queue."""
    project = watched.project
    project.write(SLOW_IMPORT.format(kind=""))
    monkeypatch.chdir(project.folder)
    accept_plan(Path("psy-tasks/task_a.py")).release()
    job = project.start("psyrun.steps", "split", "psy-work/a", "1")
    watched.runs.append(job)
    wait_until(lambda: "split seems to hang" in watched.status())
    assert f"py-spy dump --pid {job.pid}" in watched.status()
    (project.folder / "go").touch()
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 0
    assert "in the import of the task file" in errors
