"""What the end of a run says of its cause."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from projects import Project, wait_until

from psyrun.workdir.holder import recorded_holder
from psyrun.workdir.layout import TaskLayout

WAITING = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1])


def execute(x):
    Path("begun").touch()
    time.sleep(100)
    return {"y": x}
"""


def answer_as_squeue(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program = folder / "squeue"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("number", "job", "seconds_left", "said"),
    [
        (signal.SIGINT, "", 0, "psy: interrupted; "),
        (signal.SIGHUP, "", 0, "psy: ended as its terminal was closed; "),
        (signal.SIGTERM, "", 0, "psy: ended by SIGTERM; "),
        (signal.SIGTERM, "7", 5, "psy: ended by the time limit of Slurm job 7, "),
        (signal.SIGTERM, "7", 5000, "psy: ended by SIGTERM with Slurm job 7, "),
    ],
)
def test_a_run_that_was_ended_says_by_what(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    job: str,
    seconds_left: float,
    said: str,
) -> None:
    project = Project(tmp_path / "project")
    project.write(WAITING)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    # Without the job, it is left of another one.
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + seconds_left))
    if job:
        monkeypatch.setenv("SLURM_JOB_ID", job)
        # No Slurm of this machine knows better.
        answer_as_squeue(tmp_path, monkeypatch, "exit 1")
    process = project.start("psyrun.cli", "run")
    wait_until((project.folder / "begun").exists)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said in errors
    assert "Go on with 'psy run a'" in errors


# Of a Slurm that has no such job, or has forgotten it.
SQUEUES = ["exit 0", "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1"]


@pytest.mark.parametrize("squeue", SQUEUES)
@pytest.mark.parametrize("seconds_left", [-100, 5, 5000])
def test_a_job_that_has_ended_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, squeue: str, seconds_left: float
) -> None:
    project = Project(tmp_path / "project")
    project.write(WAITING)
    answer_as_squeue(tmp_path, monkeypatch, squeue)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + seconds_left))
    process = project.start("psyrun.cli", "run")
    # It evaluates, although the other job has no time left.
    wait_until((project.folder / "begun").exists)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "psy: ended by SIGTERM; " in errors


def test_a_run_that_was_ended_leaves_no_lock_of_a_job_that_it_had_to_kill(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path)
    project.write(WAITING)
    process = project.start("psyrun.cli", "run")
    wait_until((project.folder / "begun").exists)
    lock = TaskLayout(project.work()).round(1).lock("process-0")
    holder = recorded_holder(lock)
    assert holder is not None
    # It cannot give the lock back.
    os.kill(holder.pid, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert not lock.exists()
