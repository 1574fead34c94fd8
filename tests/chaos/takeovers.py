"""Suspend runs at random moments, have another host take over, and wake them.

Each trial starts a run (`psy run`, or plain Snakemake), suspends all of its processes
at a random moment, and lets its locks look as old as after a night. A second host,
which is one by name, goes on with the task. The first run is woken while the second one
works, or after it. At the end the task must be done, with the right result; nothing may
have been evaluated again beyond what was in flight, nothing is left behind, and one
more run must evaluate nothing.

Tasks differ, too: either backend, one or two workers in each job, workers that go on
for a while after their last assignment, assignments that fail and are accepted as
missing, and another task in the same run that is up to date.

A trial follows from its number: ``takeovers.py --first 17 --runs 1``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from projects import Project, wait_until
from victims import family

from psyrun.utils.resources import shipped

N_ASSIGNMENTS = 120
N_BEFORE_END = 20
N_CORES = 2
LONGEST_LOOK = 5.0  # seconds that workers go on without a look at their lock
PAUSE = LONGEST_LOOK + 1.0
NIGHT = 10_000.0  # seconds
TIMEOUT = 240.0
KINDS = ("psy", "plain")
KINDS_OF_FAULT = ("evaluated twice", "lost", "wrong", "left behind", "other")
ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh")

TASK = """\
import atexit
import os
import time

from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range({n_assignments}))
max_jobs = 6
pool_size = {pool_size}
backend = {backend}


def setup(proc_id):
    atexit.register(time.sleep, {linger})
    return {{}}


def execute(x):
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    file = os.open(f"calls/{{os.getpid()}}", flags)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    time.sleep(0.02)
    if x in {failing}:
        raise ValueError(x)
    return {{"root": x**0.5}}
"""
DONE = """\
from psyrun import Param

pspace = Param(x=range(3))


def execute(x):
    with open("calls/done", "a") as file:
        print({n_assignments} + x, file=file)
    return {{"y": x}}
"""


@dataclass(frozen=True)
class Fault:
    """A promise that was broken; `kind` is one of `KINDS_OF_FAULT`."""

    kind: str
    text: str


class Trial:
    """A project, and two runs of its task.

    Parameters
    ----------
    number : int
        All that is random follows from it.
    folder : Path
        Where the project is to be.
    """

    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.chance = chance = random.Random(f"takeover {number}")
        self.folder = folder
        self.kinds = KINDS[number % 2], KINDS[number // 2 % 2]
        self.pool_size = chance.choice([1, 2])
        self.is_balanced = chance.random() < 0.4
        self.linger = chance.choice([0.0, 0.0, 0.7])
        n_failing = chance.choice([0, 3])
        self.failing = sorted(chance.sample(range(N_ASSIGNMENTS), n_failing))
        self.has_other_task = chance.random() < 0.4

    def __str__(self) -> str:
        traits = {
            "load balancing": self.is_balanced,
            "accepted failures": self.failing,
            "another task": self.has_other_task,
            "slow ends": self.linger,
            "pools": self.pool_size > 1,
        }
        special = ", ".join(name for name, is_so in traits.items() if is_so)
        return f"{' then '.join(self.kinds)} ({special or 'plain task'})"

    @property
    def n_cores(self) -> int:
        return N_CORES * self.pool_size

    @cached_property
    def project(self) -> Project:
        """The project with its tasks; the other one is up to date."""
        project = Project(self.folder / "project")
        (project.folder / "calls").mkdir()
        (self.folder / "tmp").mkdir()
        backend = "LoadBalancingBackend" if self.is_balanced else "DistributeBackend"
        text = TASK.format(
            n_assignments=N_ASSIGNMENTS,
            pool_size=self.pool_size,
            backend=backend,
            linger=self.linger,
            failing=self.failing,
        )
        if self.has_other_task:
            project.write(DONE.format(n_assignments=N_ASSIGNMENTS), "done")
            self.start_in(project, "psy").communicate(timeout=TIMEOUT)
            (project.folder / "calls/done").unlink()
        project.write(text)
        return project

    def start_in(
        self, project: Project, kind: str, *before: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*before, *self._command(kind)],
            cwd=project.folder,
            env={**os.environ, "TMPDIR": str(self.folder / "tmp")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start(self, kind: str, *before: str) -> subprocess.Popen[str]:
        return self.start_in(self.project, kind, *before)

    def _command(self, kind: str) -> list[str]:
        if kind == "psy":
            options = ["--accept-failures"] if self.failing else []
            run = ["psyrun.cli", "run", "-j", str(self.n_cores)]
            return [sys.executable, "-m", *run, *options]
        files = ["--snakefile", str(shipped("workflow", "Snakefile"))]
        files += ["--profile", str(shipped("profiles", "local"))]
        config = ["--config", "psy_accept_failures=true"] if self.failing else []
        command = [sys.executable, "-m", "snakemake", *files, *config]
        return [*command, "--cores", str(self.n_cores)]

    def play(self) -> list[Fault]:
        """Play it; return what went wrong."""
        project, is_due = self.project, self._moment()
        first = self.start(self.kinds[0])
        wait_until(lambda: is_due() or first.poll() is not None)
        suspended = [first.pid, *family(first.pid)]
        send(suspended, signal.SIGSTOP)
        at, n_before = time.monotonic(), len(evaluated(project))
        let_locks_age(project)
        second = self.start(self.kinds[1], *ELSEWHERE)
        enough = n_before + self.chance.choice([0, 20, N_ASSIGNMENTS])
        wait_until(
            lambda: second.poll() is not None or len(evaluated(project)) > enough
        )
        # Those that sleep for less may go on before they look at their lock.
        time.sleep(max(0.0, PAUSE - (time.monotonic() - at)))
        self.chance.shuffle(suspended)
        send(suspended, signal.SIGCONT)
        runs = (second, first)
        said = [process.communicate(timeout=TIMEOUT)[0] for process in runs]
        faults = _faults_of_runs(first, second, said)
        if first.returncode == 0 and n_before < N_ASSIGNMENTS:
            faults.append(Fault("other", "the first run did not notice anything"))
        faults += self._left_behind(suspended)
        faults += self._examine()
        if faults:
            faults += [Fault("", f"-- said:\n{text}") for text in said]
        return faults

    def _moment(self) -> Callable[[], bool]:
        """Choose when to suspend: among the evaluations, or before the end."""
        project, lock = self.project, self.project.work() / "lock"
        wanted = self.chance.randrange(0, N_ASSIGNMENTS)
        if self.chance.random() < 0.25:
            wanted = N_ASSIGNMENTS - self.chance.randrange(1, N_BEFORE_END)
        return lambda: lock.exists() and len(evaluated(project)) >= wanted

    def _left_behind(self, pids: list[int]) -> list[Fault]:
        """Return what the runs have left: processes, locks and temporary files."""
        work, living = self.project.work(), set(pids)
        with suppress(AssertionError):
            wait_until(lambda: not any(map(is_there, living)), 10)
        left = [f"process {pid}: {command_of(pid)}" for pid in living if is_there(pid)]
        patterns = (
            "lock",
            ".lock.*",
            "round-*/locks/*",
            "round-*/locks/.*",
            "**/.*.tmp",
        )
        left += [str(path) for pattern in patterns for path in work.glob(pattern)]
        left += [str(path) for path in (self.folder / "tmp").glob("psyrun-*")]
        return [Fault("left behind", one) for one in left]

    def _examine(self) -> list[Fault]:
        """Look at what was evaluated, and at the result."""
        faults, calls = [], Counter(evaluated(self.project))
        last = self.start("psy")
        said = last.communicate(timeout=TIMEOUT)[0]
        if last.returncode:
            faults.append(Fault("other", f"a last run fails: {said}"))
        after = Counter(evaluated(self.project))
        if after != calls:
            n_more = (after - calls).total()
            faults.append(Fault("lost", f"the last run evaluated {n_more}"))
        if set(after) != set(range(N_ASSIGNMENTS)):
            faults.append(Fault("lost", "not each assignment was evaluated, or others"))
        # A new run tries again what failed.
        n_repeated = sum(after[x] - 1 for x in after if x not in self.failing)
        if n_repeated > self.n_cores:
            text = f"{n_repeated} again, of {self.n_cores} in flight"
            faults.append(Fault("evaluated twice", text))
        return faults + ([] if last.returncode else self._examine_result())

    def _examine_result(self) -> list[Fault]:
        there = [x for x in range(N_ASSIGNMENTS) if x not in self.failing]
        result = self.project.result()
        if result["x"] != there:
            return [Fault("wrong", "not every assignment has one row, in order")]
        if result["root"] != [x**0.5 for x in there]:
            return [Fault("wrong", "other values")]
        return []


def _faults_of_runs(
    first: subprocess.Popen[str],
    second: subprocess.Popen[str],
    said: list[str],
) -> list[Fault]:
    faults = []
    if second.returncode:
        faults.append(Fault("other", f"the second run: status {second.returncode}"))
    if any("Traceback" in text for text in said):
        faults.append(Fault("other", "a traceback"))
    if first.returncode not in (0, 1, 2):
        faults.append(Fault("other", f"the first run: status {first.returncode}"))
    return faults


def evaluated(project: Project) -> list[int]:
    files = (project.folder / "calls").iterdir()
    return [int(x) for file in files for x in file.read_text().split()]


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def let_locks_age(project: Project) -> None:
    locks = [project.work() / "lock", *project.work().glob("round-*/locks/*")]
    for path in locks:
        with suppress(FileNotFoundError):
            os.utime(path, (time.time() - NIGHT,) * 2)


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def is_there(pid: int) -> bool:
    # That of a zombie is empty.
    return bool(command_of(pid))


def table(faults: dict[str, Counter[str]], trials: Counter[str]) -> str:
    """Return the numbers of trials, and of those with faults of each kind."""
    lines = [f"{'':18}" + "".join(f"{h:>17}" for h in ("trials", *KINDS_OF_FAULT))]
    for name, number in sorted(trials.items()):
        counts = [number, *(faults[name][kind] for kind in KINDS_OF_FAULT)]
        lines.append(f"{name:18}" + "".join(f"{count:17}" for count in counts))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="how many trials")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="takeovers-"))
    trials: Counter[str] = Counter()
    faults: dict[str, Counter[str]] = {}
    for number in range(args.first, args.first + args.runs):
        trial = Trial(number, folder / str(number))
        found = trial.play()
        print(f"{number:3} {trial}: {'BROKEN' if found else 'ok'}", flush=True)
        for fault in found:
            print(f"    {fault.kind}: {fault.text}", flush=True)
        name = " then ".join(trial.kinds)
        trials[name] += 1
        faults.setdefault(name, Counter()).update({fault.kind for fault in found})
        if not found:
            shutil.rmtree(trial.folder)
    print(table(faults, trials))
    with suppress(OSError):
        folder.rmdir()
    return any(map(Counter.total, faults.values()))


if __name__ == "__main__":
    sys.exit(main())
