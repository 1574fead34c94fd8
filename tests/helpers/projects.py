"""A project folder with task files, run for real."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT = 120

COUNTED = """\
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    return {"y": x**2}
"""


class Project:
    """A project folder.

    Parameters
    ----------
    folder : Path
        Where it is; made if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "psy-tasks").mkdir(parents=True, exist_ok=True)

    def write(self, text: str, name: str = "a") -> None:
        self.taskfile(name).write_text(text)

    def edit(self, old: str, new: str, name: str = "a") -> None:
        text = self.taskfile(name).read_text()
        assert old in text
        self.write(text.replace(old, new), name)

    def taskfile(self, name: str = "a") -> Path:
        return self.folder / f"psy-tasks/task_{name}.py"

    def work(self, name: str = "a") -> Path:
        return self.folder / "psy-work" / name

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*command)
        try:
            output, errors = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        result = subprocess.CompletedProcess(
            command, process.returncode, output, errors
        )
        assert result.returncode == status, f"{output}\n{errors}"
        return result

    def psy(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("psyrun.cli", *arguments, status=status)

    def snakemake(
        self, *arguments: str, status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        return self.run(*self.snakemake_command(), *arguments, status=status)

    def snakemake_command(self) -> list[str]:
        from psyrun.utils.resources import shipped

        snakefile = str(shipped("workflow", "Snakefile"))
        profile = str(shipped("profiles", "local"))
        options = ["--snakefile", snakefile, "--profile", profile, "--cores", "2"]
        return ["snakemake", *options]

    def calls(self, name: str = "calls") -> list[int]:
        """Return for which assignments `execute` was called since last asked."""
        path = self.folder / name
        found = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(map(int, found))

    def lose_block(self, block: int) -> None:
        """Remove the rows of a block where they are, except for the result itself."""
        for path in self.work().glob("round-1/rows*"):
            path.unlink()
        (self.work() / f"round-1/blocks/{block}.pkl").unlink()

    def result(self, name: str = "a") -> dict[str, list[Any]]:
        with (self.work(name) / "result.pkl").open("rb") as file:
            return pickle.load(file)


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to happen; fail if it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Return all processes below a process, from /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def kill_all_of(process: subprocess.Popen[str]) -> None:
    """Let a controller, its Snakemake and all else on this machine die at once."""
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
