"""The generated Snakefile with Snakemake's own executor plug-in for Slurm."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
TASK = """\
from psyrun import Param, Slurm

pspace = Param(x=range(4))
max_jobs = 2
scheduler = Slurm()
scheduler_args = {"timelimit": "10m", "memory": "500M"}


def execute(x):
    return {"y": x**2}
"""
OPTIONS = [
    "--executor",
    "slurm",
    "--jobs",
    "3",
    "--scheduler",
    "psyrun",
    "--rerun-triggers",
    "params",
    "--nolock",
    "--latency-wait",
    "60",
    "--slurm-status-command",
    "squeue",
    "--slurm-no-account",
    "--slurm-init-seconds-before-status-checks",
    "2",
]


@pytest.fixture
def run(tmp_path):
    """Run programs of an environment that has the plug-in, in a project."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv/bin"
    install = [programs / "pip", "install", "--quiet", f"{ROOT}[slurm-official]"]
    subprocess.run(install, check=True)
    (tmp_path / "psy-tasks").mkdir()
    (tmp_path / "psy-tasks/task_a.py").write_text(TASK)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    env = {**os.environ, "PATH": path}

    def run(program: str, *arguments: str) -> str:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=tmp_path,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_snakefile_runs_with_the_official_plugin(slurm, run, tmp_path):
    snakefile = run("psy", "snakefile").strip()
    said = run("snakemake", "--snakefile", snakefile, *OPTIONS)
    assert said.count("has been submitted with SLURM jobid") == 4
    result = tmp_path / "psy-work/a/result.pkl"
    assert pickle.loads(result.read_bytes())["y"] == [0, 1, 4, 9]
    assert ["a", "done", "4/4"] in [
        line.split()[:3] for line in run("psy", "status").splitlines()
    ]
    assert "submitted" not in run("snakemake", "--snakefile", snakefile, *OPTIONS)
