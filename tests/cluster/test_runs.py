"""Tasks on a real Slurm, from `psy run` to the result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from projects import Project, wait_until
from queued import Submissions, queued_project
from slurm_cluster import SlurmCluster

pytestmark = pytest.mark.cluster


def test_a_task_runs_from_submission_to_result(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    shown = project.psy("run").stdout
    assert project.result()["y"] == [x**2 for x in range(8)]
    assert project.calls() == list(range(8))
    assert [record["name"] for record in submissions.all()] == [
        "a:split",
        "a:process",
        "a:merge",
    ]
    assert ".  a:process:3\n" in shown
    assert "a: psy-work/a/result.pkl" in shown
    assert not (project.work() / "queue").exists() or not list(
        (project.work() / "queue").iterdir()
    )
    again = project.psy("run")
    assert ".  " not in again.stdout
    assert project.calls() == []


def test_split_and_merge_of_a_small_task_are_no_jobs(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('split_and_merge = "queue"', "")
    project.psy("run")
    assert project.result()["y"] == [x**2 for x in range(8)]
    assert [record["name"] for record in submissions.all()] == ["a:process"]
    project.edit("range(8)", "range(9)")
    project.psy("run", "--continue", "--detach=job")
    project.psy("attach", "a")
    assert project.calls() == list(range(9))
    assert project.result()["y"] == [x**2 for x in range(9)]
    names = [record["name"] for record in submissions.all()]
    assert names == ["a:process", "a:controller", "a:process"]


def test_logs_are_named_as_on_one_machine(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project", n_jobs=2)
    project.psy("run")
    logs = sorted(path.name for path in project.work().glob("a:*.log"))
    assert logs == ["a:merge.log", "a:process:0.log", "a:process:1.log", "a:split.log"]
    assert "4 assignments with a row" in (project.work() / logs[1]).read_text()


def test_failed_assignments_are_told_as_on_one_machine(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit(
        "    return {", "    if x == 3:\n        raise ValueError(x)\n    return {"
    )
    said = project.psy("run", status=1).stderr
    assert "a: 1 assignment failed" in said
    assert "ValueError: 3" in said
    assert "7 of 8 assignments are kept" in said
    project.calls()
    project.edit("x == 3", "x == 13")
    project.psy("run", "--continue")
    assert project.calls() == [3]
    assert project.result()["y"] == [x**2 for x in range(8)]


def test_tasks_of_an_array_that_are_cancelled_before_they_begin_are_told(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('"200M"', '"200M", "hold": lambda job: ":process:" in job')
    run = project.start("psyrun.cli", "run")
    squeue = ("squeue", "-h", "-t", "PD", "-o", "%F %j")

    def array() -> str:
        lines = slurm.run_cli(*squeue).splitlines()
        return next((line.split()[0] for line in lines if "process" in line), "")

    wait_until(array)
    held = array()
    slurm.run_cli("scancel", f"{held}_1")
    slurm.run_cli("scontrol", "release", held)
    _, errors = run.communicate(timeout=120)
    assert "a:process:1 failed" in errors
    assert "cancelled before it began" in errors
    assert "6 of 8 assignments are kept" in errors


def test_work_folders_may_have_blanks(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "my project")
    project.edit("max_jobs", "workdir = 'my work 100%'\nmax_jobs")
    project.edit("    return {", "    print('said')\n    return {")
    project.psy("run")
    folder = project.folder / "my work 100%/a"
    assert (folder / "result.pkl").exists()
    assert "said" in (folder / "a:process:0.log").read_text()


def test_projects_with_equal_names_do_not_disturb_each_other(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    projects = [queued_project(tmp_path / name, seconds=0.5) for name in ("one", "two")]
    runs = [project.start("psyrun.cli", "run") for project in projects]
    projects[1].psy("status")
    for run, project in zip(runs, projects, strict=True):
        _, errors = run.communicate(timeout=120)
        assert run.returncode == 0, errors
        assert project.calls() == list(range(8))


def test_arguments_depend_on_the_job_where_they_are_functions(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('"200M"', 'lambda name: "300M" if name.endswith("2") else "200M"')
    project.psy("run")
    arrays = {
        tuple(record["names"]): record["scheduler_args"]["memory"]
        for record in submissions.all()
    }
    assert arrays["a:process:2",] == "300M"
    assert arrays["a:process:0", "a:process:1", "a:process:3"] == "200M"


def test_load_balancing_works_on_the_queue(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project", n_items=40, seconds=0.05)
    project.edit(
        "from psyrun import",
        "from psyrun.backend import LoadBalancingBackend\nfrom psyrun import",
    )
    project.edit("max_jobs", "backend = LoadBalancingBackend\nmax_jobs")
    project.psy("run")
    assert project.calls() == list(range(40))
    assert project.result()["x"] == list(range(40))


def test_more_jobs_than_an_array_holds_run_once(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    # Of 2500 jobs and the usual limit of 1001, a tenth; the next test has it restored.
    n_jobs = int(os.environ.get("PSYRUN_JOBS", "250"))
    limit = 2 * n_jobs // 5 + 1
    SlurmCluster(max_array_size=limit).start()
    project = queued_project(tmp_path / "project", n_items=n_jobs, n_jobs=n_jobs)
    process = project.start("psyrun.cli", "run")
    _, errors = process.communicate(timeout=max(600, n_jobs))
    assert project.calls() == list(range(n_jobs)), errors
    # Slurm would have forgotten the first of thousands.
    asked = [record["names"] for record in submissions.all()]
    assert len(set().union(*asked)) == sum(map(len, asked)) == n_jobs + 2
    assert sorted(map(len, asked))[-3:] == [n_jobs - 2 * limit, limit, limit]


def test_plain_snakemake_does_the_same(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = queued_project(tmp_path / "project")
    project.psy("profile", "install", "slurm")
    project.psy("init")
    project.run("snakemake", "--profile", "slurm")
    assert project.calls() == list(range(8))
    assert project.result()["y"] == [x**2 for x in range(8)]
    assert ".  " not in project.psy("run").stdout
    project.run("snakemake", "--profile", "slurm")
    assert project.calls() == []


def test_the_profile_names_the_scheduler_of_tasks_without_one(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit("scheduler = Slurm()\n", "")
    profile = project.psy("profile", "slurm").stdout.strip()
    snakefile = project.psy("snakefile").stdout.strip()
    project.run(
        *("snakemake", "--snakefile", snakefile, "--profile", profile),
        *("--psyrun-args", "partition=short"),
    )
    assert project.result()["y"] == [x**2 for x in range(8)]
    arguments = [record["scheduler_args"] for record in submissions.all()]
    assert all(one["partition"] == "short" for one in arguments)


GPUS = """\
import os
import time

from psyrun import Param, Slurm
from psyrun.backend import LoadBalancingBackend


def gpus(job):
    return "gpu:{n_gpus}" if ":process:" in job else None


pspace = Param(x=range(12))
backend = LoadBalancingBackend
max_jobs = {n_jobs}
pool_size = {n_gpus}
scheduler = Slurm()
scheduler_args = {{"timelimit": "5m", "memory": "300M", "gres": gpus}}
exclude_from_result = ["device"]


def setup(proc_id):
    return {{"device": os.environ["CUDA_VISIBLE_DEVICES"].split(",")[proc_id]}}


def execute(x, device):
    time.sleep(0.5)
    return {{"job": os.environ["SLURM_JOB_ID"], "on": device}}
"""


@pytest.mark.parametrize(("n_jobs", "n_gpus"), [(1, 2), (3, 1)])
def test_each_process_has_a_gpu_of_its_own(
    slurm: SlurmCluster,
    tmp_path: Path,
    submissions: Submissions,
    n_jobs: int,
    n_gpus: int,
) -> None:
    project = Project(tmp_path / "project")
    project.write(GPUS.format(n_jobs=n_jobs, n_gpus=n_gpus))
    project.psy("run")
    result = project.result()
    assert len(set(zip(result["job"], result["on"], strict=True))) == n_jobs * n_gpus
    asked = {r["name"]: r["scheduler_args"].get("gres") for r in submissions.all()}
    assert asked == {"a:split": None, "a:process": f"gpu:{n_gpus}", "a:merge": None}


CIRCLE = """\
import numpy as np
from psyrun import Param, {scheduler}
from psyrun.store.npz import NpzStore


pspace = Param(radius=np.linspace(0., 1., 100)) * Param(trial=np.arange(50))
min_items = 10
store = NpzStore()
workdir = {workdir!r}
scheduler = {scheduler}(workdir)
scheduler_args = {{
    'timelimit': '15m',
    'memory': '1G',
}}


def execute(radius, trial):
    n = 100
    x = np.random.random((n, 2)) * 2. - 1.
    return {{'a_frac': np.mean(np.linalg.norm(x, axis=1) < radius), 'x': x}}
"""


@pytest.mark.parametrize("scheduler", ["Slurm", "Sqsub"])
def test_the_task_of_the_guide_runs(
    scheduler: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    import numpy as np

    request.getfixturevalue(scheduler.lower())
    workdir = str(tmp_path / "mc_circle_area")
    project = Project(tmp_path / "project")
    project.write(CIRCLE.format(scheduler=scheduler, workdir=workdir), "circle")
    run = project.start("psyrun.cli", "run")
    _, errors = run.communicate(timeout=400)
    assert run.returncode == 0, errors
    with np.load(Path(workdir, "circle/result.npz")) as result:
        radius, share, points = (result[key] for key in ("radius", "a_frac", "x"))
    assert share.shape == (5000,)
    assert points.shape == (5000, 100, 2)
    expected = np.pi * radius**2 / 4
    deviation = (share - expected).reshape(100, 50).mean(axis=1)
    assert np.abs(deviation).max() < 5 * 0.5 / np.sqrt(5000)
    assert len(np.unique(points[:, 0, 0])) == 5000


def test_environment_of_the_user_reaches_the_jobs(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_USER", "here")
    project = queued_project(tmp_path / "project")
    project.edit('{"y": x**2}', '{"y": os.environ["OF_THE_USER"]}')
    project.psy("run")
    assert set(project.result()["y"]) == {os.environ["OF_THE_USER"]}
