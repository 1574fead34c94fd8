"""Runs that were suspended, and whose task another host has taken over meanwhile."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from projects import Project, descendants, wait_until

from psyrun.utils.resources import shipped
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

SLOW = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(40))
max_jobs = 4


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    time.sleep(float(Path("pause").read_text()))
    # The last two blocks.
    while x >= 20 and Path("hold").exists():
        time.sleep(0.02)
    return {"y": x**2}
"""
PLAIN = ("snakemake", "--snakefile", str(shipped("workflow", "Snakefile")))
PLAIN += ("--profile", str(shipped("profiles", "local")), "--cores", "2")
WAYS = {"psy run": ("psyrun.cli", "run", "-j", "2"), "plain": PLAIN}
ELSEWHERE = Holder("elsewhere", 1, "1", 0.0, token="theirs")


@pytest.fixture
def slow(project: Project) -> Project:
    (project.folder / "pause").write_text("0.1")
    project.write(SLOW)
    return project


class Run:
    """A run that has finished a block, and does not come to an end by itself."""

    def __init__(self, project: Project, command: tuple[str, ...]) -> None:
        (project.folder / "hold").touch()
        self.process = project.start(*command)
        self.round = TaskLayout(project.work()).round(1)
        wait_until(lambda: any(self.round.blocks.glob("*.pkl")) and self._is_at_work())
        self.family = descendants(self.process.pid)

    def _is_at_work(self) -> bool:
        return any(self.round.locks.glob("process-*"))

    def send(self, number: signal.Signals) -> None:
        for pid in (self.process.pid, *self.family):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        self.send(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def run(slow: Project, request: pytest.FixtureRequest) -> Iterator[Run]:
    run = Run(slow, request.param)
    yield run
    run.end()


def is_there(pid: int) -> bool:
    with suppress(OSError):
        # That of a zombie is empty.
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


def contents(folder: Path) -> dict[Path, bytes]:
    """Return what is to stay: all but what a run says, adds to, or is about to make."""
    own = (".log", ".slots", ".journal", ".tmp")
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in own
        and path.name != "run.json"
        and ".new." not in path.name
    }


def test_a_run_that_has_lost_its_task_ends_with_all_and_leaves_all_files(
    slow: Project, run: Run
) -> None:
    run.send(signal.SIGSTOP)
    lock = slow.work() / "lock"
    for path in (lock, *run.round.locks.glob("process-*")):
        path.write_text(json.dumps(asdict(ELSEWHERE)))
    for block in range(4):
        path = run.round.block(block, ".pkl")
        if not path.exists():
            path.write_bytes(b"made by the other run")
    journals = {p: p.read_bytes() for p in run.round.journals.glob("*.journal")}
    before = contents(slow.work())
    run.send(signal.SIGCONT)
    output, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == 2
    assert f"task 'a' is run by {ELSEWHERE} now" in errors
    assert "Traceback" not in output + errors
    wait_until(lambda: not any(map(is_there, run.family)))
    assert contents(slow.work()) == before
    for path, content in journals.items():
        assert path.read_bytes().startswith(content)


def test_a_run_that_has_lost_its_task_gives_the_locks_of_its_jobs_back(
    slow: Project, run: Run
) -> None:
    run.send(signal.SIGSTOP)
    (slow.work() / "lock").write_text(json.dumps(asdict(ELSEWHERE)))
    run.send(signal.SIGCONT)
    run.process.communicate(timeout=60)
    assert not list(run.round.locks.glob("process-*"))


def test_a_job_whose_lock_was_removed_by_hand_fails_soon(slow: Project) -> None:
    (slow.folder / "pause").write_text("1")
    process = slow.start("psyrun.cli", "run")
    lock = TaskLayout(slow.work()).round(1).lock("process-0")
    wait_until(lock.exists)
    wait_until((slow.folder / "calls").exists)
    lock.unlink()
    (slow.folder / "pause").write_text("3")
    # Workers look every five seconds, and the controller has its own lock still.
    wait_until(lambda: "its lock was removed" in log_of(slow, 0), 30)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    n_recorded = len(slow.calls())
    (slow.folder / "pause").write_text("0")
    slow.psy("run")
    assert 40 - n_recorded <= len(slow.calls()) <= 40 - n_recorded + 1
    assert slow.result() == {"x": list(range(40)), "y": [x**2 for x in range(40)]}


def log_of(project: Project, block: int) -> str:
    path = TaskLayout(project.work()).log("process", block)
    return path.read_text() if path.exists() else ""


WAIT = """
import os, sys
from pathlib import Path
from psyrun.steps.command import StepCommand
from psyrun.steps.main import _let_run_end
from psyrun.workdir.lock import Lock, local_controller
command = StepCommand.read(["merge", sys.argv[1], "1"])
lock = Lock(command.layout.lock, "task")
lock.acquire()
before = local_controller(command.layout)
_let_run_end(command, before)
print("goes on", flush=True)
lock.path.unlink()
if os.fork() == 0:
    _let_run_end(command, before)
    print("ended", flush=True)
    os._exit(0)
sys.stdin.read()
os._exit(0)
"""


def test_a_step_of_a_lost_run_ends_with_its_controller(tmp_path: Path) -> None:
    """Before that, Snakemake would see it fail, and remove what is another run's."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(tmp_path / "a")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    lines = iter(process.stdout.readline, "")
    assert next(lines) == "goes on\n"
    assert "waiting for process" in next(lines)
    process.stdin.close()
    assert next(lines) == "ended\n"
    process.stdout.close()
    process.wait()
