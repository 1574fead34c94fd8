"""``psy doctor`` on a real Slurm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster

from psyrun.cli.main import main

pytestmark = pytest.mark.cluster


@pytest.fixture
def diagnose(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def diagnose(*arguments: str) -> tuple[int, str]:
        status = main(["doctor", *arguments])
        return status, capsys.readouterr().out

    return diagnose


def has_no_jobs(cluster: SlurmCluster) -> bool:
    return not cluster.run_cli("squeue", "-h", "--name", "psy-doctor").strip()


def test_a_cluster_without_accounting_is_sound(slurm, diagnose, tmp_path):
    status, out = diagnose("slurm", "--arg", "memory=50M")
    assert status == 0, out
    assert "warning  accounting: sacct does not work" in out
    assert "ok       job: ran on " in out
    assert f"ok       shared folder: {tmp_path} is seen from both sides" in out
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_waits_is_cancelled_with_its_reason(slurm, diagnose):
    status, out = diagnose("slurm", "--timeout", "2", "--arg", "hold=True")
    assert status == 1
    assert "is still queued (JobHeldUser: you hold it" in out
    assert has_no_jobs(slurm)


def test_a_job_that_can_never_run_is_told(slurm, diagnose):
    status, out = diagnose("slurm", "--arg", "memory=9999G")
    assert status == 1
    assert "problem  job: sbatch failed" in out


def test_an_unknown_partition_is_told_with_the_known_ones(slurm, diagnose):
    status, out = diagnose("slurm", "--arg", "partition=nope")
    assert status == 1
    assert "nope is not there. Choose one of main, short." in out


def test_a_controller_that_is_down_is_told(slurm, diagnose):
    slurm.stop_controller()
    begun = time.monotonic()
    status, out = diagnose("slurm")
    assert status == 1
    assert "problem  controller: " in out
    assert time.monotonic() - begun < 60


def test_sqsub_is_sound(sqsub, diagnose, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    status, out = diagnose("sqsub")
    assert status == 0, out
    assert "ok       commands: sqsub, sqjobs, sqkill" in out


def test_accounting_and_comments_are_checked(slurm_with_accounting, diagnose):
    status, out = diagnose("slurm", "--arg", "memory=50M")
    assert status == 0, out
    assert "ok       accounting: sacct works" in out
    assert "ok       comments: sacct shows those of jobs" in out
    assert "submit limit: account acc: any number of jobs at once" in out


def test_an_account_that_is_not_there_is_told(slurm_with_accounting, diagnose):
    status, out = diagnose("slurm", "--arg", "account=nobody")
    assert status == 1
    assert "Invalid account" in out
