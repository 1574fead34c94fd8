"""Controllers on a real Slurm that go on without a terminal, or in the queue."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from functools import reduce
from pathlib import Path

import pytest
from projects import Project, wait_until
from queued import Submissions, queued_project
from slurm_cluster import SlurmCluster
from sqsub_stand_in import SqsubStandIn

from psyrun import Sqsub
from psyrun.utils.process.identity import process_start
from psyrun.workdir.holder import Holder, recorded_holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import live_holder

SQUARES = [x**2 for x in range(8)]
LIMITS = """\
def limit(name):
    return "1m" if name == "a:controller" else "5m"


scheduler_args = {"timelimit": limit, "memory": "200M"}
"""
FIXED = 'scheduler_args = {"timelimit": "5m", "memory": "200M"}\n'


@pytest.fixture
def project(slurm: SlurmCluster, tmp_path: Path) -> Project:
    return queued_project(tmp_path / "project", n_jobs=4, seconds=4)


def layout(project: Project) -> TaskLayout:
    return TaskLayout(project.work())


def holder(project: Project) -> Holder:
    wait_until(lambda: live_holder(layout(project).lock))
    found = live_holder(layout(project).lock)
    assert found is not None
    return found


def kill(project: Project) -> Holder:
    """Kill the controller, and all it started on this machine, at once."""
    found = holder(project)
    os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: process_start(found.pid) is None)
    return found


def each_once(submissions: Submissions) -> bool:
    found = submissions.jobs()
    found.pop("a:controller", None)
    blocks = [f"a:process:{block}" for block in range(4)]
    return found == Counter(["a:split", *blocks, "a:merge"])


def test_a_detached_run_goes_on_after_logout(
    project: Project, submissions: Submissions
) -> None:
    assert "'psy attach a'" in project.psy("run", "--detach").stdout
    os.kill(holder(project).pid, signal.SIGHUP)
    assert "a: psy-work/a/result.pkl" in project.psy("attach", "a").stdout
    assert project.result()["y"] == SQUARES
    assert each_once(submissions)


def test_jobs_of_a_killed_controller_are_adopted(
    project: Project, submissions: Submissions
) -> None:
    project.psy("run", "--detach")
    wait_until(lambda: (project.folder / "calls").exists())
    kill(project)
    assert "'psy run a'" in project.psy("attach", "a", status=1).stderr
    project.psy("run", "--detach", "a")
    project.psy("attach", "a")
    assert project.result()["y"] == SQUARES
    assert project.calls() == list(range(8))
    assert each_once(submissions)


def test_a_controller_in_the_queue_runs_to_the_end(
    project: Project, submissions: Submissions
) -> None:
    told = project.psy("run", "--detach=job", "-j", "2").stdout
    assert "in the queue as job" in told
    assert "job" in project.psy("run", status=2).stderr
    attached = project.psy("attach", "a")
    assert "a: psy-work/a/result.pkl" in attached.stdout
    assert attached.stderr == ""
    assert project.result()["y"] == SQUARES
    assert project.calls() == list(range(8))
    assert each_once(submissions)
    assert submissions.jobs()["a:controller"] == 1
    memory = {r["name"]: r["scheduler_args"]["memory"] for r in submissions.all()}
    assert memory["a:controller"] == "512M"
    assert memory["a:process"] == "200M"


def test_the_arguments_of_a_site_hold_for_the_controller_too(
    project: Project, submissions: Submissions
) -> None:
    args = ["--psyrun-args", "partition=short"]
    project.psy("run", "--detach=job", "a", "--", *args)
    project.psy("attach", "a")
    found = {r["name"]: r["scheduler_args"]["partition"] for r in submissions.all()}
    jobs = ("controller", "split", "process", "merge")
    assert found == {f"a:{job}": "short" for job in jobs}


def test_a_controller_in_the_queue_tells_of_failures(project: Project) -> None:
    project.edit("time.sleep(4)", "raise ValueError('none')")
    project.psy("run", "--detach=job", "a")
    assert "ValueError: none" in project.psy("attach", "a", status=1).stderr


def test_arguments_of_the_controller_are_checked_before(
    project: Project, submissions: Submissions
) -> None:
    project.edit(FIXED, LIMITS.replace('"1m"', '"soon"'))
    assert "timelimit" in project.psy("run", "--detach=job", "a", status=2).stderr
    assert not submissions.all()


def test_a_controller_goes_on_in_another_job_before_its_time_is_over(
    project: Project, submissions: Submissions
) -> None:
    project.edit(FIXED, LIMITS)
    project.edit("time.sleep(4)", "time.sleep(20)")
    project.psy("run", "--detach=job", "a")
    told = project.psy("attach", "a").stdout
    assert "goes on" in told
    # A third one is needed where the machine is slow.
    assert submissions.jobs()["a:controller"] >= 2
    assert each_once(submissions)
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES


def blocks_of(folder: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in folder.glob("*.slots")}


def test_a_task_that_changes_meanwhile_is_not_computed_anew(project: Project) -> None:
    project.edit(FIXED, LIMITS)
    project.edit("time.sleep(4)", "time.sleep(30)")
    project.psy("run", "--detach=job", "a")
    slots = project.work() / "round-1/journal"
    wait_until(lambda: blocks_of(slots) == {"0", "1", "2", "3"})
    project.edit("x**2", "x**3")
    told = project.psy("attach", "a", status=2).stderr
    assert "changed while its run was in the queue" in told
    assert project.psy("kill", "a").stdout
    assert len(project.calls()) <= 8


def test_a_lock_of_an_ended_job_on_another_machine_is_released(
    project: Project, submissions: Submissions
) -> None:
    project.psy("run", "--detach=job", "a")
    wait_until(lambda: (project.folder / "calls").exists())
    kill(project)
    lock, record = layout(project).lock, layout(project).run_record
    for path, where in ((lock, []), (record, ["holder"])):
        content = json.loads(path.read_text())
        reduce(dict.__getitem__, where, content)["host"] = "node7"
        path.write_text(json.dumps(content))
    assert recorded_holder(lock) == live_holder(lock)
    told = project.psy("attach", "a", status=1).stderr
    assert "ended unexpectedly (signal 9 (SIGKILL" in told
    assert "'psy run a'" in told
    project.psy("run", "a")
    assert project.result()["y"] == SQUARES
    assert each_once(submissions)


def test_locks_of_what_a_controller_did_in_its_job_are_released_with_it(
    project: Project,
) -> None:
    project.psy("run", "--detach=job", "a")
    wait_until(lambda: (project.folder / "calls").exists())
    kill(project)
    lock = layout(project).lock
    content = json.dumps({**json.loads(lock.read_text()), "host": "node7"})
    step = layout(project).round(1).lock("merge")
    for path in (lock, step):
        path.write_text(content)
    assert recorded_holder(step) == live_holder(step)
    project.psy("run", "a")
    assert project.result()["y"] == SQUARES


def test_kill_cancels_a_controller_that_runs_in_the_queue(
    project: Project, slurm: SlurmCluster
) -> None:
    project.psy("run", "--detach=job", "a")
    wait_until(lambda: (project.folder / "calls").exists())
    assert "a: stopped" in project.psy("kill", "a").stdout
    assert "stopped by 'psy kill'" in project.psy("attach", "a", status=130).stderr
    wait_until(lambda: "a:contro" not in slurm.run_cli("squeue", "-h"))


def test_kill_cancels_a_controller_that_waits_in_the_queue(
    project: Project, slurm: SlurmCluster
) -> None:
    project.edit('"memory"', '"begin": "now+1hour", "memory"')
    project.psy("run", "--detach=job", "a")
    assert "the controller waits" in project.psy("status").stdout
    assert "psy kill a" in project.psy("clean", "a", status=2).stderr
    attached = project.start("psyrun.cli", "attach", "a")
    assert attached.stdout is not None and attached.stdout.readline()
    assert "1 job in the queue" in project.psy("kill", "a").stdout
    assert "psy kill" in attached.communicate(timeout=60)[1]
    assert attached.returncode == 130
    project.psy("clean", "a")
    assert not project.work().exists()


@pytest.fixture
def on_sqsub(sqsub: SqsubStandIn, tmp_path: Path) -> Project:
    project = queued_project(tmp_path / "project", n_jobs=4, seconds=4)
    project.edit("Slurm", "Sqsub")
    return project


def test_a_controller_in_sharcnets_queue_runs_to_the_end(on_sqsub: Project) -> None:
    assert "in the queue as job" in on_sqsub.psy("run", "--detach=job").stdout
    attached = on_sqsub.psy("attach", "a")
    assert "a: psy-work/a/result.pkl" in attached.stdout
    assert on_sqsub.calls() == list(range(8))
    assert on_sqsub.result()["y"] == SQUARES


def test_a_controller_in_sharcnets_queue_goes_on_in_another_job(
    on_sqsub: Project,
) -> None:
    on_sqsub.edit(FIXED, LIMITS)
    on_sqsub.edit("time.sleep(4)", "time.sleep(20)")
    on_sqsub.psy("run", "--detach=job", "a")
    assert "goes on" in on_sqsub.psy("attach", "a").stdout
    assert on_sqsub.calls() == list(range(8))


def test_kill_cancels_a_controller_in_sharcnets_queue(on_sqsub: Project) -> None:
    on_sqsub.edit("time.sleep(4)", "time.sleep(60)")
    on_sqsub.psy("run", "--detach=job", "a")
    wait_until(lambda: (on_sqsub.folder / "calls").exists())
    assert "a: stopped" in on_sqsub.psy("kill", "a").stdout
    wait_until(lambda: not Sqsub().get_jobs())
    assert "stopped by 'psy kill'" in on_sqsub.psy("attach", "a", status=130).stderr
