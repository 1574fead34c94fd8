"""Suspend runs at random moments, have another host take over, and wake them.

Each trial starts a run (`psy run`, or plain Snakemake), suspends all of its processes
in the midst of the work, and lets its locks look as old as after a night. A second
host, which is one by name, goes on with the task. The first run is woken while the
second one works, or after it. At the end the task must be done, with the right result;
nothing may have been evaluated again beyond what was in flight, and one more run must
evaluate nothing.

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
from contextlib import suppress
from pathlib import Path

from projects import Project, wait_until
from victims import family

from psyrun.utils.resources import shipped

N_ASSIGNMENTS = 120
N_CORES = 2
PAUSE = 6.0  # seconds; longer than workers go on without a look at their lock
NIGHT = 10_000.0  # seconds
TIMEOUT = 180.0
KINDS = ("psy", "plain")
ELSEWHERE = ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh")

TASK = """\
import os
import time

from psyrun import Param

pspace = Param(x=range({n_assignments}))
max_jobs = 6
pool_size = {pool_size}


def execute(x):
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    file = os.open(f"calls/{{os.getpid()}}", flags)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    time.sleep(0.02)
    return {{"root": x**0.5}}
"""


def project_of(folder: Path, pool_size: int) -> Project:
    project = Project(folder)
    (folder / "calls").mkdir()
    project.write(TASK.format(n_assignments=N_ASSIGNMENTS, pool_size=pool_size))
    return project


def evaluated(project: Project) -> list[int]:
    files = (project.folder / "calls").iterdir()
    return [int(x) for file in files for x in file.read_text().split()]


def command(kind: str, n_cores: int) -> list[str]:
    if kind == "psy":
        return [sys.executable, "-m", "psyrun.cli", "run", "-j", str(n_cores)]
    files = ["--snakefile", str(shipped("workflow", "Snakefile"))]
    files += ["--profile", str(shipped("profiles", "local"))]
    return [sys.executable, "-m", "snakemake", *files, "--cores", str(n_cores)]


def start(project: Project, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def let_locks_age(project: Project) -> None:
    locks = [project.work() / "lock", *project.work().glob("round-*/locks/*")]
    for path in locks:
        with suppress(FileNotFoundError):
            os.utime(path, (time.time() - NIGHT,) * 2)


def play(number: int, folder: Path) -> list[str]:
    """Play one trial; return what went wrong."""
    chance = random.Random(f"takeover {number}")
    pool_size = chance.choice([1, 2])
    n_cores = N_CORES * pool_size
    project = project_of(folder, pool_size)
    wanted = chance.randrange(2, N_ASSIGNMENTS - 20)
    first = start(project, *command(KINDS[number % 2], n_cores))
    wait_until(lambda: len(evaluated(project)) > wanted or first.poll() is not None)
    if first.poll() is not None:
        return [f"ended too early: {first.communicate()[0]}"]
    suspended = [first.pid, *family(first.pid)]
    send(suspended, signal.SIGSTOP)
    at = time.monotonic()
    let_locks_age(project)
    second = start(project, *ELSEWHERE, *command(KINDS[number // 2 % 2], n_cores))
    more = chance.choice([0, 20, N_ASSIGNMENTS])
    wait_until(
        lambda: (
            second.poll() is not None
            or (
                time.monotonic() - at > PAUSE
                and len(evaluated(project)) > wanted + more
            )
        )
    )
    time.sleep(max(0.0, PAUSE - (time.monotonic() - at)))
    chance.shuffle(suspended)
    send(suspended, signal.SIGCONT)
    said = [process.communicate(timeout=TIMEOUT)[0] for process in (second, first)]
    problems = examine(project, n_cores)
    if second.returncode:
        problems.append(f"the second run failed with {second.returncode}")
    if first.returncode == 0:
        problems.append("the first run did not notice that its locks were lost")
    if any("Traceback" in text for text in said):
        problems.append("a traceback")
    if problems:
        problems += [f"-- said:\n{text}" for text in said]
    return problems


def examine(project: Project, n_in_flight: int) -> list[str]:
    problems = []
    calls = Counter(evaluated(project))
    last = start(project, *command("psy", 2))
    said = last.communicate(timeout=TIMEOUT)[0]
    if last.returncode:
        problems.append(f"a last run fails: {said}")
    after = Counter(evaluated(project))
    if after != calls:
        problems.append(f"the last run evaluated {(after - calls).total()}")
    if set(after) != set(range(N_ASSIGNMENTS)):
        problems.append("some assignments were never evaluated")
    n_repeated = after.total() - len(after)
    if n_repeated > n_in_flight:
        problems.append(f"{n_repeated} evaluated again, of {n_in_flight} in flight")
    if not problems:
        result = project.result()
        if result["x"] != list(range(N_ASSIGNMENTS)):
            problems.append("not every assignment has one row, in order")
        elif result["root"] != [x**0.5 for x in range(N_ASSIGNMENTS)]:
            problems.append("wrong values")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50, help="how many trials")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="takeovers-"))
    n_broken = 0
    for number in range(args.first, args.first + args.runs):
        problems = play(number, folder / str(number))
        kinds = f"{KINDS[number % 2]} then {KINDS[number // 2 % 2]}"
        print(f"{number:3} {kinds}: {'BROKEN' if problems else 'ok'}", flush=True)
        for problem in problems:
            print(f"    {problem}", flush=True)
        n_broken += bool(problems)
        if not problems:
            shutil.rmtree(folder / str(number))
    print(f"{args.runs} take-overs, {n_broken} broken")
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(main())
