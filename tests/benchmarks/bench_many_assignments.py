"""A million assignments that do nothing, in 100 blocks on 2 cores.

Prints how long they take, the largest resident memory of each kind of process
and the most files that there were at once. Exit status 1 if a process takes more
than 150 MB, or if there are more files than a few for each job.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from options import parse

N_BLOCKS = 100
N_CORES = 2
MOST_MEMORY = 150.0  # MB
FILES_FOR_JOB = 10
INTERVAL = 0.1  # seconds between two looks

TASK = """\
from psyrun import Param
from psyrun.store.registry import store_named

pspace = Param(x=range({n_assignments}))
store = store_named("{ext}")
max_jobs = {n_blocks}


def execute(x):
    return {{"y": x}}
"""


@dataclass
class Watch:
    """What was seen of a run.

    Attributes
    ----------
    memory : dict
        Largest resident memory in MB, by kind of process.
    n_files : int
        Most files that there were at once.
    """

    memory: dict[str, float] = field(default_factory=dict)
    n_files: int = 0

    def look(self, controller: int, folder: Path) -> None:
        self.n_files = max(self.n_files, count_files(folder))
        self._look_at(controller, "psy run")

    def _look_at(self, pid: int, kind: str) -> None:
        with suppress(OSError):
            peak = peak_memory(pid)
            self.memory[kind] = max(self.memory.get(kind, 0.0), peak)
            for child in children(pid):
                self._look_at(child, kind_of(child, kind))


def count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def peak_memory(pid: int) -> float:
    """Return the largest resident memory of a process until now, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peaks = [line for line in lines if line.startswith("VmHWM:")]
    return int(peaks[0].split()[1]) / 1000 if peaks else 0.0


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    texts = [(thread / "children").read_text() for thread in threads]
    return [int(child) for text in texts for child in text.split()]


def kind_of(pid: int, parent: str) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_text()
    if "psyrun.steps.forkserver" not in command:
        return "snakemake" if "snakemake" in command else parent
    return {"psy run": "server", "server": "job"}.get(parent, "worker")


def watch(n_assignments: int, ext: str) -> tuple[float, Watch]:
    """Run the task; return the seconds it took and what was seen meanwhile."""
    text = TASK.format(n_assignments=n_assignments, ext=ext, n_blocks=N_BLOCKS)
    seen = Watch()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "psy-tasks").mkdir()
        (folder / "psy-tasks/task_many.py").write_text(text)
        command = [sys.executable, "-m", "psyrun.cli", "run", "--quiet"]
        begun = time.monotonic()
        with subprocess.Popen([*command, "-j", str(N_CORES)], cwd=folder) as run:
            while run.poll() is None:
                seen.look(run.pid, folder / "psy-work")
                time.sleep(INTERVAL)
        if run.returncode:
            sys.exit(run.returncode)
    return time.monotonic() - begun, seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assignments", type=int, default=1_000_000)
    parser.add_argument("--stores", nargs="+", default=[".pkl", ".npz", ".h5"])
    args = parse(parser, assignments=20_000)
    is_too_much = False
    for ext in args.stores:
        seconds, seen = watch(args.assignments, ext)
        parts = [f"{kind} {peak:.0f}" for kind, peak in seen.memory.items()]
        print(f"{args.assignments} assignments in {N_BLOCKS} blocks, {ext}:")
        print(f"  {seconds:.1f} s, {seconds / args.assignments * 1e6:.1f} µs for each")
        print(f"  peak memory in MB: {', '.join(parts)}  (at most {MOST_MEMORY:.0f})")
        print(f"  at most {seen.n_files} files at once", flush=True)
        is_too_much |= max(seen.memory.values()) > MOST_MEMORY
        is_too_much |= seen.n_files > FILES_FOR_JOB * N_BLOCKS
    return int(is_too_much)


if __name__ == "__main__":
    sys.exit(main())
