"""What jobs have used, as a real Slurm counts it, and what they had reserved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from projects import wait_until
from queued import queued_project
from slurm_cluster import SlurmCluster

pytestmark = pytest.mark.cluster


def test_the_accounting_tells_what_jobs_used(
    slurm_with_accounting: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project", n_items=2, n_jobs=2)
    asked = '"timelimit": "4h", "memory": "2G", "n_cpus": 2, "account": "acc"'
    project.edit('"timelimit": "5m", "memory": "200M"', asked)
    project.edit('split_and_merge = "queue"', "")
    project.psy("run")
    shown = ""

    def is_counted() -> bool:
        # Slurm may be late to tell its database of the last job. It may know no memory
        # of such short ones: then that of the rows is told.
        nonlocal shown
        shown = project.psy("status", "-v", "a").stdout
        return "\n  process: 2 jobs, " in shown and "as the queue counts it" in shown

    wait_until(is_counted)
    assert " of 2.0 GiB at most, time " in shown
    assert " of 4 h at most\n" in shown
    assert "\n    could be lower: memory " in shown
    assert ", timelimit 5m\n" in shown
    kept = json.loads((project.work() / "round-1/jobs.json").read_text())["jobs"]
    assert [job["name"] for job in kept] == ["a:process:0", "a:process:1"]
    for job in kept:
        usage = job["usage"]
        assert usage["n_cores"] == job["n_cores"] == 2
        assert usage["memory_bytes"] == job["memory_bytes"] == 2 * 2**30
        assert usage["limit_seconds"] == job["limit_seconds"] == 4 * 3600
        assert 0 < usage["cpu_seconds"] < 60
        assert abs(usage["seconds"] - (job["ended"] - job["started"])) <= 2
