"""Make project folders with another version of psyrun, for tests of later ones.

Usage: ``python make.py PYTHON FOLDER``, with a PYTHON that has the version. For each
project there will be an archive in FOLDER, and what `psyrun.load` of that version
returns of its tasks. What depends on the machine is replaced in text files:

    @PROJECT@   the project folder
    @BIN@       the folder of PYTHON
    @HOST@      the name of the machine
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "helpers"))

from projects import descendants, kill_all_of, wait_until
from slurm_stand_in import SlurmStandIn

EXECUTE = """\


def execute(x, **others):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while Path("hold").exists() and str(x) in Path("hold").read_text().split():
        time.sleep(0.02)
    return {"y": x**2, "text": f"<{x}>", "pair": np.array([x, 0.5])}
"""
HEAD = """\
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from psyrun import Param, Slurm
from psyrun.backend import LoadBalancingBackend
from psyrun.pspace import missing

"""
SIMPLE = f"{HEAD}pspace = Param(x=range(8))\nmax_jobs = 2\n{EXECUTE}"
# All kinds of spaces and columns.
MIXED = f"""{HEAD}
numbers = Param(x=[1, 2, 3, 4], f=[0.5, 1.5, 2.5, 3.5])
arrays = Param(v=np.arange(4.0), m=np.arange(8).reshape(4, 2), big=10**30)[1:3]
objects = Param(
    o=[Fraction(1, 3), None, "a text", (1, 2)],
    l=[[1], [2, 3], [], [4]],
    b=[True, False, True, False],
    z=np.array(["a", "b", "c", "d"]),
)[::-1]
steps = Param(x=range(50, 10, -10), constant="the same", nothing=None)
pspace = numbers * Param(k=range(2)) + arrays * steps - Param(x=[2, 30])
pspace = pspace + objects[1:3] * Param(x=[7]) + missing(numbers, Param(x=[1, 3]))
max_jobs = 3
{EXECUTE}"""
TYPED = f"""{HEAD}
arrays = Param(m=np.arange(8.0).reshape(4, 2), name="the same")[1:]
numbers = Param(x=range(3), f=[0.5, 1.5, 2.5]) + Param(x=[7, 8], f=[1.0, 2.0])[::-1]
pspace = arrays * numbers - Param(x=[1])
max_jobs = 2
store = "STORE"
{EXECUTE}"""
NPZ = TYPED.replace("STORE", ".npz")
# It holds numbers only.
H5 = re.sub('"text": .*?, ', "", TYPED.replace('"the same"', "True"))
H5 = H5.replace("STORE", ".h5")


class Project:
    """A project folder of the version.

    Parameters
    ----------
    python : str
        A Python that has it.
    """

    def __init__(self, python: str) -> None:
        self.python = python
        # No part of the machine's own folders: paths stand in recorded failures.
        self.folder = Path(tempfile.mkdtemp(prefix="psyrun-"))
        self.environment = dict(os.environ)

    def write(self, **tasks: str) -> None:
        folder = self.folder / "psy-tasks"
        folder.mkdir(exist_ok=True)
        for name, text in tasks.items():
            (folder / f"task_{name}.py").write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / f"psy-tasks/task_{name}.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def psy(self, *words: str, status: int = 0) -> str:
        process = self.start("-m", "psyrun.cli", *words)
        output = process.communicate()[0]
        assert process.returncode == status, output
        return output

    def hold(self, *x: int) -> None:
        """Let evaluations of some assignments never end."""
        (self.folder / "hold").write_text(" ".join(map(str, x)))

    def run_until_held(self, *words: str, x: int) -> subprocess.Popen[str]:
        """Run tasks until `x`, which is held, is evaluated."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        process = self.start("-m", "psyrun.cli", "run", *words)
        wait_until(lambda: calls.exists() and str(x) in calls.read_text().split())
        return process

    def kill_while_held(self, *words: str, x: int) -> None:
        """Run tasks, and kill all processes while `x` is evaluated."""
        kill_all_of(self.run_until_held(*words, x=x))
        (self.folder / "hold").unlink()

    def rows(self) -> str:
        """Return what psyrun loads of all tasks that have rows."""
        names = sorted(
            state.parent.name for state in self.folder.glob("*/*/state.json")
        )
        script = str(Path(__file__).with_name("rows.py"))
        output, _ = (process := self.start(script, *names)).communicate()
        assert process.returncode == 0
        return output


def finished(project: Project) -> None:
    """Tasks with all kinds of spaces, and a Snakefile of the user's."""
    project.write(pickle=MIXED, npz=NPZ, h5=H5, one=SIMPLE)
    project.psy("init")
    project.psy("run", "-j", "2", "pickle", "npz", "h5")
    project.psy("run", "--detach", "one")
    project.psy("attach", "one")


def extended(project: Project) -> None:
    """Tasks whose spaces were extended: results with rows of two rounds."""
    project.write(pickle=MIXED, npz=NPZ, h5=H5, killed=NPZ, continued=SIMPLE)
    project.psy("run", "-j", "2")
    more = {"pickle": "x=-1", "h5": "x=-1, f=0.0, m=np.ones((1, 2)), name=False"}
    more["npz"] = more["killed"] = more["h5"].replace("False", '"another"')
    for name, values in more.items():
        space = f"pspace = pspace[2:] + Param({values})"
        project.edit(name, "max_jobs", f"{space}\nmax_jobs")
    project.psy("run", "--continue", "-j", "2", "pickle", "npz", "h5")
    project.hold(-1)
    project.kill_while_held("--continue", "killed", x=-1)
    project.edit("continued", "x**2", "x**3")
    project.edit("continued", "range(8)", "range(4, 10)")
    project.psy("run", "--continue", "continued")


def killed(project: Project) -> None:
    """Tasks that were killed with all their processes, in the middle."""
    fetching = "max_jobs = 2\nbackend = LoadBalancingBackend"
    project.write(
        one=SIMPLE,
        fetching=SIMPLE.replace("max_jobs = 2", fetching),
        changed=SIMPLE,
        npz=SIMPLE.replace("max_jobs", 'store = ".npz"\nmax_jobs'),
    )
    project.psy("init")
    project.psy("run", "changed")
    project.edit("changed", "x**2", "x**2 + 1")
    project.write(detached=SIMPLE)
    for name in ("one", "fetching", "changed", "npz"):
        project.hold(6)
        project.kill_while_held("-j", "2", name, x=6)
    project.hold(6)
    started = project.run_until_held("-j", "2", "--detach", "detached", x=6)
    controller = int(re.findall(r"process (\d+)", started.communicate()[0])[0])
    for pid in [controller, *descendants(controller)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    (project.folder / "hold").unlink()


def failed(project: Project) -> None:
    """Tasks some of whose assignments failed, or ended their process."""
    raising = 'if x in (2, 5):\n        raise ValueError(f"no {x}")\n    return'
    exiting = "if x == 3:\n        import os\n\n        os._exit(4)\n    return"
    project.write(
        raising=SIMPLE.replace("return", raising),
        exiting=SIMPLE.replace("return", exiting),
        accepted=SIMPLE.replace("return", raising),
    )
    project.psy("run", "raising", "exiting", status=1)
    project.psy("run", "--accept-failures", "accepted")


def queued(project: Project) -> None:
    """Jobs in a Slurm whose controller was killed: ended, running, and queued."""
    queue = SlurmStandIn(project.folder / "slurm")
    project.environment |= queue.environment()
    queue.hold("one:process")
    scheduler = "max_jobs = 4\nscheduler = Slurm()\nscheduler_args = {'memory': '100M'}"
    project.write(one=SIMPLE.replace("max_jobs = 2", scheduler))
    project.hold(3)
    controller = project.start("-m", "psyrun.cli", "run")
    wait_until(lambda: len(queue.ids("PD")) == 4)
    queue.run(queue.ids("PD")[0])
    wait_until(lambda: list(project.folder.glob("psy-work/one/round-1/blocks/0.pkl")))
    words = ("-S", _path("slurm_stand_in"), str(queue.folder), "run")
    job = project.start(*words, queue.ids("PD")[0])
    calls = project.folder / "calls"
    wait_until(lambda: "3" in calls.read_text().split())
    kill_all_of(controller)
    kill_all_of(job)
    (project.folder / "hold").unlink()


def waiting(project: Project) -> None:
    """A controller that waits in a Slurm."""
    queue = SlurmStandIn(project.folder / "slurm")
    project.environment |= queue.environment()
    queue.hold("one:controller")
    scheduler = "max_jobs = 2\nscheduler = Slurm()\nscheduler_args = {'memory': '100M'}"
    project.write(one=SIMPLE.replace("max_jobs = 2", scheduler))
    project.psy("run", "--detach=job")


PROJECTS = (finished, extended, killed, failed, queued, waiting)
_LEFT_OUT = ("slurm/bin", "__pycache__", "snakemake.log", ".snakemake/[!im]*")


def make(
    python: str, fill: Callable[[Project], None], folder: Path, archive: str
) -> None:
    """Make one project, and put it into an archive."""
    project = Project(python)
    fill(project)
    (folder / f"{archive}.json").write_text(project.rows() + "\n")
    for path in [path for name in _LEFT_OUT for path in project.folder.rglob(name)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    replaced = {
        str(project.folder): "@PROJECT@",
        str(Path(python).parent): "@BIN@",
        f'"{socket.gethostname()}"': '"@HOST@"',
    }
    for path in filter(Path.is_file, project.folder.rglob("*")):
        replace(path, replaced)
    with tarfile.open(folder / f"{archive}.tar.xz", "w:xz") as tar:
        tar.add(project.folder, ".", filter=_anonymous)
    shutil.rmtree(project.folder)


def replace(path: Path, texts: dict[str, str]) -> None:
    """Replace texts in a file, unless it is binary; keep its times."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for old, new in texts.items():
        text = text.replace(old, new)
    times = path.stat()
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _path(helper: str) -> str:
    return str(Path(__file__).parents[2] / "helpers" / f"{helper}.py")


if __name__ == "__main__":
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for each in PROJECTS:
        make(sys.argv[1], each, target, each.__name__)
