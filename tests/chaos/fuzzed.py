"""Project folders with all kinds of files that psyrun writes, to be damaged."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from projects import Project, kill_all_of, wait_until
from slurm_stand_in import SlurmStandIn

N_POINTS = 40
_FAILING = 3  # of each ten

TASK = """\
import os
import time

import numpy as np

from psyrun import Param, Slurm
from psyrun.backend import {backend}
from psyrun.store.registry import store_named

pspace = Param(x=range({n_points}))
backend = {backend}
store = store_named("{store}")
max_jobs = 4
{more}

def execute(x):
    file = os.open("calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    if os.path.exists("slow"):
        time.sleep(0.02)
    if x % 10 == 3 and os.path.exists("failing"):
        raise ValueError(f"no {{x}}")
    return {{"square": x**2, "text": {text}, "half": np.array([x / 2, x])}}
"""


@dataclass(frozen=True)
class Kind:
    """One way to make a project folder, and what may be done with it.

    Attributes
    ----------
    make : callable
        Gets the project, in which a task file stands.
    runs : bool
        Whether `psy run` comes to an end by itself.
    """

    name: str
    make: Callable[[Project], None]
    store: str = ".pkl"
    backend: str = "DistributeBackend"
    more: str = ""
    runs: bool = True

    def project(self, folder: Path) -> Project:
        """Make the folder."""
        project = Project(folder)
        self.write(project, N_POINTS)
        self.make(project)
        (folder / "calls").unlink(missing_ok=True)
        (folder / "slow").unlink(missing_ok=True)
        (folder / "failing").unlink(missing_ok=True)
        return project

    def write(self, project: Project, n_points: int) -> None:
        text = TASK.format(
            backend=self.backend,
            store=self.store,
            n_points=n_points,
            more=self.more,
            # There is no text in an HDF5 file.
            text="x" if self.store == ".h5" else 'f"x{x}"',
        )
        project.write(text)


def _finish(project: Project) -> None:
    project.psy("run", "-j", "2")


def _fail(project: Project) -> None:
    (project.folder / "failing").touch()
    project.psy("run", "-j", "2", status=1)


def _accept(project: Project) -> None:
    (project.folder / "failing").touch()
    project.psy("run", "-j", "2", "--accept-failures", status=0)


def _interrupt(project: Project, *options: str) -> None:
    (project.folder / "slow").touch()
    calls = project.folder / "calls"
    calls.unlink(missing_ok=True)
    process = project.start("psyrun.cli", "run", "-j", "2", *options)
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) > 7)
    kill_all_of(process)


def _continue(project: Project) -> None:
    _shorten(project)
    _finish(project)
    _lengthen(project)
    _interrupt(project, "--continue")


def _continue_to_the_end(project: Project) -> None:
    _shorten(project)
    _finish(project)
    _lengthen(project)
    project.psy("run", "-j", "2", "--continue")


def _shorten(project: Project) -> None:
    project.edit(f"range({N_POINTS})", f"range({N_POINTS // 2})")


def _lengthen(project: Project) -> None:
    project.edit(f"range({N_POINTS // 2})", f"range({N_POINTS})")


def _detach(project: Project) -> None:
    project.psy("run", "-j", "2", "--detach")
    project.psy("attach", "a")


def queue_of(project: Project) -> SlurmStandIn:
    """Return the queue of a project, whose commands are found from now on."""
    stand_in = SlurmStandIn(project.folder / "queue")
    found = stand_in.environment()["PATH"].partition(os.pathsep)[0]
    if found not in os.environ["PATH"]:
        os.environ["PATH"] = f"{found}{os.pathsep}{os.environ['PATH']}"
    return stand_in


def _queue(project: Project) -> None:
    queue_of(project).hold()
    project.psy("run")


def _leave_in_queue(project: Project) -> None:
    queue_of(project).hold("a")
    process = project.start("psyrun.cli", "run")
    ledger = project.work() / "queue"
    wait_until(lambda: len(list(ledger.glob("*/ids.json"))) > 0)
    kill_all_of(process)


_SLURM = """\
scheduler = Slurm()
scheduler_args = {"timelimit": "5m", "memory": "200M"}
"""

KINDS = [
    Kind("finished", _finish),
    Kind("finished, npz", _finish, store=".npz"),
    Kind("finished, h5", _finish, store=".h5"),
    Kind("failed", _fail),
    Kind("failures accepted", _accept, store=".npz"),
    Kind("interrupted", _interrupt),
    Kind("interrupted, h5", _interrupt, store=".h5", more="pool_size = 2"),
    Kind("balanced", _finish, backend="LoadBalancingBackend"),
    Kind(
        "balanced, interrupted",
        _interrupt,
        store=".npz",
        backend="LoadBalancingBackend",
        more="pool_size = 2",
    ),
    Kind("continued", _continue_to_the_end),
    Kind("continued, interrupted", _continue, store=".npz"),
    Kind("detached", _detach),
    Kind("queued", _queue, more=_SLURM),
    Kind("left in the queue", _leave_in_queue, more=_SLURM, runs=False),
]


def files_of(project: Project) -> Iterator[Path]:
    """Yield what psyrun, and Snakemake for it, wrote."""
    for folder in (project.folder / "psy-work", project.folder / "psy-tasks/.psyrun"):
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())
    yield from sorted((project.folder / ".snakemake/metadata").glob("*"))


def kind_of_file(path: Path, project: Project) -> str:
    """Return the name of a file without numbers and keys."""
    parts = list(path.relative_to(project.folder).parts)
    if parts[0] == ".snakemake":
        return ".snakemake/metadata/*"
    if parts[0] == "psy-work":
        parts = parts[2:]
    names = [re.sub(r"-[0-9a-z]{8,}(?=\.|$)", "-*", part) for part in parts]
    names = [re.sub(r"^[0-9a-f]{16}$", "*", name) for name in names]
    return re.sub(r"\d+", "N", "/".join(names))


def copy(source: Path, target: Path) -> Project:
    """Put a project folder where another one is."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True)
    return Project(target)
