"""Trivial process jobs on the test cluster, beside bare job arrays.

One reference is an `sbatch --array` of the very commands that the process jobs
run, in a copy of the project whose blocks are removed: both do the same work. It
does without Snakemake, without split and merge, and without anybody who watches.
The other one is an array of plain Pythons: each runs the task file, evaluates as
many assignments and writes their rows, but checks and records nothing.

Wall time is that from typing the command to the result. Makespan is the time from
the start of the first process job to the end of the last; Slurm and the jobs' own
traces know it to a second.

The test cluster is started for the time, if it does not run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from options import parse

from psyrun import Slurm

sys.path.insert(0, str(Path(__file__).parents[1] / "cluster"))
from slurm.install import reason_it_cannot_run
from slurm_cluster import SlurmCluster

TASK = """\
from psyrun import Param, Slurm

pspace = Param(x=range({n_assignments}))
max_jobs = {n_jobs}
scheduler = Slurm()
scheduler_args = {{"timelimit": "10m", "memory": "{memory}"}}


def execute(x):
    return {{"y": x}}
"""

# What is submitted is copied, since psyrun removes it after the merge.
WRAPPER = """\
#!/bin/sh
echo "$@" >> {calls}
cp -r {queue}/. {copy} 2> /dev/null
exec {sbatch} "$@"
"""

RAW = """\
#!/bin/sh
exec sh -c "$(sed -n "$((SLURM_ARRAY_TASK_ID + {first}))p" {commands})"
"""

PLAIN = """\
import pickle
import runpy
import sys

job, per_job = int(sys.argv[1]), int(sys.argv[2])
task = runpy.run_path("psy-tasks/task_noop.py")
points = task["pspace"][job * per_job : (job + 1) * per_job]
rows = [{**point, **task["execute"](**point)} for point in points]
with open(f"{job}.pkl", "wb") as file:
    pickle.dump(rows, file)
"""

BIN = str(Path(sys.executable).parent)
OPTIONS = ["--time=10", "--mem=200M", "--cpus-per-task=1", "--nodes=1"]


class Times(NamedTuple):
    """What a run took, in seconds, and how often it called sbatch."""

    wall: float
    makespan: float
    calls: int


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which calls of sbatch are counted."""
    sbatch = shutil.which("sbatch")
    assert sbatch is not None
    wrapper = folder / "bin/sbatch"
    wrapper.parent.mkdir(exist_ok=True)
    places = {"queue": folder / "project/psy-work/noop/queue", "copy": folder / "queue"}
    paths = {"calls": folder / "calls", "sbatch": sbatch, **places}
    quoted = {name: shlex.quote(str(path)) for name, path in paths.items()}
    wrapper.write_text(WRAPPER.format(**quoted))
    wrapper.chmod(0o755)
    (folder / "calls").write_text("")
    path = os.pathsep.join([str(wrapper.parent), BIN, os.environ["PATH"]])
    # Python compiles what it imports only once, as anywhere else.
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": path}


def seconds(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    took = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{shlex.join(command)}:\n{done.stdout}{done.stderr}")
    return took


def makespan(folder: Path, name: str, n_jobs: int, since: datetime) -> float:
    """Return the seconds between first start and last end, as Slurm knows them."""
    form = ["-t", "all", "-r", "-h", "-o", "%t|%S|%e|%V|%j|%Z"]
    shown = subprocess.check_output(["squeue", "--me", *form], text=True)
    rows = [line.split("|", 5) for line in shown.splitlines()]
    mine = [row[:4] for row in rows if row[4:] == [name, str(folder)]]
    jobs = [[state, *map(datetime.fromisoformat, times)] for state, *times in mine]
    new = [job[:3] for job in jobs if job[3] >= since]
    states, starts, ends = zip(*new, strict=True)
    if states != ("CD",) * n_jobs:
        sys.exit(f"{name}: {len(states)} of {n_jobs} jobs, states {set(states)}")
    return (max(ends) - min(starts)).total_seconds()


def n_calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines())


def commands_of(folder: Path) -> str:
    """Return the commands of the process jobs, one on each line."""
    texts = [file.read_text() for file in (folder / "queue").glob("*/commands")]
    return "".join(text for text in texts if " process " in text.partition("\n")[0])


def with_psyrun(folder: Path, env: Mapping[str, str], n_jobs: int) -> Times:
    for name in ("project/psy-work", "queue"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "queue").mkdir()
    (folder / "calls").write_text("")
    command = [sys.executable, "-m", "psyrun.cli", "run", "--quiet"]
    project, begun = folder / "project", datetime.now().replace(microsecond=0)
    wall = seconds(command, project, env)
    return Times(
        wall, makespan(project, "noop:process", n_jobs, begun), n_calls(folder)
    )


def raw(folder: Path, env: Mapping[str, str]) -> Times:
    """Run the commands of psyrun's process jobs again, as bare job arrays."""
    copy = folder / "raw"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "project", copy)
    round_ = copy / "psy-work/noop/round-1"
    for name in ("blocks", "locks"):
        shutil.rmtree(round_ / name)
        (round_ / name).mkdir()
    commands = commands_of(folder)
    (copy / "commands").write_text(commands)
    n_jobs, before = commands.count("\n"), n_calls(folder)
    begun = datetime.now().replace(microsecond=0)
    wall = submit_and_wait(copy, n_jobs, env)
    n_blocks = len(list((round_ / "blocks").glob("*.pkl")))
    if n_blocks != n_jobs:
        sys.exit(f"the bare array made {n_blocks} of {n_jobs} blocks")
    return Times(wall, makespan(copy, "raw", n_jobs, begun), n_calls(folder) - before)


def plain(folder: Path, env: Mapping[str, str], n_jobs: int, per_job: int) -> Times:
    """Run an array of Pythons that evaluate and write as many assignments."""
    copy = folder / "plain"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.copytree(folder / "project/psy-tasks", copy / "psy-tasks")
    (copy / "work.py").write_text(PLAIN)
    line = f"{shlex.quote(sys.executable)} work.py"
    commands = "".join(f"{line} {job} {per_job}\n" for job in range(n_jobs))
    (copy / "commands").write_text(commands)
    begun, before = datetime.now().replace(microsecond=0), n_calls(folder)
    wall = submit_and_wait(copy, n_jobs, env)
    n_files = len(list(copy.glob("*.pkl")))
    if n_files != n_jobs:
        sys.exit(f"the array of plain Pythons made {n_files} of {n_jobs} files")
    return Times(wall, makespan(copy, "raw", n_jobs, begun), n_calls(folder) - before)


def submit_and_wait(copy: Path, n_jobs: int, env: Mapping[str, str]) -> float:
    """Submit as few arrays as Slurm allows, wait for them and return the time."""
    size = Slurm().max_array_size()
    begun = time.perf_counter()
    for first in range(0, n_jobs, size):
        script = copy / f"raw-{first}.sh"
        commands = shlex.quote(str(copy / "commands"))
        script.write_text(RAW.format(first=first + 1, commands=commands))
        last = min(size, n_jobs - first) - 1
        array = [f"--array=0-{last}", "-J", "raw", "-o", f"{first}-%a.out"]
        seconds(["sbatch", *OPTIONS, *array, str(script)], copy, env)
    running = ["squeue", "-h", "-o", "%i", "--name", "raw", "--me"]
    while subprocess.check_output(running):
        time.sleep(0.2)
    return time.perf_counter() - begun


def official(folder: Path, env: Mapping[str, str]) -> float:
    """Time the official executor plug-in on the same Snakefile."""
    psy = [sys.executable, "-m", "psyrun.cli"]
    shutil.rmtree(folder / "project/psy-work", ignore_errors=True)
    snakefile = subprocess.check_output([*psy, "snakefile"], text=True).strip()
    command = [sys.executable, "-m", "snakemake", "--snakefile", snakefile]
    command += ["--executor", "slurm", "--jobs", "10", "--nolock", "--quiet", "all"]
    command += ["--scheduler", "psyrun", "--rerun-triggers", "params"]
    # There is no accounting.
    command += ["--slurm-status-command", "squeue", "--slurm-no-account"]
    return seconds(command, folder / "project", env)


def set_up(folder: Path, n_jobs: int, per_job: int, memory: str = "200M") -> None:
    tasks = folder / "project/psy-tasks"
    tasks.mkdir(parents=True, exist_ok=True)
    text = TASK.format(n_assignments=n_jobs * per_job, n_jobs=n_jobs, memory=memory)
    (tasks / "task_noop.py").write_text(text)


def show(name: str, ours: Sequence[float], other: str, theirs: Sequence[float]) -> None:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(
        f"  {name:9} psy run {statistics.median(ours):6.1f} s   {other:13} "
        f"{statistics.median(theirs):6.1f} s   ratio {statistics.median(ratios):.2f} "
        f"(from {min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--per-job", type=int, default=10, help="assignments")
    text = "also time snakemake-executor-plugin-slurm with 10 jobs (minutes)"
    parser.add_argument("--official", action="store_true", help=text)
    args = parse(parser, jobs=10)
    if args.official and find_spec("snakemake_executor_plugin_slurm") is None:
        parser.error("the official plug-in is missing: pip install .[slurm-official]")
    if reason := reason_it_cannot_run(accounting=False):
        print(f"not measured, as there can be no test cluster: {reason}")
        return
    cluster = SlurmCluster()
    was_up = cluster.is_up()
    cluster.install()
    cluster.start()
    try:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name).resolve(), args)
    finally:
        if not was_up:
            cluster.tear_down()


def measure(folder: Path, args: argparse.Namespace) -> None:
    env = environment(folder)
    set_up(folder, args.jobs, args.per_job)
    found = [
        (
            with_psyrun(folder, env, args.jobs),
            raw(folder, env),
            plain(folder, env, args.jobs, args.per_job),
        )
        for _ in range(args.pairs)
    ]
    ours, bare, pythons = zip(*found, strict=True)
    print(f"{args.jobs} process jobs of {args.per_job} assignments, Slurm")
    for other, theirs in (("same commands", bare), ("plain Pythons", pythons)):
        spans = [[times.makespan for times in some] for some in (ours, theirs)]
        show("makespan", spans[0], other, spans[1])
        walls = [[times.wall for times in some] for some in (ours, theirs)]
        show("wall time", walls[0], other, walls[1])
    print(f"  sbatch    {max(t.calls for t in ours)} calls", flush=True)
    if args.official:
        # Its jobs start Snakemake, twice.
        set_up(folder, 10, args.per_job, memory="600M")
        ten, theirs = with_psyrun(folder, env, 10).wall, official(folder, env)
        print(f"10 process jobs: psy run {ten:.1f} s, official plug-in {theirs:.1f} s")


if __name__ == "__main__":
    main()
