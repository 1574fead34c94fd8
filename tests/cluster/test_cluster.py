"""The test cluster itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm import config
from slurm.daemons import wait_until
from slurm_cluster import ClusterError, SlurmCluster


@pytest.fixture
def submit(tmp_path: Path) -> Callable[..., str]:
    """Submit a shell command from the test's folder and return the job's id."""

    def submit(cluster: SlurmCluster, command: str, *options: str) -> str:
        log = tmp_path / "%a.log"
        words = ("-D", str(tmp_path), "-o", str(log), *options, "--wrap", command)
        return cluster.run_cli("sbatch", "--parsable", *words).strip()

    return submit


def ended(cluster: SlurmCluster, job: str) -> list[str]:
    """Wait until a job has ended, and return its states, one per array task."""
    end = time.monotonic() + 90
    while True:
        squeue = ("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T")
        states = cluster.run_cli(*squeue).split()
        if not set(states) & {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}:
            return states
        assert time.monotonic() < end, states
        time.sleep(0.1)


def test_a_job_runs(slurm, submit, tmp_path):
    job = submit(slurm, "echo hello", "-o", str(tmp_path / "log"))
    assert ended(slurm, job) == ["COMPLETED"]
    assert (tmp_path / "log").read_text() == "hello\n"


def test_an_array_runs_on_both_nodes(slurm, submit, tmp_path):
    job = submit(slurm, "echo $SLURMD_NODENAME; sleep 1", "--array=0-15")
    assert ended(slurm, job) == ["COMPLETED"] * 16
    assert {log.read_text().strip() for log in tmp_path.glob("*.log")} == {"n1", "n2"}


def test_nothing_is_accounted_for(slurm):
    with pytest.raises(ClusterError, match="accounting storage is disabled"):
        slurm.run_cli("sacct")


def test_a_job_over_its_memory_is_killed(slurm, submit, tmp_path):
    use = "python3 -c 'import time; a = b\"x\" * (300 << 20); time.sleep(60)'"
    job = submit(slurm, use, "--mem=100M", "-o", str(tmp_path / "log"))
    assert ended(slurm, job) == ["FAILED"]
    assert "Exceeded job memory limit" in (tmp_path / "log").read_text()


def test_a_job_over_its_time_is_killed(slurm, submit):
    job = submit(slurm, "sleep 300", "-t", "1")
    slurm.end_time_limit(job)
    assert ended(slurm, job) == ["TIMEOUT"]


def test_jobs_are_known_after_the_controller_was_down(slurm, submit):
    job = submit(slurm, "sleep 3")
    slurm.stop_controller()
    assert not slurm.is_up()
    slurm.start_controller()
    assert ended(slurm, job) == ["COMPLETED"]


def test_jobs_fail_with_their_node(slurm, submit, tmp_path):
    job = submit(slurm, "touch started; sleep 300", "--no-requeue", "-w", "n1")
    # Slurm calls a job running before its node has heard of it.
    assert wait_until((tmp_path / "started").exists, patience=60)
    slurm.kill_node("n1")
    assert ended(slurm, job) == ["NODE_FAIL"]
    slurm.start_node("n1")
    assert wait_until(slurm.is_up, patience=30)


def test_starting_what_runs_changes_nothing(slurm):
    before = slurm.daemons()
    SlurmCluster().start()
    assert slurm.daemons() == before


def test_a_real_clusters_configuration_is_left_alone(tmp_path):
    path = tmp_path / "slurm.conf"
    path.write_text("ClusterName=real\n")
    with pytest.raises(RuntimeError, match="is not ours"):
        config.write(path, config.MARK)
    assert path.read_text() == "ClusterName=real\n"


def test_accounting_shows_the_job(slurm_with_accounting, submit):
    cluster = slurm_with_accounting
    job = submit(cluster, "exit 3", "--comment=a key")
    assert ended(cluster, job) == ["FAILED"]
    sacct = ("sacct", "-n", "-P", "-X", "-j", job, "-o", "State,ExitCode,Comment")
    end = time.monotonic() + 30
    while (shown := cluster.run_cli(*sacct).strip()) != "FAILED|3:0|a key":
        # It lags behind.
        assert time.monotonic() < end, shown
        time.sleep(0.2)


def test_an_unknown_account_is_refused(slurm_with_accounting, submit):
    with pytest.raises(ClusterError, match="Invalid account"):
        submit(slurm_with_accounting, "true", "-A", "nobody")


def test_the_number_of_jobs_can_be_limited(slurm_with_accounting, submit):
    slurm_with_accounting.set_max_submit_jobs(2)
    with pytest.raises(ClusterError, match="AssocMaxSubmitJobLimit"):
        submit(slurm_with_accounting, "true", "--array=0-2")
    slurm_with_accounting.set_max_submit_jobs(None)
    assert submit(slurm_with_accounting, "true", "--array=0-2")
