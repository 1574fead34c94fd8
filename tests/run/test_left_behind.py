"""Nothing that a run has started lives longer than the run, however that ends."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from projects import Project, wait_until

from psyrun.utils.process.offspring import children

pytestmark = pytest.mark.slow

VARIABLE = "LEFT_BEHIND_MARK"

BEGIN = """\
import os, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool, Process
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(4))
max_jobs = 2
SLEEP = [sys.executable, "-c", "import time; time.sleep(1000)"]


def double(x):
    return 2 * x


def wait():
    time.sleep(1000)


def wait_while_told_to(x):
    Path(f"worker-{x}").write_text(str(os.getpid()))
    Path(f"at-{x}").touch()
    while Path("hold").exists():
        time.sleep(0.02)
"""
END = """

def execute(x, **extras):
    {execute}
    wait_while_told_to(x)
    return {{"y": 2 * x}}
"""
DETACHED = 'subprocess.run(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 &"])'
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print(flush=True); time.sleep(1000)"
)
START_DEAF = (
    f"subprocess.Popen([sys.executable, '-c', {DEAF!r}], stdout=subprocess.PIPE)"
    ".stdout.readline()"
)

# At top level, in `setup`, in `execute`.
WAYS = {
    "executor at top level": (
        "pool = ProcessPoolExecutor(2)\npool.submit(double, 1).result()",
        "pass",
        "pass",
    ),
    "pool at top level": ("pool = Pool(2)\npool.apply(double, (1,))", "pass", "pass"),
    "program at top level": ("subprocess.Popen(SLEEP)", "pass", "pass"),
    "executor from setup": (
        "",
        "pool = ProcessPoolExecutor(1); return {'pool': pool, 'y': "
        "pool.submit(double, 1).result()}",
        "pass",
    ),
    "pool from setup": ("", "return {'pool': Pool(1)}", "pass"),
    "joblib": (
        "",
        "pass",
        "from joblib import Parallel, delayed\n"
        "    Parallel(n_jobs=2)(delayed(abs)(i) for i in range(4))",
    ),
    "daemon": ("", "pass", "Process(target=wait, daemon=True).start()"),
    "program": ("", "pass", "subprocess.Popen(SLEEP)"),
    "deaf program": ("", "pass", START_DEAF),
    "detached program": ("", "pass", DETACHED),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Marked:
    """A project whose processes can be told from all others."""

    def __init__(self, project: Project, mark: str) -> None:
        self.project = project
        self._mark = f"{VARIABLE}={mark}".encode()

    def write(self, way: tuple[str, str, str]) -> None:
        top, setup, execute = way
        setup = f"\n\ndef setup(proc_id):\n    {setup}\n"
        self.project.write(BEGIN + "\n" + top + setup + END.format(execute=execute))

    def processes(self, *commands: str) -> list[int]:
        """Return all processes that have inherited the mark, or run some commands."""
        found = []
        # This process has got the variable later: it is not found.
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                is_marked = self._mark in path.read_bytes().split(b"\0")
            except OSError:
                continue
            command = command_of(int(path.parent.name))
            if is_marked and (not commands or any(one in command for one in commands)):
                found.append(int(path.parent.name))
        return found

    def expect_none(self) -> None:
        wait_until(lambda: not self.processes(), 20)


@pytest.fixture
def marked(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marked]:
    mark = uuid.uuid4().hex
    monkeypatch.setenv(VARIABLE, mark)
    yield Marked(project, mark)


@ways
def test_nothing_is_left_after_a_run(marked: Marked, way: tuple[str, str, str]) -> None:
    marked.write(way)
    marked.project.psy("run")
    assert marked.project.result()["y"] == [0, 2, 4, 6]
    marked.expect_none()


def by_interrupt(process, project: Project) -> None:
    process.send_signal(signal.SIGINT)


def by_sigkill(process, project: Project) -> None:
    process.kill()


def by_psy_kill(process, project: Project) -> None:
    project.psy("kill", "a")


ENDS = {"SIGKILL": by_sigkill, "Ctrl-C": by_interrupt, "psy kill": by_psy_kill}
AT_TOP = ["pool at top level", "program at top level"]
STEP = ("psyrun.steps", "process", "psy-work/a", "1", "0")
BELOW = ["executor from setup", "deaf program", "detached program"]


def begin(marked: Marked, way: str) -> Any:
    """Start a run, and wait until it is at its first assignment."""
    marked.write(WAYS[way])
    (marked.project.folder / "hold").touch()
    process = marked.project.start("psyrun.cli", "run")
    wait_until((marked.project.folder / "at-0").exists)
    return process


@pytest.mark.parametrize("way", AT_TOP + BELOW)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_nothing_is_left_of_a_run_that_is_ended(
    marked: Marked, way: str, end: Callable[..., None]
) -> None:
    process = begin(marked, way)
    end(process, marked.project)
    process.communicate(timeout=60)
    marked.expect_none()


@pytest.mark.parametrize("way", BELOW)
def test_what_a_killed_worker_left_is_ended_while_the_run_goes_on(
    marked: Marked, way: str
) -> None:
    process = begin(marked, way)
    started = marked.processes("time.sleep(1000)", "sleep\0")
    (worker,) = map(int, (marked.project.folder / "worker-0").read_text().split())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), 20)
    (marked.project.folder / "hold").unlink()
    process.communicate(timeout=60)
    marked.expect_none()


def test_a_killed_server_leaves_nothing(marked: Marked) -> None:
    process = begin(marked, "detached program")
    commands = {pid: command_of(pid) for pid in children(process.pid)}
    (server,) = (pid for pid, text in commands.items() if "forkserver" in text)
    os.kill(server, signal.SIGKILL)
    process.communicate(timeout=60)
    marked.expect_none()


@pytest.mark.parametrize("way", AT_TOP + BELOW)
def test_a_job_that_no_server_runs_leaves_nothing(marked: Marked, way: str) -> None:
    marked.write(WAYS[way])
    marked.project.psy("run")
    folder = marked.project.folder
    marked.project.lose_block(0)
    (folder / "hold").touch()
    for number in (signal.SIGTERM, signal.SIGINT):
        (folder / "at-0").unlink()
        process = marked.project.start(*STEP)
        wait_until((folder / "at-0").exists)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode
        marked.expect_none()
    (folder / "hold").unlink()
    marked.project.run(*STEP)
    marked.expect_none()


@pytest.mark.parametrize("setup", ["pass", "return {}"])
def test_an_interruption_at_a_fork_is_not_forgotten(marked: Marked, setup: str) -> None:
    # What a callback raises is printed only.
    top = (
        "import signal\n\ndef interrupt():\n    if Path('interrupt').exists():\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n\n"
        "os.register_at_fork(after_in_parent=interrupt)"
    )
    marked.write((top, setup, "pass"))
    marked.project.psy("run")
    marked.project.lose_block(0)
    for name in ("interrupt", "hold"):
        (marked.project.folder / name).touch()
    process = marked.project.start(*STEP)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    marked.expect_none()


@ways
def test_nothing_is_left_after_a_trial(
    marked: Marked, way: tuple[str, str, str]
) -> None:
    marked.write(way)
    marked.project.psy("test")
    marked.expect_none()
