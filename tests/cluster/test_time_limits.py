"""Controllers whose own job of a real Slurm ends by its time limit."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import Project, wait_until
from queued import queued_project
from slurm_cluster import SlurmCluster

SQUARES = [x**2 for x in range(8)]
# The limit, which Slurm looks at every 30 s, is known when psy begins.
SOON = "scontrol update JobId=$SLURM_JOB_ID EndTime=now+20 && "
PSY = f"{shlex.quote(sys.executable)} -P -m psyrun.cli"
GOES_ON = "Go on with 'psy run a'. 'psy run --detach=job a' goes on in the queue."
LOCAL = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(8))
max_jobs = 1


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while x > 3 and not Path("go").exists():
        time.sleep(0.05)
    return {"y": x**2}
"""


@pytest.fixture
def project(slurm: SlurmCluster, tmp_path: Path) -> Project:
    project = queued_project(tmp_path / "project")
    project.edit("time.sleep(0)", "while not Path('go').exists(): time.sleep(0.05)")
    return project


@pytest.fixture(autouse=True)
def _let_go(tmp_path: Path) -> Iterator[None]:
    yield
    (tmp_path / "project/go").touch()


def sbatch(project: Project, command: str, minutes: int = 1) -> str:
    """Submit a script that calls psy, and return the id of its job."""
    words = ["sbatch", "--parsable", f"--time={minutes}", "-o", "said", "--mem=512M"]
    script = f"export PATH={shlex.quote(os.environ['PATH'])}\n{command}\n"
    return subprocess.check_output(
        [*words, "--wrap", script], cwd=project.folder, text=True
    ).strip()


def said(project: Project) -> str:
    return (project.folder / "said").read_text()


def calls(project: Project) -> list[int]:
    path = project.folder / "calls"
    return sorted(map(int, path.read_text().split())) if path.exists() else []


def test_a_run_in_an_sbatch_script_says_that_its_time_was_over(
    project: Project, slurm: SlurmCluster
) -> None:
    # psy is told of the end before all processes are killed.
    job = sbatch(project, f"{SOON}exec {PSY} run")
    wait_until(lambda: len(calls(project)) == 4)
    wait_until(lambda: "Go on with" in said(project), 100)
    limit = f"psy: ended by the time limit of Slurm job {job}, in which it ran; "
    assert limit in said(project)
    assert GOES_ON in said(project)
    assert "Jobs in the queue go on by themselves" in said(project)
    (project.folder / "go").touch()
    project.psy("run")
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES


def test_a_run_whose_job_was_cancelled_does_not_speak_of_time(
    project: Project, slurm: SlurmCluster
) -> None:
    job = sbatch(project, f"exec {PSY} run", minutes=10)
    wait_until(lambda: len(calls(project)) == 4)
    slurm.run_cli("scancel", job)
    wait_until(lambda: "Go on with" in said(project))
    assert f"psy: ended by SIGTERM with Slurm job {job}, in which it ran; " in said(
        project
    )


def test_a_local_run_in_an_sbatch_script_keeps_its_rows(
    project: Project, slurm: SlurmCluster
) -> None:
    project.write(LOCAL)
    job = sbatch(project, f"{SOON}exec {PSY} run")
    wait_until(lambda: 4 in calls(project))
    wait_until(lambda: "Go on with" in said(project), 100)
    assert f"psy: ended by the time limit of Slurm job {job}" in said(project)
    assert "4 of 8 assignments are kept" in said(project)
    (project.folder / "go").touch()
    project.psy("run")
    assert project.calls() == sorted([*range(8), 4])
    assert project.result()["y"] == SQUARES


def test_a_run_in_salloc_says_that_its_time_was_over(
    project: Project, slurm: SlurmCluster
) -> None:
    words = ["salloc", "-K", "--time=1", "--mem=512M", "sh", "-c"]
    script = f"echo $SLURM_JOB_ID > job; {SOON}exec {PSY} run > said 2>&1"
    salloc = subprocess.Popen(
        [*words, script],
        cwd=project.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: len(calls(project)) == 4)
    job = (project.folder / "job").read_text().strip()
    wait_until(lambda: "Go on with" in said(project), 100)
    salloc.wait(timeout=60)
    assert f"psy: ended by the time limit of Slurm job {job}" in said(project)
    assert GOES_ON in said(project)
    (project.folder / "go").touch()
    project.psy("run")
    assert project.calls() == list(range(8))


def test_a_controller_in_the_queue_that_its_job_ends_is_told_of(
    project: Project, slurm: SlurmCluster
) -> None:
    project.psy("run", "--detach=job", "a")
    wait_until(lambda: len(calls(project)) == 4)
    listed = slurm.run_cli("squeue", "-h", "-o", "%i %j %Z").splitlines()
    (job,) = [
        words[0]
        for words in map(str.split, listed)
        if words[1:] == ["a:controller", str(project.folder)]
    ]
    # Sooner than it knows of, so that it cannot submit another one.
    slurm.end_time_limit(job)
    attached = project.psy("attach", "a", status=130).stderr
    job = job.removesuffix("_0")
    assert f"psy: ended by SIGTERM with Slurm job {job}, in which it ran; " in attached
    assert GOES_ON in attached
    (project.folder / "go").touch()
    project.psy("run")
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES
