"""How well uneven assignments are balanced, beside equal batches.

2 000 assignments sleep for times with a Pareto distribution (exponent 1.5) that
add up to 60 s. The makespan, from the first start to the last end, is compared
with that of a queue without any costs from which idle workers take single
assignments in the same order. The goal is a ratio of at most 1.05.
"""

from __future__ import annotations

import argparse
import heapq
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from options import parse

N_ASSIGNMENTS = 2_000
TOTAL = 60.0  # seconds
EXPONENT = 1.5

TASK = """\
import time

from psyrun import Param
from psyrun.backend import {backend}

pspace = Param(duration={durations})
backend = {backend}
max_jobs = {n_jobs}
pool_size = {pool_size}


def execute(duration):
    start = time.time()
    time.sleep(duration)
    return {{"start": start, "end": time.time()}}
"""


def pareto_durations(seed: int) -> list[float]:
    drawn = 1.0 + np.random.default_rng(seed).pareto(EXPONENT, N_ASSIGNMENTS)
    durations: list[float] = (drawn * TOTAL / drawn.sum()).tolist()
    return durations


def greedy_makespan(durations: Sequence[float], n_workers: int) -> float:
    """Return when the last of some workers ends that take the next one at once."""
    ends = [0.0] * n_workers
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


def makespan(
    backend: str, durations: Sequence[float], n_workers: int, pool_size: int
) -> float:
    """Run the task and return the time from the first start to the last end."""
    n_jobs = n_workers // pool_size
    text = TASK.format(
        backend=backend, durations=durations, n_jobs=n_jobs, pool_size=pool_size
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "psy-tasks").mkdir()
        Path(folder, "psy-tasks/task_uneven.py").write_text(text)
        command = ["psyrun.cli", "run", "--quiet", "-j", str(n_workers)]
        subprocess.run([sys.executable, "-m", *command], cwd=folder, check=True)
        with Path(folder, "psy-work/uneven/result.pkl").open("rb") as file:
            result = pickle.load(file)
    return float(max(result["end"]) - min(result["start"]))


def compare(
    durations: Sequence[float], n_workers: int, pool_size: int, repetitions: int
) -> None:
    """Print one line: medians, and their ratios to the ideal."""
    ideal = greedy_makespan(durations, n_workers)
    balanced, equal = (
        statistics.median(
            makespan(backend, durations, n_workers, pool_size)
            for _ in range(repetitions)
        )
        for backend in ("LoadBalancingBackend", "DistributeBackend")
    )
    print(
        f"{n_workers:4} workers, {pool_size} in each job: ideal {ideal:6.2f} s   "
        f"load balancing {balanced:6.2f} s ({balanced / ideal:.3f})   "
        f"equal batches {equal:6.2f} s ({equal / ideal:.3f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--pool-sizes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parse(parser, workers=[16], pool_sizes=[2])
    durations = pareto_durations(args.seed)
    for n_workers in args.workers:
        for pool_size in args.pool_sizes:
            compare(durations, n_workers, pool_size, args.repetitions)


if __name__ == "__main__":
    main()
