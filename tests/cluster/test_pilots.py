"""Pilots of ``psy plan`` in a real queue."""

from __future__ import annotations

from pathlib import Path

import pytest
from queued import Submissions, queued_project
from slurm_cluster import SlurmCluster

pytestmark = pytest.mark.cluster


def test_pilots_are_arrays_in_the_queue_and_rows_of_the_task(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = queued_project(tmp_path / "project", n_items=40, n_jobs=2, seconds=0.1)
    project.edit('split_and_merge = "queue"', "")
    submissions = Submissions(tmp_path / "bin")
    monkeypatch.setenv("PATH", submissions.path)
    said = project.psy("plan", "a", "--pilots", "8").stdout
    assert "evaluated in the queue (Slurm)" in said
    assert "timelimit" in said and "memory" in said
    pilots = project.calls()
    assert 4 <= len(pilots) <= 8
    # Each round of them is one array.
    sizes = [len(record["names"]) for record in submissions.all()]
    assert sum(sizes) == len(pilots)
    assert sizes[0] == 4
    project.psy("run")
    assert sorted([*pilots, *project.calls()]) == list(range(40))
    assert project.result()["y"] == [x**2 for x in range(40)]
