"""A trivial run, and one of many process jobs, beside bare Snakemake.

Each job has 10 trivial assignments.

The reference is the same graph of jobs, run by the same Snakemake with the
same number of cores, with `touch` as the body of each rule. Both are timed in
turn, and the ratio is that of each pair. CPU time is that of all processes: it
depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
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
from psyrun import Param

pspace = Param(x=range(10 * {n_jobs}))
max_jobs = {n_jobs}


def execute(x):
    return {{"y": x}}
"""

BARE = """\
rule result:
    input:
        "out/result",


rule split:
    output:
        "out/space",
    log:
        "out/split.log",
    shell:
        "touch {output} > {log} 2>&1"


rule process:
    input:
        "out/space",
    output:
        "out/blocks/{block}",
    log:
        "out/process-{block}.log",
    shell:
        "touch {output} > {log} 2>&1"


rule merge:
    input:
        expand("out/blocks/{block}", block=range(N_JOBS)),
    output:
        "out/result",
    log:
        "out/merge.log",
    shell:
        "touch {output} > {log} 2>&1"
"""


class Used(NamedTuple):
    """What a run used, in seconds."""

    wall: float
    cpu: float


def used(command: list[str], folder: Path) -> Used:
    # Where it is set, an installation for editing is compiled in each process.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", *command]
    before, begun = children_cpu(), time.perf_counter()
    subprocess.run(command, cwd=folder, env=kept, check=True, capture_output=True)
    return Used(time.perf_counter() - begun, children_cpu() - before)


def children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def remove(folder: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)


def pair(folder: Path) -> tuple[Used, Used]:
    """Time psyrun and the reference once."""
    remove(folder, "psy-work", "out", ".snakemake")
    ours = used(["psyrun.cli", "run", "--quiet", "-j", "2"], folder)
    options = ["--scheduler", "greedy", "--cores", "2", "--quiet", "all"]
    bare = used(["snakemake", "-s", "bare.smk", *options], folder)
    return ours, bare


def show(kind: str, ours: list[float], bare: list[float]) -> None:
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    print(
        f"  {kind}  psy run {statistics.median(ours):6.2f} s   bare Snakemake "
        f"{statistics.median(bare):6.2f} s   ratio {statistics.median(ratios):.2f} "
        f"(from {min(ratios):.2f} to {max(ratios):.2f}; of the shortest "
        f"{min(ours) / min(bare):.2f})"
    )


def compare(n_jobs: int, n_pairs: int) -> None:
    """Time runs of so many process jobs, and print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "psy-tasks").mkdir()
        task = TASK.format(n_jobs=n_jobs)
        (folder / "psy-tasks/task_noop.py").write_text(task)
        (folder / "bare.smk").write_text(BARE.replace("N_JOBS", str(n_jobs)))
        pairs = [pair(folder) for _ in range(n_pairs + 1)][1:]
    ours, bare = map(list, zip(*pairs, strict=True))
    print(f"process jobs: {n_jobs}, 2 cores, median of {n_pairs} pairs")
    show("wall", [u.wall for u in ours], [u.wall for u in bare])
    show("CPU ", [u.cpu for u in ours], [u.cpu for u in bare])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 100])
    args = parse(parser, pairs=1, jobs=[1, 10])
    for n_jobs in args.jobs:
        compare(n_jobs, args.pairs)


if __name__ == "__main__":
    main()
