"""A finished task whose space gets one point more, beside what that must take.

Prints how long `psy run` takes for it, in seconds on the clock and of CPU, and its peak
of memory, beside a run of a single assignment and a copy of the result file, which is
what the cost of such a change is compared with. With ``--rebuilt``, also `psy run
--continue` from the result alone, whose work folder is gone. The rows of before are put
into blocks without evaluation, as process jobs would write them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path
from typing import NamedTuple

import numpy as np
from options import parse

from psyrun.planning.prepare import PlanOptions, load_tasks
from psyrun.pspace.param import select_ascending
from psyrun.steps.main import run
from psyrun.store.costs import RECORD, Costs
from psyrun.store.metadata import Metadata, write_beside
from psyrun.workdir.blocks import record_block
from psyrun.workdir.division import Division

TASK = """\
from psyrun import Param
from psyrun.store.registry import store_named

pspace = {space}
store = store_named("{ext}")
resultfile = "results/{name}{ext}"
max_jobs = {n_jobs}


def execute({parameters}):
    return {{"y": x}}
"""
SPACES: dict[str, Callable[[int, int], tuple[str, str]]] = {
    "range": lambda n, more: (f"Param(x=range({n + more}))", "x"),
    "grid": lambda n, more: (
        f"Param(a=range({n // 1000})) * Param(x=range(1000))"
        + "".join(f" + Param(a=-1, x={i})" for i in range(more)),
        "a, x",
    ),
    "random": lambda n, more: (
        f"Param(x=__import__('numpy').random.default_rng(0).random({n + more}))",
        "x",
    ),
}
N_JOBS = 16


class Used(NamedTuple):
    """What was used: seconds on the clock and of CPU, and MB of a process at its peak.

    The last is the largest of the processes that were waited for.
    """

    wall: float
    cpu: float
    peak: float

    def __str__(self) -> str:
        return f"{self.wall:7.2f} s, {self.cpu:7.2f} s of CPU, {self.peak:5.0f} MB"


def used_by(command: list[str], folder: Path) -> Used:
    begun = time.perf_counter()
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit((folder / "log").read_text()[-2000:])
    wall = time.perf_counter() - begun
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def psy_run(folder: Path, name: str, *options: str) -> Used:
    command = [sys.executable, "-m", "psyrun.cli", "run", "--quiet", name, *options]
    return used_by([*command, "-j", "2"], folder)


def write(folder: Path, name: str, space: tuple[str, str], ext: str, jobs: int) -> None:
    (folder / "psy-tasks").mkdir(exist_ok=True)
    text = TASK.format(
        space=space[0], parameters=space[1], ext=ext, name=name, n_jobs=jobs
    )
    (folder / f"psy-tasks/task_{name}.py").write_text(text)


def make(folder: Path, name: str) -> None:
    """Do what the jobs of a task do, up to the merge, but evaluate nothing."""
    os.chdir(folder)
    (task,) = load_tasks([Path(f"psy-tasks/task_{name}.py")], PlanOptions())
    task.acquire()
    task.decide(print)
    task.accept()
    if run(["split", str(task.layout.folder), str(task.plan.round)]):
        sys.exit("the space could not be divided")
    round_, store = task.layout.round(task.plan.round), task.task.store
    division = Division.load(round_)
    for block in range(task.plan.n_blocks):
        indices = np.asarray(division.indices(block))
        columns = dict(select_ascending(division.space, indices).build())
        store.save(round_.block(block, store.ext), {**columns, "y": columns["x"]})
        records = np.zeros(len(indices), RECORD)
        records["start"], records["duration"] = time.time(), 1e-6
        records["host"] = records["version"] = records["attempt"] = 1
        versions = ("", task.plan.fingerprint)
        costs = Costs.of_records(records, ("", "here"), versions).metadata()
        arrays = {**costs.arrays, "assignment": indices}
        write_beside(round_.costs(block), Metadata(costs.about, arrays), None)
        path = round_.block(block, store.ext)
        record_block(round_, block, len(indices), path, (*columns,))
    task.release()


def made(folder: Path, name: str) -> None:
    worker = Process(target=make, args=(folder, name))
    worker.start()
    worker.join()
    if worker.exitcode:
        sys.exit(1)
    psy_run(folder, name)


def copied(path: Path) -> Used:
    """Return what a copy of a file takes that is read and written."""
    command = ["cp", "--reflink=never", str(path), f"{path}.copy"]
    used = used_by(command, path.parent)
    Path(f"{path}.copy").unlink()
    return used


def best(measure: Callable[[int], Used], repeats: int) -> Used:
    return min(map(measure, range(repeats)))


def trivial_run(folder: Path, ext: str, repeats: int) -> Used:
    def once(i: int) -> Used:
        name = f"one_{i}"
        write(folder, name, ("Param(x=[1])", "x"), ext, 1)
        return psy_run(folder, name)

    return best(once, repeats)


def report(folder: Path, args: argparse.Namespace, ext: str) -> None:
    space, n = SPACES[args.space], args.assignments
    write(folder, "many", space(n, 0), ext, N_JOBS)
    made(folder, "many")
    print(f"{n} assignments, {args.space}, {ext}:")
    trivial = trivial_run(folder, ext, args.repeats)
    result = folder / f"results/many{ext}"
    copy = best(lambda _: copied(result), args.repeats)
    print(f"  trivial run     {trivial}\n  copy of result  {copy}", flush=True)

    def extended(i: int) -> Used:
        write(folder, "many", space(n, i + 1), ext, N_JOBS)
        return psy_run(folder, "many")

    told("one row more", best(extended, args.repeats), trivial, copy)
    if args.rebuilt:
        shutil.rmtree(folder / "psy-work/many")
        write(folder, "many", space(n, args.repeats + 1), ext, N_JOBS)
        told("result alone", psy_run(folder, "many", "--continue"), trivial, copy)


def told(what: str, used: Used, trivial: Used, copy: Used) -> None:
    wall = used.wall / (trivial.wall + copy.wall)
    cpu = used.cpu / (trivial.cpu + copy.cpu)
    ratios = f"{wall:.1f} and {cpu:.1f} times these"
    print(f"  {what:<14}  {used}: {ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assignments", type=int, default=1_000_000)
    parser.add_argument("--stores", nargs="+", default=[".npz", ".h5", ".pkl"])
    parser.add_argument("--space", choices=SPACES, default="range")
    parser.add_argument("--repeats", type=int, default=3, help="the best is told")
    parser.add_argument("--rebuilt", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep everything there")
    args = parse(parser, assignments=20_000, repeats=1, stores=[".npz"], rebuilt=True)
    for ext in args.stores:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) if args.folder is None else args.folder / ext[1:]
            folder.mkdir(parents=True, exist_ok=True)
            report(folder, args, ext)


if __name__ == "__main__":
    main()
