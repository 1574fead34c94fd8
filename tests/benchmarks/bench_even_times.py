"""How even blocks are that are predicted to take equally long, with 8 workers.

And when workers end that fetch first what is predicted to take longest.

First by simulation: tasks whose costs are known, with noise, are divided from 16 pilots
among as many jobs as there are workers, among 100, and into what workers fetch. The
time until the last worker ends is compared with the lower bound: the longest
assignment, or an eighth of all.

Then tasks that sleep are run for real. What `psy run -p` has evaluated of them are the
pilots; the time is from the first start to the last end of the others. With --slurm,
jobs are submitted to a queue.

At last it prints how long it takes to predict 10⁶ assignments and to divide them. The
goal is a ratio of at most 1.1, and less than 0.3 s.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from options import parse

from psyrun import Param
from psyrun.estimate import Evaluated, first_pilots, next_pilots
from psyrun.estimate.blocks import last_end
from psyrun.pspace.space import ParameterSpace
from psyrun.steps.even_times import divided_evenly
from psyrun.steps.work_queue import CLAIM_FRACTION, shrinking_ranges
from psyrun.store.arrays import Indices
from psyrun.workdir.division import Division

sys.path.append(str(Path(__file__).parents[1] / "helpers"))
from known_costs import TASKS, KnownTask

Floats = NDArray[np.float64]
N_WORKERS, N_PILOTS = 8, 16
FETCHED = 0  # the number of blocks where workers fetch

SLEEPING = """\
import time

from psyrun import {scheduler}, Param
from psyrun.backend import {backend}

pspace = Param(n=[1, 2, 3, 4, 6, 8, 12, 16]) * Param(s=["a", "b"]) * Param(k=range(8))
max_jobs = {n_jobs}
predict_times = {predicts}
backend = {backend}
scheduler = {scheduler}


def execute(n, s, k):
    start = time.time()
    time.sleep({scale} * ({seconds}))
    return {{"start": start, "end": time.time()}}
"""
SLEEPS = {
    "power law": '0.01 * n**2 * (2 if s == "a" else 1)',
    "sum": '0.1 + 0.1 * n + (0.5 if s == "a" else 0)',
}
PILOTS = ["-p", "k=0"]


class Ends(NamedTuple):
    """When the last worker ends, relative to the lower bound."""

    equal: float
    predicted: float


def pilots_of(space: ParameterSpace, seconds: Floats) -> Evaluated:
    """Return pilots as `psy plan` would choose them."""
    rows = first_pilots(space, N_PILOTS // 2)
    known = Evaluated.of(rows, seconds[rows])
    rows = np.append(rows, next_pilots(space, known, N_PILOTS // 2))
    return Evaluated.of(rows, seconds[rows])


def simulated(task: KnownTask, n_jobs: int, seed: int) -> Ends:
    """Divide what pilots leave of a task, and see when the last worker ends."""
    space = task.space(seed)
    seconds, _ = task.costs(space, seed)
    known = pilots_of(space, seconds)
    kept = np.full(len(space), -1)
    kept[known.rows] = np.arange(len(known))
    division = Division(space, n_jobs, kept)
    rest = seconds[kept < 0]
    bound = max(rest.max(), rest.sum() / N_WORKERS)
    n_fetching = N_WORKERS if n_jobs == FETCHED else 0
    n_at_once = 0 if n_fetching else N_WORKERS
    predicted = divided_evenly(
        division, known, n_fetching=n_fetching, n_at_once=n_at_once
    )
    ends = [
        last_end((seconds[rows].sum() for rows in taken(d)), N_WORKERS)
        for d in (division, predicted)
    ]
    return Ends(*(end / bound for end in ends))


def taken(division: Division) -> Iterator[Sequence[int] | Indices]:
    """Yield what workers take, one after the other."""
    if division.n_blocks != FETCHED:
        yield from map(division.indices, range(division.n_blocks))
        return
    indices, sizes = division.fetchable()
    if sizes is None:
        ranges = shrinking_ranges(len(indices), N_WORKERS, CLAIM_FRACTION)
        sizes = tuple(map(len, ranges))
    yield from np.split(indices, np.cumsum(sizes)[:-1])


def run(folder: Path, *options: str) -> None:
    """Run the tasks of a folder."""
    command = [sys.executable, "-m", "psyrun.cli", "run", "--quiet", "-j", "8"]
    subprocess.run([*command, *options], cwd=folder, check=True)


def slept(**settings: Any) -> float:
    """Run a task with pilots, and return how long the rest takes, as in `Ends`."""
    text = SLEEPING.format(**settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "psy-tasks").mkdir()
        (folder / "psy-tasks/task_uneven.py").write_text(text)
        run(folder, *PILOTS)
        run(folder)
        with (folder / "psy-work/uneven/result.pkl").open("rb") as file:
            result = {
                key: np.array(values) for key, values in pickle.load(file).items()
            }
    is_rest = result["k"] > 0
    starts, ends = result["start"][is_rest], result["end"][is_rest]
    times = ends - starts
    bound = max(times.max(), times.sum() / N_WORKERS)
    return float((ends.max() - starts.min()) / bound)


def show(name: str, n_jobs: int, ends: Ends) -> None:
    how, before = f"{n_jobs:4} jobs", "equal numbers"
    after = "  equal times"
    if n_jobs == FETCHED:
        how, before, after = "  fetched", "     in order", "slowest first"
    print(
        f"{name:28} {how}   {before} {ends.equal:6.3f}   {after} {ends.predicted:6.3f}",
        flush=True,
    )


def show_cost(n: int) -> None:
    """Print how long it takes to predict 10⁶ assignments, and to divide them."""
    space = Param(a=range(1, 101)) * Param(b=range(1, 101)) * Param(c=range(n))
    rows = first_pilots(space, N_PILOTS)
    known = Evaluated.of(
        rows, [1e-3 * (1 + r // (100 * n)) ** 2 for r in rows.tolist()]
    )
    kept = np.full(len(space), -1)
    kept[rows] = np.arange(len(rows))
    for n_jobs in (8, 100, 1000):
        division, before = Division(space, n_jobs, kept), time.process_time()
        divided_evenly(division, known)
        took = time.process_time() - before
        print(f"{len(space)} assignments in {n_jobs} blocks: {took:.2f} s of CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=8, help="of each simulation")
    numbers = "of blocks; 0 where workers fetch"
    parser.add_argument(
        "--jobs", type=int, nargs="+", default=[8, 100, FETCHED], help=numbers
    )
    parser.add_argument(
        "--real-jobs", type=int, nargs="*", default=[8, FETCHED], help=numbers
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of their times")
    parser.add_argument("--slurm", action="store_true", help="have Slurm run them")
    parser.add_argument("--size", type=int, default=100, help="10⁴ assignments")
    args = parse(parser, repeats=1, real_jobs=[], size=1)
    print("simulated, medians")
    for n_jobs in args.jobs:
        for name, task in TASKS.items():
            found = [simulated(task, n_jobs, seed) for seed in range(args.repeats)]
            middles = map(statistics.median, zip(*found, strict=True))
            show(name, n_jobs, Ends(*middles))
    print("runs of tasks that sleep")
    for n_jobs in args.real_jobs:
        for name, seconds in SLEEPS.items():
            is_fetched = n_jobs == FETCHED
            settings: dict[str, Any] = {"seconds": seconds, "scale": args.scale}
            settings["n_jobs"] = N_WORKERS if is_fetched else n_jobs
            kind = "LoadBalancing" if is_fetched else "Distribute"
            settings["backend"] = f"{kind}Backend"
            settings["scheduler"] = "Slurm" if args.slurm else "ImmediateRun"
            ends = [slept(predicts=each, **settings) for each in (False, True)]
            show(name, n_jobs, Ends(*ends))
    show_cost(args.size)


if __name__ == "__main__":
    main()
