"""Kill runs at random moments, run again until done, and count what was repeated.

Each scenario is a task of 2 000 assignments that take a millisecond. Once or
twice its run is hit by SIGKILL: one worker, a process job, `psy run` alone,
Snakemake alone (below `psy run`, or plain Snakemake) or all processes at once.
Then `psy run` is repeated until it succeeds. The result must equal that of a
run that nobody disturbed, and no more assignments may be evaluated again than
were in flight at the kills.

A scenario follows from its number: ``chaos.py --first 17 --runs 1`` is always
hit by the same kill after the same number of evaluations. Scenarios that fail
leave their project folder behind.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from projects import Project, wait_until
from scenarios import N_ASSIGNMENTS, VICTIMS, Scenario, project_of
from victims import Victims, kill

from psyrun.store.registry import store_named
from psyrun.utils.resources import shipped

MOST_RUNS = 5
TIMEOUT = 120.0


@dataclass
class Counts:
    """What became of one scenario.

    Attributes
    ----------
    kills, in_flight : int
        Kills that hit, and the most evaluations that they can have cut off.
    repeated : int
        Evaluations beyond the first of each assignment.
    runs : int
        Undisturbed runs until the task was done.
    problems : list of str
        Promises that were broken.
    """

    kills: int = 0
    in_flight: int = 0
    repeated: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.kills + other.kills,
            self.in_flight + other.in_flight,
            self.repeated + other.repeated,
            self.runs + other.runs,
            self.problems + other.problems,
        )

    def __str__(self) -> str:
        return (
            f"kills {self.kills}, evaluated again {self.repeated} of at most "
            f"{self.in_flight} in flight, runs until done {self.runs}"
        )


def evaluated(project: Project) -> list[int]:
    """Return for which assignments `execute` was called, in no order."""
    files = (project.folder / "calls").iterdir()
    return [int(x) for file in files for x in file.read_text().split()]


def start(project: Project, victim: str, n_cores: int) -> subprocess.Popen[str]:
    if victim != "plain":
        return project.start("psyrun.cli", "run", "-j", str(n_cores))
    snakefile = shipped("workflow", "Snakefile")
    profile = shipped("profiles", "local")
    return project.start(
        *("snakemake", "--snakefile", str(snakefile), "--profile", str(profile)),
        *("--cores", str(n_cores)),
    )


def moment(project: Project, chance: random.Random) -> Callable[[], bool]:
    """Choose when to kill: mostly during the evaluations, else at any time."""
    if chance.random() < 0.75:
        before = len(evaluated(project))
        wanted = before + chance.randrange(max(1, N_ASSIGNMENTS - before))
        return lambda: len(evaluated(project)) > wanted
    due = time.monotonic() + chance.uniform(0.2, 6.0)
    return lambda: time.monotonic() > due


def disturb(project: Project, scenario: Scenario, chance: random.Random) -> bool:
    """Start a run and kill; tell whether there was something to be killed."""
    is_due = moment(project, chance)
    process = start(project, scenario.victim, scenario.n_cores)
    victims = Victims(process, chance)
    wait_until(lambda: is_due() or process.poll() is not None, TIMEOUT)
    hit: list[int] = []
    while not hit and process.poll() is None:
        hit = victims.find(scenario.victim)
        time.sleep(0 if hit else 0.01)
    for pid in hit:
        kill(pid)
    process.communicate(timeout=TIMEOUT)
    return bool(hit)


def finish(project: Project, n_cores: int) -> tuple[int, list[str]]:
    """Run until done; return the number of runs, and what they said if in vain."""
    said = []
    for n_runs in range(1, MOST_RUNS + 1):
        process = start(project, "psy", n_cores)
        output, errors = process.communicate(timeout=TIMEOUT)
        if process.returncode == 0:
            return n_runs, []
        said.append(f"exit {process.returncode}: {errors.strip() or output.strip()}")
    return MOST_RUNS, said


def load(project: Project, store: str) -> dict[str, Any]:
    return dict(store_named(store).load(str(project.work() / f"result{store}")))


def are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two results hold the same values, of the same types."""
    return list(one) == list(other) and all(
        type(one[key]) is type(other[key])
        and np.asarray(one[key]).dtype == np.asarray(other[key]).dtype
        and np.array_equal(one[key], other[key])
        for key in one
    )


def examine(
    project: Project, scenario: Scenario, clean: dict[str, Any], counts: Counts
) -> None:
    """Compare with the promises."""
    calls = Counter(evaluated(project))
    counts.repeated = calls.total() - len(calls)
    if set(calls) != set(range(N_ASSIGNMENTS)):
        counts.problems.append("some assignments were never evaluated")
    if counts.repeated > counts.in_flight:
        counts.problems.append("more was evaluated again than was in flight")
    result = load(project, scenario.store)
    if list(result["x"]) != list(range(N_ASSIGNMENTS)):
        counts.problems.append("not every assignment has one row, in order")
    if not are_equal(result, clean):
        counts.problems.append("the result differs from that of a clean run")


def play(scenario: Scenario, folder: Path, clean: dict[str, Any], seed: int) -> Counts:
    """Play one scenario; the folder stays if a promise is broken."""
    chance = random.Random(f"{seed} {scenario.number}")
    project = project_of(scenario, folder)
    counts = Counts()
    for _ in range(chance.randint(1, 2)):
        counts.kills += disturb(project, scenario, chance)
    counts.in_flight = counts.kills * scenario.n_hit
    counts.runs, said = finish(project, scenario.n_cores)
    if said:
        counts.problems.append("never done: " + "; ".join(said))
    else:
        examine(project, scenario, clean, counts)
    if not counts.problems:
        shutil.rmtree(folder)
    return counts


class CleanResults:
    """Results of runs that nobody disturbs, one for each store and backend."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def of(self, scenario: Scenario) -> dict[str, Any]:
        kind = (scenario.store, scenario.backend)
        if kind not in self._known:
            project = project_of(scenario, self._folder / "-".join(kind))
            project.psy("run", "-j", str(scenario.n_cores))
            self._known[kind] = load(project, scenario.store)
        return self._known[kind]


def chosen(first: int, victim: str | None) -> Iterator[Scenario]:
    wanted = map(Scenario, count(first))
    return (s for s in wanted if victim in (None, s.victim))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many scenarios")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--victim", choices=VICTIMS, help="only this one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    clean = CleanResults(folder)
    total, n_broken = Counts(), 0
    for scenario in islice(chosen(args.first, args.victim), args.runs):
        begun = time.monotonic()
        here = folder / str(scenario.number)
        counts = play(scenario, here, clean.of(scenario), args.seed)
        print(f"{scenario}: {counts} ({time.monotonic() - begun:.0f} s)", flush=True)
        for problem in counts.problems:
            print(f"    BROKEN in {here}: {problem}", flush=True)
        total, n_broken = total + counts, n_broken + bool(counts.problems)
    print(f"{args.runs} scenarios, {n_broken} broken: {total}")
    if not n_broken:
        shutil.rmtree(folder)
    return bool(n_broken)


if __name__ == "__main__":
    sys.exit(main())
