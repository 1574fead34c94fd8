"""How long `psy` takes to answer, beside the import of NumPy."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from options import parse

TASK = """\
from psyrun import Param

pspace = Param(x=range(100_000))
max_jobs = 10


def execute(x):
    return {"y": x}
"""
COMMANDS = [["--help"], ["list"], ["status"]]


def seconds(command: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=folder, check=True, stdout=-3)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    n_pairs = parse(parser, pairs=1).pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "psy-tasks").mkdir()
        (folder / "psy-tasks/task_many.py").write_text(TASK)
        seconds(["-m", "psyrun.cli", "run", "--quiet", "-j", "2"], folder)
        print("median of", n_pairs, "pairs; the task has 100 000 rows")
        for command in COMMANDS:
            pairs = [
                (
                    seconds(["-m", "psyrun.cli", *command], folder),
                    seconds(["-c", "import numpy"], folder),
                )
                for _ in range(n_pairs)
            ]
            ours = statistics.median(pair[0] for pair in pairs)
            ratio = statistics.median(a / b for a, b in pairs)
            name = f"psy {command[0]}"
            print(f"  {name:12s} {ours * 1e3:5.0f} ms, {ratio:.2f} x import numpy")


if __name__ == "__main__":
    main()
