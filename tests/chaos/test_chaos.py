"""A few of the scenarios of `make chaos`, both backends for each kind of victim."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).with_name("chaos.py")
HELPERS = CHAOS.parents[1] / "helpers"


@pytest.mark.slow
@pytest.mark.parametrize(
    "victim", ["worker", "job", "psy", "snakemake", "all", "plain"]
)
def test_killed_runs_lose_nothing_and_repeat_little(victim) -> None:
    paths = [str(HELPERS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, CHAOS, "--victim", victim, "--runs", "2", "--seed", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stderr
