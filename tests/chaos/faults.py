"""Kill a process before its N-th system call, or let that call fail, and run on.

Each trial is a walk of a small task through up to five commands (`psy run`, plain
Snakemake, `psy run` with one row more, also with `--continue`, a deleted result, `psy
merge`, `psy clean`), or with ``--steps`` through the jobs of a run, each by itself.
Each is hit by one fault: SIGKILL for one process or for all of them, or an errno. The
places are those of a walk that nobody disturbed: who calls what with which path, and
how often. After each fault, `psy status` must tell the truth. At the end one more run
must end well: nothing is lost, wrong or left behind, and nothing was evaluated again
beyond what was in flight. A call that fails costs no traceback.

A trial follows from its number and the seed: ``faults.py --first 17 --runs 1``.
Broken trials leave their project folder behind.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from projects import Project
from victims import kill

from psyrun.store.registry import store_named
from psyrun.utils.resources import shipped

N_ASSIGNMENTS = 12
MAX_JOBS = 3
N_JOBS_AT_ONCE = 2
MOST_FAULTS = 5
TIMEOUT = 90.0
LINGER = 20.0  # seconds in which what was left of a run must end

TASK = """\
import os

from psyrun import Param
from psyrun.backend import {backend}
from psyrun.store.registry import store_named

pspace = Param(x=range({n_assignments}))
backend = {backend}
store = store_named("{store}")
max_jobs = {max_jobs}
pool_size = {pool_size}


def execute(x):
    file = os.open("calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, b"%d\\n" % x)
    os.close(file)
    if {fails} and x % 5 == 3:
        raise ValueError("never possible")
    return {{"root": x**0.5, "rest": x % 7}}
"""

ERRNOS = [
    "EIO",
    "ENOSPC",
    "EDQUOT",
    "EACCES",
    "EINTR",
    "ENOENT",
    "ESTALE",
    "EMFILE",
    "ENOMEM",
]
NOTHING_YET = re.compile("no assignment is finished yet|was never run")
LOOKS = ("open", "read", "list")
"""Calls before which a kill is no different from one before the next call."""


@dataclass(frozen=True)
class Family:
    """What all trials of one kind have in common."""

    store: str
    backend: str
    pool_size: int
    fails: bool = False

    @property
    def n_cores(self) -> int:
        return N_JOBS_AT_ONCE * self.pool_size

    def expected(self, n_assignments: int) -> list[int]:
        return [x for x in range(n_assignments) if not (self.fails and x % 5 == 3)]

    def __str__(self) -> str:
        backend = self.backend.removesuffix("Backend")
        fails = " fails" if self.fails else ""
        return f"{self.store} {backend} pool {self.pool_size}{fails}"


FAMILIES = (
    Family(".pkl", "DistributeBackend", 1),
    Family(".npz", "LoadBalancingBackend", 2),
    Family(".h5", "DistributeBackend", 1),
    Family(".pkl", "LoadBalancingBackend", 1, fails=True),
    Family(".h5", "LoadBalancingBackend", 1),
    Family(".npz", "DistributeBackend", 2, fails=True),
)
STEPS = ("split", *(f"process {block}" for block in range(MAX_JOBS)), "merge ")
"""Jobs, which can also be run without Snakemake."""


@dataclass(frozen=True)
class Fault:
    """What happens at the `when`-th call of a process at a `site`, see faults.c."""

    site: str
    when: int
    action: str
    lasts: bool = False

    @property
    def is_kill(self) -> bool:
        return self.action in ("kill", "stop")

    def variables(self, fired: Path) -> dict[str, str]:
        number = str(getattr(errno, self.action, self.action))
        found = {
            "FAULT_SITE": self.site,
            "FAULT_WHEN": str(self.when),
            "FAULT_ACTION": number,
            "FAULT_FIRED": str(fired),
        }
        return {**found, "FAULT_LASTS": "1"} if self.lasts else found

    def __str__(self) -> str:
        what = {"kill": "SIGKILL", "stop": "SIGKILL for all"}.get(
            self.action, self.action
        )
        return f"{what}{' for good' * self.lasts} at #{self.when} of '{self.site}'"


@dataclass
class Counts:
    """Faults that were met, and promises that were broken."""

    kills: int = 0
    errnos: int = 0
    in_flight: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.kills + other.kills,
            self.errnos + other.errnos,
            self.in_flight + other.in_flight,
            self.repeated + other.repeated,
            self.problems + other.problems,
        )

    def __str__(self) -> str:
        return (
            f"kills {self.kills}, errnos {self.errnos}, evaluated again "
            f"{self.repeated} of at most {self.in_flight} in flight"
        )


@dataclass
class Done:
    """What one command said."""

    returncode: int
    text: str

    @property
    def has_traceback(self) -> bool:
        """Whether there is one, other than of what `execute` raised."""
        own = re.sub(r"Traceback.*?never possible", "", self.text, flags=re.DOTALL)
        return "Traceback" in own


class Walk:
    """A project, and the commands that it goes through.

    Parameters
    ----------
    folder : Path
        Of the project; `calls` in it is written by `execute`.
    shim : Path
        The compiled faults.c.
    """

    def __init__(self, family: Family, folder: Path, shim: Path) -> None:
        self.family = family
        self.folder = folder
        self.n_assignments = N_ASSIGNMENTS
        self._last_plan = ""
        self._shim = shim
        self._project = Project(folder)
        for name in ("tmp", "out"):
            (folder / name).mkdir(exist_ok=True)
        self._write()
        self.at_first = self.listing()

    @property
    def result(self) -> Path:
        return Path(self._project.work(), f"result{self.family.store}")

    def _write(self) -> None:
        text = TASK.format(
            backend=self.family.backend,
            store=self.family.store,
            pool_size=self.family.pool_size,
            fails=self.family.fails,
            n_assignments=self.n_assignments,
            max_jobs=MAX_JOBS,
        )
        self._project.write(text)

    def command(self, action: str) -> list[str]:
        psy = ["psyrun.cli"]
        n_cores = str(self.family.n_cores)
        if action == "plain":
            files = ["--snakefile", str(shipped("workflow", "Snakefile"))]
            files += ["--profile", str(shipped("profiles", "local"))]
            accept = ["--config", "psy_accept_failures=true"] * self.family.fails
            return ["snakemake", *files, "--cores", n_cores, *accept]
        if action == "merge":
            out = f"out/merged{self.family.store}"
            return [*psy, "merge", "--partial", "a", out]
        if action == "clean":
            return [*psy, "clean", "a"]
        if action == "failed":
            return [*psy, "failed", "a"]
        if action == "status":
            return [*psy, "status"]
        if action.startswith(STEPS):
            step, *block = action.split()
            return ["psyrun.steps", step, "psy-work/a", "1", *block]
        accept = ["--accept-failures"] * self.family.fails
        more = ["--continue"] * (action == "more" and self.n_assignments % 2)
        return [*psy, "run", "-j", n_cores, *accept, *more]

    def prepare(self, action: str) -> None:
        if action == "more":
            self._last_plan = self._planned()
            self.n_assignments += 1
            self._write()
        elif action == "again":
            self.result.unlink(missing_ok=True)

    def is_edited(self) -> bool:
        """Whether the space was edited after the plan that is there was accepted."""
        return self._last_plan != "" and self._planned() == self._last_plan

    def _planned(self) -> str:
        """Return for which space there is a plan; empty if for none."""
        state = Path(self._project.work(), "state.json")
        return json.loads(state.read_text())["space_source"] if state.exists() else ""

    def do(
        self, action: str, fault: Fault | None = None, log: Path | None = None
    ) -> Done:
        """Run a command to its end; kill all that belongs to it where it stops."""
        fired = self.folder / "fired"
        fired.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", *self.command(action)],
            cwd=self.folder,
            env=self._environment(fault, fired, log),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        deadline = time.monotonic() + TIMEOUT
        while fault is not None and fault.action == "stop" and process.poll() is None:
            if fired.exists() or time.monotonic() > deadline:
                self.kill_all()
            time.sleep(0.01)
        try:
            text = process.communicate(timeout=TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            self.kill_all()
            return Done(-1, f"HANGS: {process.communicate()[0]}")
        return Done(process.returncode, text)

    def _environment(
        self, fault: Fault | None, fired: Path, log: Path | None
    ) -> dict[str, str]:
        found = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "FAULT_ROOT": str(self.folder),
        }
        if fault is not None or log is not None:
            found["LD_PRELOAD"] = str(self._shim)
        if log is not None:
            found["FAULT_LOG"] = str(log)
        return found if fault is None else {**found, **fault.variables(fired)}

    def was_hit(self) -> bool:
        return (self.folder / "fired").exists()

    def processes(self) -> list[int]:
        """Return the processes that belong to this project."""
        mark = f"FAULT_ROOT={self.folder}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def kill_all(self) -> None:
        for pid in self.processes():
            kill(pid)

    def linger(self) -> list[str]:
        """Wait for the end of all processes; kill and return those that go on."""
        deadline = time.monotonic() + LINGER
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        names = [
            Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            for pid in self.processes()
        ]
        self.kill_all()
        return names

    def calls(self) -> Counter[int]:
        path = self.folder / "calls"
        return Counter(map(int, path.read_text().split() if path.exists() else []))

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def listing(self) -> set[str]:
        """Return all files, numbers and tokens replaced."""
        # `tempfile` writes tmp/******** to find out whether it can.
        skipped = r"calls|fired|tmp(/[a-z0-9_]{8})?|out(/merged.*)?|.snakemake/log/.*"
        found = set()
        for path in self.folder.rglob("*"):
            name = str(path.relative_to(self.folder))
            # Snakemake's own, until it has read psyrun's Snakefile.
            if re.fullmatch(r"tmp/snakemake[^/]{8}", name) and _is_empty(path):
                continue
            if not re.fullmatch(skipped, name) and path.name != "errors":
                found.add(re.sub(r"(?!h5)[A-Za-z_=]*[0-9][A-Za-z_=0-9]*", "#", name))
        return found

    def expected_rows(self) -> list[int]:
        """Return which assignments the result must have rows of.

        Where failures are accepted, that of a worker that was killed is one.
        """
        expected = self.family.expected(self.n_assignments)
        if not self.family.fails:
            return expected
        text = self.do("failed").text
        killed = re.findall(r"x=(\d+) +WorkerDied", text)
        return [x for x in expected if str(x) not in killed]

    def problems_of_result(self) -> list[str]:
        """Compare the result with what it must be."""
        if not self.result.exists():
            return ["there is no result"]
        result = store_named(self.family.store).load(str(self.result))
        expected = self.expected_rows()
        wanted = {"root": [x**0.5 for x in expected], "rest": [x % 7 for x in expected]}
        if list(result["x"]) != expected:
            return [f"rows of {list(result['x'])}"]
        return [
            f"wrong values of {key}"
            for key, values in wanted.items()
            if not np.array_equal(result[key], values)
        ]


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


@dataclass
class Course:
    """What a walk that nobody disturbs does: calls by action, and what stays."""

    sites: dict[str, Counter[str]]
    files: set[str]
    planned: Path = Path()

    def fault(self, action: str, chance: random.Random, share: float) -> Fault:
        """Choose what happens: each site and each number of it equally often."""
        is_kill = chance.random() < share
        sites = self.sites[action]
        if is_kill:
            sites = Counter(
                {k: n for k, n in sites.items() if k.split()[1] not in LOOKS}
            )
        site = chance.choice(sorted(sites))
        when = chance.randint(1, min(sites[site], 4))
        if is_kill:
            return Fault(site, when, chance.choice(["kill", "kill", "stop"]))
        name = chance.choice(ERRNOS)
        # A call that is interrupted is made again by Python, for ever.
        return Fault(site, when, name, name != "EINTR" and chance.random() < 0.3)


def course_of_runs(family: Family, folder: Path, shim: Path) -> Course:
    """Record a walk through all commands."""
    walk = Walk(family, folder, shim)
    course = Course({}, set())
    for action in ("run", "more", "again", "merge", "clean", "plain"):
        walk.prepare(action)
        _record(course, walk, action)
        if action != "clean":
            course.files |= walk.listing()
    shutil.rmtree(folder)
    return course


def course_of_steps(family: Family, folder: Path, shim: Path) -> Course:
    """Record all jobs of a run, and keep a copy of the folder before."""
    saved = folder.with_name(f"planned-{FAMILIES.index(family)}")
    walk = planned(family, folder, shim)
    shutil.copytree(folder, saved, ignore=shutil.ignore_patterns("tmp", "fired"))
    course = Course({}, set(), saved)
    for step in STEPS:
        _record(course, walk, step)
    course.files |= walk.listing()
    shutil.rmtree(folder / "tmp")
    (folder / "tmp").mkdir()
    assert walk.do("run").returncode == 0
    course.files |= walk.listing()
    shutil.rmtree(folder)
    return course


def _record(course: Course, walk: Walk, action: str) -> None:
    log = walk.folder.with_suffix(".log")
    done = walk.do(action, log=log)
    assert done.returncode == 0, f"{action}: {done.text}"
    course.sites[action] = Counter(log.read_text().splitlines())
    log.unlink()


def planned(family: Family, folder: Path, shim: Path) -> Walk:
    """Return a task that was accepted, and whose run was killed right then."""
    walk = Walk(family, folder, shim)
    walk.do("run", Fault("psy/0 create psy-work/a/snakemake.log", 1, "stop"))
    assert walk.was_hit()
    walk.linger()
    return walk


def in_flight(walk: Walk, fault: Fault) -> int:
    """Return how many evaluations a fault can cut off at most."""
    return (MAX_JOBS if fault.lasts else N_JOBS_AT_ONCE) * walk.family.pool_size


def check_status(walk: Walk, lost: int) -> list[str]:
    """Compare what `psy status` says with what was evaluated."""
    done = walk.do("status")
    if done.returncode or done.has_traceback:
        return [f"psy status: {done.text}"]
    cells = done.text.splitlines()[-1].split()
    if cells[1] in ("running", "unreadable"):
        return [f"psy status: {done.text}"]
    if (cells[1] == "edited") != walk.is_edited():
        return [f"psy status of a task with {walk.n_assignments}: {done.text}"]
    if cells[1] == "done" and (problems := walk.problems_of_result()):
        return [f"psy status says done, but {problem}" for problem in problems]
    if "/" not in cells[2]:
        return []
    n_rows = int(cells[2].partition("/")[0])
    n_known = len(set(walk.calls()) & set(walk.expected_rows()))
    if not n_known - lost <= n_rows <= n_known:
        return [f"psy status tells {n_rows} of {n_known} rows: {done.text}"]
    return []


def problems_of_merge(walk: Walk) -> list[str]:
    done = walk.do("merge")
    if done.returncode or done.has_traceback:
        return [f"psy merge ends with {done.returncode}: {done.text}"]
    return []


def check_end(
    walk: Walk, course: Course, counts: Counts, *, runs: bool = True
) -> list[str]:
    """Run once more; compare with all promises."""
    problems = []
    if runs:
        done = walk.do("run")
        if done.returncode or done.has_traceback:
            problems.append(f"the last run ends with {done.returncode}: {done.text}")
    if any((walk.folder / "out").iterdir()):
        # Only who writes there again looks there.
        problems += problems_of_merge(walk)
    problems += [f"lives on: {name}" for name in walk.linger()]
    problems += walk.problems_of_result()
    expected = walk.family.expected(walk.n_assignments)
    calls = walk.calls()
    if set(expected) - set(calls):
        problems.append("some assignments were never evaluated")
    counts.repeated = sum(calls[x] for x in expected) - len(expected)
    if counts.repeated > counts.in_flight:
        problems.append(f"evaluated again: {counts}")
    left = walk.listing() - course.files
    if left:
        problems.append(f"left behind: {', '.join(sorted(left))}")
    return problems + (check_status(walk, 0) if runs else [])


def check_cleaned(walk: Walk) -> list[str]:
    """Clean once more; compare with the folder before the first run."""
    done = walk.do("clean")
    problems = []
    if done.returncode or done.has_traceback:
        problems.append(f"cleaning ends with {done.returncode}: {done.text}")
    left = walk.listing() - walk.at_first
    left = {x for x in left if not x.startswith((".snakemake", "psy-tasks/.psyrun"))}
    if left - {"psy-work"}:
        problems.append(f"cleaning leaves {', '.join(sorted(left))}")
    return problems


def disturb(walk: Walk, action: str, fault: Fault, counts: Counts) -> list[str]:
    """Let a fault meet a command; return what was wrong then."""
    walk.prepare(action)
    done = walk.do(action, fault)
    problems = [f"lives on: {name}" for name in walk.linger()]
    was_hit = walk.was_hit()
    if was_hit:
        counts.kills += fault.is_kill
        counts.errnos += not fault.is_kill
        counts.in_flight += in_flight(walk, fault)
    if done.text.startswith("HANGS"):
        problems.append(done.text)
    is_empty = action == "merge" and NOTHING_YET.search(done.text)
    if not was_hit and done.returncode and not is_empty:
        problems.append(f"undisturbed, but ends with {done.returncode}: {done.text}")
    if not fault.is_kill:
        if done.has_traceback:
            problems.append(f"a traceback: {done.text}")
        if done.returncode and not done.text.strip():
            problems.append(f"ends with {done.returncode} and says nothing")
        if not done.returncode and action in ("run", "more", "again", "plain"):
            problems += walk.problems_of_result()
    return problems


class Trial:
    """A walk with faults.

    Parameters
    ----------
    number, seed : int
        All else follows from these.
    share : float
        Of the faults that are kills.
    """

    record = staticmethod(course_of_runs)

    def __init__(self, number: int, seed: int, share: float) -> None:
        self.family = FAMILIES[number % len(FAMILIES)]
        self._chance = random.Random(f"faults {seed} {number}")
        self._share = share
        self.counts = Counts()
        self.story: list[str] = []

    def play(self, folder: Path, shim: Path, course: Course) -> None:
        walk = Walk(self.family, folder, shim)
        for action in self._actions():
            self._hit(walk, action, course)
        self._note(check_end(walk, course, self.counts))
        if self._chance.random() < 0.3:
            self._hit(walk, "clean", course)
            if self._chance.random() < 0.5:
                self._note(check_cleaned(walk))
            else:
                walk.forget_calls()
                self._note(self._ends_well(walk))
        if not self.counts.problems:
            shutil.rmtree(folder)

    def _actions(self) -> list[str]:
        first = self._chance.choice(["run", "run", "plain"])
        n_more = self._chance.randrange(MOST_FAULTS)
        others = ["run", "more", "more", "again", "plain", "merge"]
        return [first, *self._chance.choices(others, k=n_more)]

    def _hit(self, walk: Walk, action: str, course: Course) -> None:
        fault = course.fault(action, self._chance, self._share)
        problems = disturb(walk, action, fault, self.counts)
        self.story.append(f"{action}, {fault}{'' if walk.was_hit() else ' (missed)'}")
        if action not in ("clean", *STEPS) or self._chance.random() < 0.2:
            problems += check_status(walk, self.counts.in_flight)
        self._note(problems)

    def _ends_well(self, walk: Walk) -> list[str]:
        done = walk.do("run")
        if done.returncode or done.has_traceback:
            return [f"a run after cleaning ends with {done.returncode}: {done.text}"]
        return walk.problems_of_result()

    def _note(self, problems: list[str]) -> None:
        self.counts.problems += [f"[{'; '.join(self.story)}] {p}" for p in problems]


class StepTrial(Trial):
    """The jobs of a run, each by itself as on a node of a cluster, with faults."""

    record = staticmethod(course_of_steps)

    def play(self, folder: Path, shim: Path, course: Course) -> None:
        shutil.copytree(course.planned, folder)
        walk = Walk(self.family, folder, shim)
        for step in STEPS:
            for _ in range(self._chance.choice([1, 2, 2, 3])):
                self._hit(walk, step, course)
            done = walk.do(step)
            if done.returncode or done.has_traceback:
                self._note([f"{step} ends with {done.returncode}: {done.text}"])
        runs = self._chance.random() < 0.4
        self._note(check_end(walk, course, self.counts, runs=runs))
        if not self.counts.problems:
            shutil.rmtree(folder)


def compiled(folder: Path) -> Path:
    shim = folder / "faults.so"
    source = Path(__file__).with_name("faults.c")
    options = ["-std=gnu17", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *options, "-o", shim, source, "-ldl"], check=True)
    return shim


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=240, help="how many trials")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", action="store_true", help="jobs without Snakemake")
    parser.add_argument("--kills", type=float, default=0.75, help="their share")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    shim = compiled(folder)
    courses: dict[Family, Course] = {}
    total, n_broken = Counts(), 0
    for number in range(args.first, args.first + args.runs):
        begun = time.monotonic()
        trial = (StepTrial if args.steps else Trial)(number, args.seed, args.kills)
        if trial.family not in courses:
            courses[trial.family] = trial.record(trial.family, folder / "course", shim)
        trial.play(folder / str(number), shim, courses[trial.family])
        counts = trial.counts
        taken = time.monotonic() - begun
        print(f"{number:3} {trial.family}: {counts} ({taken:.0f} s)", flush=True)
        for problem in counts.problems:
            print(f"    BROKEN in {folder / str(number)}: {problem}", flush=True)
        total, n_broken = total + counts, n_broken + bool(counts.problems)
    print(f"{args.runs} trials with seed {args.seed}, {n_broken} broken: {total}")
    if not n_broken:
        shutil.rmtree(folder)
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(main())
