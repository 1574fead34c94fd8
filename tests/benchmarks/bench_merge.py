"""Merging rows of 1 MB in blocks of 100, beside a bare write of as many bytes.

Blocks hold the rows one after the other, or interleaved, as with load balancing. Each
is done in turn, and has been once before it is timed. Both wait until all is on disk.
The peak of memory is that of the merge job.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from options import parse

from psyrun.workdir.layout import Round

TASK = """\
import numpy as np

from psyrun import Param, {store}

pspace = Param(x=range({n_rows}))
max_jobs = {n_rows} // 100
store = {store}()


def execute(x):
    return {{"y": np.random.default_rng(x).random(125_000)}}
"""
STORES = ["NpzStore", "PickleStore", "H5Store"]
ORDERS = ["one after the other", "interleaved"]


class Used(NamedTuple):
    """What a process used: seconds on the clock and of CPU, and MB at its peak."""

    wall: float
    cpu: float
    peak: float


def used_by(command: list[str], folder: Path) -> Used:
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command} failed")
    wall = time.perf_counter() - begun
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


WRITE = """\
import os, sys
piece = os.urandom(1 << 20)
with open(sys.argv[1], "wb", buffering=0) as file:
    for _ in range(int(sys.argv[2]) // len(piece)):
        file.write(piece)
    os.fsync(file.fileno())
"""


def bare(folder: Path, n_bytes: int) -> Used:
    target = folder / "bare"
    found = used_by([sys.executable, "-c", WRITE, str(target), str(n_bytes)], folder)
    target.unlink()
    return found


def merge(folder: Path) -> Used:
    for mark in (folder / "psy-work/big/round-1").glob("merged*"):
        mark.unlink()
    command = [sys.executable, "-m", "psyrun.steps", "merge", "psy-work/big", "1"]
    return used_by(command, folder)


def interleave(folder: Path) -> None:
    """Say that row i of all is in block i modulo the number of blocks."""
    round_ = Round(folder / "psy-work/big/round-1")
    blocks = list(round_.blocks.glob("*.*"))
    n_rows = len(blocks) * 100
    for block in range(len(blocks)):
        np.save(round_.rows(block), np.arange(block, n_rows, len(blocks)))


def show(name: str, each: list[Used]) -> None:
    walls, cpus = [u.wall for u in each], [u.cpu for u in each]
    print(
        f"    {name:10} wall {statistics.median(walls):6.2f} s "
        f"(from {min(walls):.2f}), CPU {statistics.median(cpus):5.2f} s, "
        f"{max(u.peak for u in each):6.0f} MB",
        flush=True,
    )


def measure(folder: Path, n_rows: int, n_pairs: int) -> None:
    pairs = [
        (merge(folder), bare(folder, n_rows * 1_000_000)) for _ in range(n_pairs + 1)
    ][1:]
    ours, reference = map(list, zip(*pairs, strict=True))
    show("merge", ours)
    show("bare write", reference)
    ratios = [a.wall / b.wall for a, b in pairs]
    print(f"    ratio      {statistics.median(ratios):.2f} (from {min(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=STORES)
    args = parse(parser, pairs=1, rows=200)
    print(f"merging {args.rows} rows of 1 MB, in turn with a bare write")
    for store in args.stores:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "psy-tasks").mkdir()
            text = TASK.format(store=store, n_rows=args.rows)
            (folder / "psy-tasks/task_big.py").write_text(text)
            run = [sys.executable, "-m", "psyrun.cli", "run", "--quiet"]
            subprocess.run(run, cwd=folder, check=True)
            for order in ORDERS:
                print(f"  {store}, {order}")
                if order == "interleaved":
                    interleave(folder)
                measure(folder, args.rows, args.pairs)


if __name__ == "__main__":
    main()
