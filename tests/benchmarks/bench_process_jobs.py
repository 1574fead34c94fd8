"""100 process jobs of 10 trivial assignments, beside bare Snakemake.

The reference is the same graph of jobs, run by the same Snakemake with the
same number of cores, with `touch` as the body of each rule. Both are timed in
turn, and the ratio is that of each pair.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASK = """\
from psyrun import Param

pspace = Param(x=range(1000))
max_jobs = 100


def execute(x):
    return {"y": x}
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
        expand("out/blocks/{block}", block=range(100)),
    output:
        "out/result",
    log:
        "out/merge.log",
    shell:
        "touch {output} > {log} 2>&1"
"""


def seconds(command: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, check=True, capture_output=True
    )
    return time.perf_counter() - begun


def remove(folder: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)


def pair(folder: Path) -> tuple[float, float]:
    """Time psyrun and the reference once."""
    remove(folder, "psy-work", "out", ".snakemake")
    ours = seconds(["psyrun.cli", "run", "--quiet", "-j", "2"], folder)
    options = ["--scheduler", "greedy", "--cores", "2", "--quiet", "all"]
    bare = seconds(["snakemake", "-s", "bare.smk", *options], folder)
    return ours, bare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    n_pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "psy-tasks").mkdir()
        (folder / "psy-tasks/task_noop.py").write_text(TASK)
        (folder / "bare.smk").write_text(BARE)
        pairs = [pair(folder) for _ in range(n_pairs + 1)][1:]
    ratios = [ours / bare for ours, bare in pairs]
    print("100 process jobs of 10 assignments, 2 cores, median of", n_pairs, "pairs")
    print(f"  psy run         {statistics.median(p[0] for p in pairs):6.2f} s")
    print(f"  bare Snakemake  {statistics.median(p[1] for p in pairs):6.2f} s")
    print(
        f"  ratio           {statistics.median(ratios):6.2f}"
        f"    (from {min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
