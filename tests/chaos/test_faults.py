"""A few of the trials of `faults.py`; PSYRUN_SEED chooses others."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).with_name("faults.py")
HELPERS = FAULTS.parents[1] / "helpers"
SEED = os.environ.get("PSYRUN_SEED", "1")


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--runs", "3", "--steps"], ["--runs", "2"]])
def test_a_fault_before_any_call_loses_nothing(options: list[str]) -> None:
    paths = [str(HELPERS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, FAULTS, *options, "--seed", SEED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0, f"PSYRUN_SEED={SEED}\n{done.stdout}\n{done.stderr}"
