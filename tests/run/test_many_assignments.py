"""A million assignments: they complete, in little memory and few files."""

import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project

BENCHMARK = Path(__file__).parents[1] / "benchmarks/bench_many_assignments.py"

MANY = """\
from psyrun import Param

pspace = Param(x=range({n_assignments}))
max_jobs = 4


def execute(x):
    return {{"y": x}}
"""


def n_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
def test_a_million_assignments_take_little_memory_and_few_files(ext) -> None:
    done = subprocess.run(
        [sys.executable, BENCHMARK, "--stores", ext], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_the_number_of_files_does_not_grow_with_assignments(tmp_path, backend) -> None:
    counts = []
    for n_assignments in (100, 10_000):
        project = Project(tmp_path / str(n_assignments))
        text = MANY.format(n_assignments=n_assignments)
        imported = f"from psyrun.backend import {backend}\nbackend = {backend}\n"
        project.write(imported + text)
        project.psy("run", "-j", "2")
        counts.append(n_files(project.work()))
    assert counts[0] == counts[1]
