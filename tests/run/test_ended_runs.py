"""What the end of a run says of its cause."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from projects import Project, wait_until

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
    process = project.start("psyrun.cli", "run")
    wait_until((project.folder / "begun").exists)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said in errors
    assert "Go on with 'psy run a'" in errors
