"""A few of the trials of `faults.py`; PSYRUN_SEED chooses others."""

import os

import pytest
from scripts import expect_no_fault

SEED = os.environ.get("PSYRUN_SEED", "1")


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--steps"], []])
def test_a_fault_before_any_call_loses_nothing(options: list[str]) -> None:
    expect_no_fault("faults.py", "--runs", "1", *options, "--seed", SEED)
