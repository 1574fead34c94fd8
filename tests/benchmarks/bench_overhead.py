"""What a process job adds to an evaluation that does nothing.

The process job of a task of 100 000 assignments runs in this process, as it
does in the fork of a warm one: with its lock, a worker, the journal and the
pickle file of its block, but without the start of Python and of Snakemake. The
reference is a bare loop over the same space. Both are timed in turn; processor
time is printed too, as it does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from options import parse

from psyrun.planning.prepare import PlanOptions, load_tasks
from psyrun.steps.job import ImportedTask, Job
from psyrun.steps.process import process
from psyrun.steps.split import split
from psyrun.steps.watchdog import Watchdog

N_ASSIGNMENTS = 100_000
MICROSECONDS = 1e6 / N_ASSIGNMENTS

TASK = f"""\
from psyrun import Param, PickleStore

pspace = Param(x=range({N_ASSIGNMENTS}))
store = PickleStore()
max_jobs = 1


def execute(x):
    return {{"y": x}}
"""


class Cost(NamedTuple):
    """What something cost, in microseconds per assignment."""

    wall: float
    processor: float


def cost(function: Callable[[], object]) -> Cost:
    wall, processor = time.perf_counter(), processor_time()
    function()
    return Cost(
        (time.perf_counter() - wall) * MICROSECONDS,
        (processor_time() - processor) * MICROSECONDS,
    )


def processor_time() -> float:
    """Return the processor time of this process and its workers, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def split_job(taskfile: Path) -> Job:
    """Accept a new plan of the task and freeze its space."""
    shutil.rmtree("psy-work", ignore_errors=True)
    (task,) = load_tasks([taskfile], PlanOptions())
    task.acquire()
    task.decide(print)
    task.accept()
    task.release()
    split(Job(task.plan, task.layout))
    return Job(task.plan, task.layout, ImportedTask.load(str(taskfile)))


def bare_loop(job: Job) -> None:
    execute = job.task.execute
    for parameters in job.task.pspace.iterate():
        execute(**parameters)


def pair(taskfile: Path) -> tuple[Cost, Cost]:
    """Time the process job and the bare loop."""
    with contextlib.redirect_stdout(io.StringIO()):
        job = split_job(taskfile)
        return cost(lambda: process_job(job)), cost(lambda: bare_loop(job))


def process_job(job: Job) -> None:
    with Watchdog(job.round.hanging_of("process-0").absolute()) as watchdog:
        process(job, 0, watchdog)


def report(kind: str, ours: Sequence[float], bare: Sequence[float]) -> None:
    above = [a - b for a, b in zip(ours, bare, strict=True)]
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    print(
        f"  {kind:15} process job {median(ours):5.1f} µs   bare loop "
        f"{median(bare):4.1f} µs   above it {median(above):5.1f} µs "
        f"(from {min(above):.1f} to {max(above):.1f})   ratio {median(ratios):.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    n_pairs = parse(parser, pairs=1).pairs
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        taskfile = Path("psy-tasks/task_noop.py").absolute()
        taskfile.parent.mkdir()
        taskfile.write_text(TASK)
        pairs = [pair(taskfile) for _ in range(n_pairs + 1)][1:]
        taskfile.write_text(f"{TASK}\n\ntimeout = '10m'\n")
        limited = [pair(taskfile) for _ in range(n_pairs)]
    ours, bare = zip(*pairs, strict=True)
    print(f"{N_ASSIGNMENTS} assignments that do nothing, median of {n_pairs} pairs")
    report("wall time", [c.wall for c in ours], [c.wall for c in bare])
    report("processor time", [c.processor for c in ours], [c.processor for c in bare])
    ours, bare = zip(*limited, strict=True)
    print("the same with a timeout")
    report("wall time", [c.wall for c in ours], [c.wall for c in bare])
    report("processor time", [c.processor for c in ours], [c.processor for c in bare])


if __name__ == "__main__":
    main()
