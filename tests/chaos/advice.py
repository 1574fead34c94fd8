"""Damage files of psyrun, and follow the advice that it gives.

Each trial takes a copy of a project whose run has ended, failed in part or was killed,
and damages or removes one of the files that psyrun wrote. Then a command is typed, and
after it whatever commands its messages name, and at last ``psy run``. That must end
well, with the right result. No assignment may be evaluated again whose row was still
somewhere; one more run evaluates nothing. A message about a file that names no
next step, or one that says to delete a file, is a fault.

``advice.py --kind done --file space.pkl --damage cut --command status`` plays some of
the trials.
"""

from __future__ import annotations

import argparse
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from projects import Project, kill_all_of, wait_until

N_ASSIGNMENTS = 24
BROKEN = (3, 9, 17)
_MOST_COMMANDS = 8

TASK = """\
import os
import time

from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(x=range({n}))
backend = {backend}
max_jobs = 4


def execute(x):
    with open("calls", "a") as file:
        file.write(f"{{x}}\\n")
    time.sleep({pause})
    if x in {broken} and os.path.exists("broken"):
        raise ValueError("as asked")
    return {{"y": x**2}}
"""


def write_task(project: Project, backend: str, pause: float, broken: object) -> None:
    text = TASK.format(backend=backend, n=N_ASSIGNMENTS, pause=pause, broken=broken)
    project.write(text)


def make_done(project: Project, backend: str) -> None:
    write_task(project, backend, 0, BROKEN)
    project.psy("run")


def make_failed(project: Project, backend: str) -> None:
    write_task(project, backend, 0, BROKEN)
    (project.folder / "broken").touch()
    project.psy("run", "-j", "2", status=1)
    (project.folder / "broken").unlink()


def make_accepted(project: Project, backend: str) -> None:
    write_task(project, backend, 0, BROKEN)
    (project.folder / "broken").touch()
    project.psy("run", "--accept-failures")
    (project.folder / "broken").unlink()


def make_killed(project: Project, backend: str) -> None:
    write_task(project, backend, 0.05, BROKEN)
    process = project.start("psyrun.cli", "run")
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) > 9)
    kill_all_of(process)


def make_continued(project: Project, backend: str) -> None:
    make_done(project, backend)
    project.edit(f"range({N_ASSIGNMENTS})", f"range({N_ASSIGNMENTS + 6})")
    project.psy("run", "--continue")


KINDS: dict[str, Callable[[Project, str], None]] = {
    "done": make_done,
    "failed": make_failed,
    "accepted": make_accepted,
    "killed": make_killed,
    "continued": make_continued,
}
BACKENDS = ("DistributeBackend", "LoadBalancingBackend")
FILES = (
    "state.json",
    "digests.json",
    "source.json",
    "version.json",
    "versions/*.json",
    "run.json",
    "Snakefile",
    "result.pkl",
    "../../psy-tasks/.psyrun/a.json",
    "round-*/space.pkl",
    "round-*/split.json",
    "round-*/keys.json",
    "round-*/merged.json",
    "round-*/merged-*",
    "round-*/kept.pkl",
    "round-*/blocks/[0-9]*.pkl",
    "round-*/blocks/.*.rows.npy",
    "round-*/blocks/.*.failed.json",
    "round-*/blocks/.*.done.json",
    "round-*/journal/*.journal",
    "round-*/journal/*.slots",
    "round-*/claims",
    "round-*/claims/*",
)


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    place = random.Random(len(content)).randrange(len(content))
    content[place] ^= 0x10
    path.write_bytes(content)


def other(path: Path) -> None:
    path.write_bytes(b'{"another": "record"}\n')


DAMAGES: dict[str, Callable[[Path], None]] = {
    "gone": remove,
    "cut": cut,
    "empty": empty,
    "flip": flip,
    "other": other,
}
COMMANDS = {
    "run": ["psy", "run"],
    "continue": ["psy", "run", "--continue"],
    "status": ["psy", "status"],
    "failed": ["psy", "failed", "a"],
    "merge": ["psy", "merge", "--partial", "a", "out.pkl"],
    "snakemake": ["snakemake"],
    "verify": ["psy", "doctor", "--verify"],
    "repair": ["psy", "doctor", "--repair", "a"],
}


class Trial(NamedTuple):
    kind: str
    backend: str
    file: str
    damage: str
    command: str


def trials() -> Iterator[Trial]:
    for kind in KINDS:
        for backend in BACKENDS:
            for file in FILES:
                for damage in DAMAGES:
                    for command in COMMANDS:
                        yield Trial(kind, backend, file, damage, command)


class Player:
    """Plays trials with copies of projects that are made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, str], Project] = {}

    def play(self, trial: Trial) -> list[str] | None:
        """Return what went wrong; None if the project has no such file."""
        base = self._project(trial.kind, trial.backend)
        found = sorted(base.work().glob(trial.file))
        found = [p for p in found if p.is_file() or trial.damage == "gone"]
        if not found or (trial.damage != "gone" and not found[-1].stat().st_size):
            return None
        folder = self._folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base.folder, folder)
        project = Project(folder)
        project.calls()
        path = folder / found[-1].relative_to(base.folder)
        recorded = rows_of(project)
        DAMAGES[trial.damage](path)
        if path.suffix == ".journal":
            # What else than a journal has the row of an assignment?
            recorded &= rows_of(project)
        return follow(project, COMMANDS[trial.command], recorded, path.name)

    def _project(self, kind: str, backend: str) -> Project:
        if (kind, backend) not in self._made:
            project = Project(self._folder / f"{kind}-{backend}")
            KINDS[kind](project, backend)
            self._made[kind, backend] = project
        return self._made[kind, backend]


def rows_of(project: Project) -> set[int]:
    code = "import psyrun; print(*psyrun.load('a', partial=True).get('x', []))"

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(map(int, done.stdout.split()))


def follow(
    project: Project, command: list[str], recorded: set[int], name: str
) -> list[str]:
    """Type a command, then what its messages say, then ``psy run``, twice."""
    problems: list[str] = []
    said: list[str] = []
    todo, typed = [command], 0
    while todo and typed < _MOST_COMMANDS:
        now = todo.pop(0)
        typed += 1
        status, text = type_(project, now)
        said.append(f"$ {shlex.join(now)}\n{text}[{status}]")
        problems += faults_of(text, name, status, now)
        steps = advised(text)
        todo += [step for step in steps if step != now and step not in todo]
        for path in to_delete(text):
            if (project.folder / path).exists():
                remove(project.folder / path)
                todo.append(now)
    status, text = run_to_the_end(project, said)
    if status:
        problems.append(f"psy run does not end well: {text}")
    calls = project.calls()
    repeated = sorted(recorded.intersection(calls))
    if repeated:
        problems.append(f"evaluated again: {repeated}")
    status, text = type_(project, ["psy", "run"])
    if status or project.calls():
        problems.append(f"one more run does not find all done: {text}")
    problems += wrong(project)
    return [*problems, *said] if problems else []


def run_to_the_end(project: Project, said: list[str]) -> tuple[int, str]:
    """Type ``psy run``; if it refuses, what it says to do, and ``psy run`` again."""
    run = ["psy", "run"]
    status, text = type_(project, run)
    said.append(f"$ psy run\n{text}[{status}]")
    if status and (steps := advised(text)):
        for step in [*steps, run]:
            status, text = type_(project, step)
            said.append(f"$ {shlex.join(step)}\n{text}[{status}]")
    return status, text


def wrong(project: Project) -> list[str]:
    try:
        result = project.result()
    except Exception as error:
        return [f"the result cannot be read: {error!r}"]
    text = project.taskfile().read_text()
    n = int(re.findall(r"range\((\d+)\)", text)[0])
    expected = {"x": list(range(n)), "y": [x**2 for x in range(n)]}
    accepted = [x for x in range(n) if x not in BROKEN]
    if result in (expected, {"x": accepted, "y": [x**2 for x in accepted]}):
        return []
    return [f"a wrong result: {result}"]


def type_(project: Project, command: list[str]) -> tuple[int, str]:
    if command[0] == "snakemake":
        from psyrun.utils.resources import shipped

        options = ["--snakefile", str(shipped("workflow", "Snakefile"))]
        options += ["--profile", str(shipped("profiles", "local")), "--cores", "1"]
        process = project.start("snakemake", *options, *command[1:])
    else:
        process = project.start("psyrun.cli", *command[1:])
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


_ADVICE = re.compile(r"'(psy [^'\n]+)'")
_DELETION = re.compile(
    r"(psy-work/[^:\s]+): .*?(?:[Dd]elete the file|[Rr]emove (?:it|that folder))"
)
_FOLLOWED = ("run", "doctor", "merge", "clean", "failed", "status")


def advised(text: str) -> list[list[str]]:
    """Return the commands that messages name, without those that only show or offer."""
    lines = [line for line in text.splitlines() if not line.startswith("One of ")]
    found = [shlex.split(each) for line in lines for each in _ADVICE.findall(line)]
    return [each for each in found if each[1] in _FOLLOWED and "TASK" not in each]


def to_delete(text: str) -> list[str]:
    return [match[1] for match in _DELETION.finditer(text)]


def faults_of(text: str, name: str, status: int, command: list[str]) -> list[str]:
    found = []
    if "Traceback" in text:
        found.append("a traceback")
    if to_delete(text):
        found.append("it says to delete a file")
    for line in text.splitlines():
        # The last line of a list of problems names the command for all of them.
        is_about = f"/{name}" in line and line.startswith(("psy: ", "a "))
        if is_about and status and not advised(line):
            found.append(f"no next step: {line}")
    if status and not advised(text):
        found.append(f"{shlex.join(command)} fails without a next step")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in Trial._fields:
        parser.add_argument(f"--{name}", help="only trials with this in it")
    parser.add_argument("--runs", type=int, help="how many of them, at random")
    args = parser.parse_args()
    chosen = [
        trial
        for trial in trials()
        if all((getattr(args, n) or "") in getattr(trial, n) for n in Trial._fields)
    ]
    if args.runs is not None and args.runs < len(chosen):
        chosen = random.Random(0).sample(chosen, args.runs)
    folder = Path(tempfile.mkdtemp(prefix="advice-"))
    player = Player(folder)
    n_played = n_broken = 0
    for trial in chosen:
        problems = player.play(trial)
        if problems is None:
            continue
        n_played += 1
        print(*trial, "BROKEN" if problems else "ok", flush=True)
        for problem in problems:
            print("    " + problem.replace("\n", "\n    "), flush=True)
        n_broken += bool(problems)
    shutil.rmtree(folder)
    print(f"{n_played} damaged files, {n_broken} broken")
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(main())
