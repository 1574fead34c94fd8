"""What a process job adds to an evaluation that does nothing.

The process job of a task of 100 000 assignments runs in this process, as it
does in the fork of a warm one: with its lock, a worker, the journal and the
pickle file of its block, but without the start of Python and of Snakemake. The
reference is a bare loop over the same space. Both are timed in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from psyrun import journal
from psyrun.prepare import Options, prepare
from psyrun.steps.job import Context, Job
from psyrun.steps.process import process
from psyrun.steps.split import split

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


def seconds(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def split_job(taskfile: Path) -> Job:
    """Accept a new plan of the task and freeze its space."""
    shutil.rmtree("psy-work", ignore_errors=True)
    prepared = prepare(taskfile, Options())
    prepared.start()
    prepared.release()
    round_ = prepared.layout.round(prepared.plan.round)
    split(Job(prepared.plan, round_))
    return Job.of(round_.space, Context.load(str(taskfile)))


def bare_loop(job: Job) -> None:
    execute = job.task.execute
    for parameters in job.task.pspace.iterate():
        execute(**parameters)


def median_step(job: Job) -> float:
    """Return the median time from one evaluation to the next, in seconds."""
    path = job.round.journal(0, 0)
    starts = [e.start for e in journal.scan(path) if e.kind == journal.ROW]
    return float(np.median(np.diff(starts)))


def pair(taskfile: Path) -> tuple[float, float, float]:
    """Time the process job and the bare loop, and the median evaluation."""
    with contextlib.redirect_stdout(io.StringIO()):
        job = split_job(taskfile)
        ours = seconds(lambda: process(job, 0))
    return ours, seconds(lambda: bare_loop(job)), median_step(job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    n_pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        taskfile = Path("psy-tasks/task_noop.py").absolute()
        taskfile.parent.mkdir()
        taskfile.write_text(TASK)
        pairs = [pair(taskfile) for _ in range(n_pairs + 1)][1:]
    ours, bare, steps = map(statistics.median, zip(*pairs, strict=True))
    above = [(ours - bare) * MICROSECONDS for ours, bare, _ in pairs]
    print(f"{N_ASSIGNMENTS} assignments that do nothing, median of {n_pairs} pairs")
    print(f"  process job  {ours * MICROSECONDS:6.1f} µs per assignment")
    print(f"  bare loop    {bare * MICROSECONDS:6.1f} µs per assignment")
    print(
        f"  difference   {statistics.median(above):6.1f} µs"
        f"    (from {min(above):.1f} to {max(above):.1f}; at most 30)"
    )
    print(f"  ratio        {ours / bare:6.1f}")
    print(f"  evaluation and record alone, median: {steps * 1e6:.1f} µs")


if __name__ == "__main__":
    sys.exit(main())
