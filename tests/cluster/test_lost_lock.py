"""A controller whose task another host has taken over, with jobs on a real Slurm."""

from __future__ import annotations

import json
import signal
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from projects import Project, wait_until
from queued import Submissions, queued_project
from slurm_cluster import SlurmCluster

from psyrun.workdir.holder import Holder, recorded_holder

ELSEWHERE = Holder("elsewhere", 1, "1", 0.0)


@pytest.fixture
def project(slurm: SlurmCluster, tmp_path: Path) -> Project:
    return queued_project(tmp_path / "project", n_jobs=2, seconds=4)


def test_jobs_in_the_queue_are_left_to_whoever_took_over(
    project: Project, submissions: Submissions
) -> None:
    lock = project.work() / "lock"
    process = project.start("psyrun.cli", "run")
    wait_until(lambda: (project.folder / "calls").exists())
    process.send_signal(signal.SIGSTOP)
    lock.write_text(json.dumps(asdict(ELSEWHERE)))
    process.send_signal(signal.SIGCONT)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == 2
    assert f"task 'a' is run by {ELSEWHERE} now" in told
    assert recorded_holder(lock) == ELSEWHERE
    lock.unlink()
    assert "2 jobs of before go on" in project.psy("run").stdout
    assert project.result()["y"] == [x**2 for x in range(8)]
    assert project.calls() == list(range(8))
    blocks = [f"a:process:{block}" for block in range(2)]
    assert submissions.jobs() == Counter(["a:split", *blocks, "a:merge"])
