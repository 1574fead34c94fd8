"""Look at a run from where its processes cannot be seen, and try to get in its way.

Each trial starts `psy run` in one place and, while it works, says `psy status`,
`psy run` and `psy clean` in another: in other namespaces of processes, users or names
of hosts, as containers are, or where ``/proc`` hides the processes of others. The host
has the same name, unless that of names is another one. The run must count as running,
be left alone, and end well. This needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

from projects import Project, wait_until
from takeovers import TIMEOUT, evaluated

N_ASSIGNMENTS = 24
TASK = """\
import os
import time

from psyrun import Param

pspace = Param(x=range({n_assignments}))
max_jobs = 2


def execute(x):
    with open(f"calls/{{os.getpid()}}", "a") as file:
        print(x, file=file)
    while not os.path.exists("go") and x > 2:
        time.sleep(0.05)
    return {{"y": x**2}}
"""
HERE: tuple[str, ...] = ()


def _hiding(way: int) -> tuple[str, ...]:
    mount = f'mount -t proc -o hidepid={way} proc /proc; exec "$@"'
    # Root without its rights sees as little as others do, but can run any Python.
    user = ("setpriv", "--regid", "65534", "--clear-groups")
    user += ("--bounding-set", "-all", "--inh-caps", "-all")
    return ("unshare", "--mount", "sh", "-c", mount, "sh", *user)


PLACES = {
    "here": HERE,
    "pid": ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
    "pid without proc": ("unshare", "--pid", "--fork", "--kill-child"),
    "user and pid": ("unshare", "--user", "-r", "--pid", "--fork", "--kill-child"),
    "user": ("unshare", "--user", "-r"),
    "uts": ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"),
    "hidepid=1": _hiding(1),
    "hidepid=2": _hiding(2),
}
TRIALS = [
    *(("here", place) for place in PLACES if place != "here"),
    *((place, "here") for place in PLACES if place != "here"),
    ("pid", "pid"),
    ("pid", "user and pid"),
    ("user and pid", "uts"),
    ("hidepid=1", "hidepid=2"),
]
"""Where the run is, and where it is looked at."""


def is_possible(place: str) -> bool:
    """Whether this process may make such a place."""
    command = [*PLACES[place], "true"]
    with suppress(OSError):
        return not subprocess.run(command, capture_output=True, check=False).returncode
    return False


def project_of(folder: Path) -> Project:
    """Return a project in which others may write, too."""
    project = Project(folder)
    (folder / "calls").mkdir()
    project.write(TASK.format(n_assignments=N_ASSIGNMENTS))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    return project


def start(project: Project, place: str, *command: str) -> subprocess.Popen[str]:
    # What one user writes, others may, too.
    openly = ("sh", "-c", 'umask 0; exec "$@"', "sh")
    return subprocess.Popen(
        [*openly, *PLACES[place], sys.executable, "-m", "psyrun.cli", *command],
        cwd=project.folder,
        env={**os.environ, "HOME": str(project.folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def say(project: Project, place: str, *command: str) -> tuple[int, str]:
    """Return exit status and output of a command in some place."""
    process = start(project, place, *command)
    output = process.communicate(timeout=TIMEOUT)[0]
    return process.returncode, output


def play(place: str, other: str, folder: Path) -> list[str]:
    """Play one trial; return what went wrong."""
    project = project_of(folder)
    process = start(project, place, "run", "-j", "2")
    try:
        wait_until(lambda: len(evaluated(project)) > 3 or process.poll() is not None)
        problems = disturb(project, other)
    finally:
        (folder / "go").touch()
        output = process.communicate(timeout=TIMEOUT)[0]
    if process.returncode:
        problems.append(f"the run ended with {process.returncode}:\n{output}")
    if Counter(evaluated(project)) != Counter(range(N_ASSIGNMENTS)):
        problems.append("not each assignment was evaluated once")
    elif project.result()["y"] != [x**2 for x in range(N_ASSIGNMENTS)]:
        problems.append("a wrong result")
    left = [*project.work().glob("lock"), *project.work().glob("round-*/locks/*")]
    return problems + [f"left behind: {path}" for path in left]


def disturb(project: Project, place: str) -> list[str]:
    problems = []
    lock = (project.work() / "lock").read_bytes()
    status, said = say(project, place, "status")
    if status or "running" not in said:
        problems.append(f"psy status ({status}): {said}")
    for command in (["run"], ["clean", "a"]):
        status, said = say(project, place, *command)
        if status != 2 or "is run by process" not in said or "Traceback" in said:
            problems.append(f"psy {' '.join(command)} ({status}): {said}")
    if not (project.work() / "lock").exists():
        problems.append("the lock is gone")
    elif (project.work() / "lock").read_bytes() != lock:
        problems.append("the lock is another's")
    return problems


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="namespaces-"))
    folder.chmod(0o755)
    n_trials = n_broken = 0
    for number, places in enumerate(TRIALS):
        if not all(map(is_possible, places)):
            print(f"{' seen from '.join(places)}: not possible here")
            continue
        problems = play(*places, folder / str(number))
        n_trials, n_broken = n_trials + 1, n_broken + bool(problems)
        print(f"{' seen from '.join(places)}: {'BROKEN' if problems else 'ok'}")
        for problem in problems:
            print(f"    {problem}")
        if not problems:
            shutil.rmtree(folder / str(number))
    print(f"{n_trials} runs seen from elsewhere, {n_broken} broken")
    with suppress(OSError):
        folder.rmdir()
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(main())
