"""Products of matrices in two jobs at a time, with and without limits of threads.

Each assignment multiplies matrices with OpenBLAS, as NumPy does. "as on 16 cores" has
16 threads in each worker, as a machine of 16 cores gives them to each process, also in
a container that may use fewer. With ``threads = None`` the library decides, and
with ``'auto'``, the default, the workers share the cores. Wall time is that of the
evaluations; CPU time is that of all processes of the run, user and system.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from options import parse

TASK = """\
import numpy as np
from psyrun import Param

pspace = Param(x=range({n_items}))
max_jobs = 2
{settings}


def execute(x):
    a = np.random.default_rng(x).random(({size}, {size}))
    for _ in range({n_products}):
        a = a @ a
        a /= np.abs(a).max()
    return {{"y": a[0, 0]}}
"""
SIXTEEN = """\
threads = None

def setup(number):
    from threadpoolctl import threadpool_limits
    threadpool_limits(16)
    return {}
"""
CASES = {
    "as on 16 cores": SIXTEEN,
    "threads = None": "threads = None",
    "threads = 'auto'": "threads = 'auto'",
}


class Cost(NamedTuple):
    """Seconds of a run: wall time, and CPU time of all its processes."""

    wall: float
    cpu: float


def cost(settings: str, args: argparse.Namespace) -> Cost:
    shutil.rmtree("psy-work", ignore_errors=True)
    text = TASK.format(
        settings=settings,
        n_items=args.items,
        size=args.size,
        n_products=args.products,
    )
    Path("psy-tasks/task_a.py").write_text(text)
    before, begin = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "psyrun.cli", "run", "-j", "2", "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after, wall = os.times(), time.perf_counter() - begin
    cpu = after.children_user - before.children_user
    return Cost(wall, cpu + after.children_system - before.children_system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--items", type=int, default=8)
    parser.add_argument("--size", type=int, default=400)
    parser.add_argument("--products", type=int, default=20)
    args = parse(parser, repeats=1, items=2, size=50, products=2)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("psy-tasks").mkdir()
        # One after the other, so that what else the machine does is shared by all.
        rounds = [
            {name: cost(settings, args) for name, settings in CASES.items()}
            for _ in range(args.repeats)
        ]
    cores = len(os.sched_getaffinity(0))
    print(f"psy run -j 2 on {cores} cores, median of {args.repeats}")
    for name in CASES:
        wall, cpu = (
            statistics.median(getattr(each[name], kind) for each in rounds)
            for kind in Cost._fields
        )
        print(f"  {name:17} wall {wall:6.2f} s   user + system {cpu:6.2f} s")


if __name__ == "__main__":
    main()
