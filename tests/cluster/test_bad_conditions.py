"""What goes wrong on clusters, on a real Slurm."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from projects import Project, kill_all_of, wait_until
from queued import Submissions, queued_project
from slurm_cluster import SlurmCluster

from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import running_jobs

SQUARES = [x**2 for x in range(8)]


def queue(project: Project, *states: str) -> list[str]:
    """Return the ids of a project's jobs that squeue lists in certain states."""
    command = ["squeue", "-h", "-r", "-t", ",".join(states or ("PD", "R"))]
    done = subprocess.run([*command, "-o", "%i %Z"], capture_output=True, text=True)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    return [job for job, folder in lines if folder == str(project.folder)]


def start(project: Project) -> subprocess.Popen[str]:
    return project.start("psyrun.cli", "run")


def has_started(project: Project) -> Callable[[], bool]:
    return lambda: (project.folder / "calls").exists()


def holding(project: Project) -> None:
    """Let each evaluation wait until a file is there."""
    project.edit("time.sleep(0)", "while not Path('go').exists(): time.sleep(0.05)")


def wait_until_all_evaluate(project: Project) -> None:
    """Wait for the first evaluation of each of four jobs.

    A job that is cancelled as it starts may miss the signal, and go on for as long
    as the queue lets those that it cancels end by themselves.
    """
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) == 4)


def layout(project: Project) -> TaskLayout:
    return TaskLayout(project.work())


def go(project: Project) -> None:
    (project.folder / "go").touch()


def read_until(text: str, stream: IO[str] | None) -> None:
    """Read what a process prints up to a line with some text, or fail at its end."""
    assert stream is not None
    said = []
    for line in iter(stream.readline, ""):
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


@pytest.fixture
def held_nodes(slurm: SlurmCluster) -> object:
    """No job starts until the test says so."""
    slurm.run_cli("scontrol", "update", "PartitionName=main", "State=DOWN")
    yield lambda: slurm.run_cli("scontrol", "update", "PartitionName=main", "State=UP")
    slurm.run_cli("scontrol", "update", "PartitionName=main", "State=UP")


def test_jobs_that_were_pending_when_the_controller_died_are_adopted(
    slurm: SlurmCluster,
    held_nodes: Callable[[], str],
    tmp_path: Path,
    submissions: Submissions,
) -> None:
    project = queued_project(tmp_path / "project")
    process = start(project)
    wait_until(lambda: queue(project, "PD"))
    wait_until(lambda: list(project.work().glob("queue/*/ids.json")))
    kill_all_of(process)
    assert "queued" in project.psy("status").stdout
    process = start(project)
    read_until("1 job of before go", process.stdout)
    held_nodes()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert set(submissions.jobs().values()) == {1}
    assert project.result()["y"] == SQUARES


def test_jobs_that_ran_when_the_controller_died_are_adopted(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until(lambda: len(queue(project, "R")) == 4)
    kill_all_of(process)
    assert "4 running jobs, watched by nobody" in project.psy("status").stdout
    second = start(project)
    read_until("4 jobs of before go on", second.stdout)
    go(project)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert set(submissions.jobs().values()) == {1}
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES


def test_jobs_that_ended_after_the_controller_died_are_not_repeated(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project", seconds=0.5)
    process = start(project)
    wait_until(has_started(project))
    kill_all_of(process)
    wait_until(lambda: not queue(project))
    project.psy("run")
    assert set(submissions.jobs().values()) == {1}
    assert project.calls() == list(range(8))


def test_an_interrupted_run_leaves_its_jobs_in_the_queue(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until(lambda: len(queue(project, "R")) == 4)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "psy kill a" in errors
    assert len(queue(project, "R")) == 4
    go(project)
    project.psy("run")
    assert set(submissions.jobs().values()) == {1}


def test_a_dry_run_forgets_no_jobs(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until_all_evaluate(project)
    kill_all_of(process)
    said = project.psy("run", "--", "--dry-run").stdout
    assert "4 jobs of before go on" in said
    assert "result.pkl" not in said
    assert "4 jobs in the queue" in project.psy("kill", "a").stdout
    assert not queue(project)


@pytest.mark.parametrize("partition", ["", "short"])
def test_jobs_are_adopted_that_go_where_the_profile_says(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions, partition: str
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    project.edit("scheduler = Slurm()\n", "")
    snakemake = [
        *("snakemake", "--snakefile", project.psy("snakefile").stdout.strip()),
        *("--profile", project.psy("profile", "slurm").stdout.strip()),
        *(["--psyrun-args", f"partition={partition}"] if partition else []),
    ]
    process = project.start(*snakemake)
    wait_until_all_evaluate(project)
    kill_all_of(process)
    second = project.start(*snakemake)
    read_until("4 jobs of before go on", second.stderr)
    go(project)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 0, errors
    assert project.result()["y"] == SQUARES
    assert set(submissions.jobs().values()) == {1}
    assert project.calls() == list(range(8))


def test_a_cancelled_job_is_told_and_repeated_by_the_next_run(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until_all_evaluate(project)
    (second,) = [job for job in queue(project, "R") if job.endswith("_1")]
    subprocess.run(["scancel", second], check=True)
    # The others end within milliseconds, and so might this one before the signal.
    wait_until(lambda: "process:1" not in dict(running_jobs(layout(project))))
    go(project)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "a:process:1" in errors
    assert "cancelled" in errors
    assert "cancelled" in project.psy("status", "-v").stdout
    before = project.calls()
    project.psy("run")
    assert set(project.calls()) <= {2, 3}
    assert set(before) | {2, 3} == set(range(8))
    assert project.result()["y"] == SQUARES


def test_all_jobs_may_be_cancelled(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until_all_evaluate(project)
    subprocess.run(["scancel", *queue(project)], check=True)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cancelled" in errors
    go(project)
    project.psy("run")
    assert project.result()["y"] == SQUARES


def test_jobs_cancelled_while_nobody_watched_are_submitted_again(
    slurm: SlurmCluster, held_nodes: Callable[[], str], tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    process = start(project)
    wait_until(lambda: queue(project, "PD"))
    kill_all_of(process)
    subprocess.run(["scancel", *queue(project)], check=True)
    held_nodes()
    project.psy("run")
    assert project.result()["y"] == SQUARES


def test_an_outage_while_jobs_are_watched_harms_nothing(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until(lambda: len(queue(project, "R")) == 4)
    slurm.stop_controller()
    go(project)
    read_until("Trying again", process.stdout)
    slurm.start_controller()
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert set(submissions.jobs().values()) == {1}
    assert project.calls() == list(range(8))


def test_an_outage_while_jobs_are_submitted_harms_nothing(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    slurm.stop_controller()
    process = start(project)
    read_until("Trying again", process.stdout)
    slurm.start_controller()
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES


def test_a_node_that_crashes_loses_what_it_was_at_only(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project", n_items=16, seconds=3)
    process = start(project)
    wait_until(has_started(project), 60)
    slurm.kill_node("n1")
    slurm.kill_node("n2")
    time.sleep(3)
    slurm.start_node("n1")
    slurm.start_node("n2")
    _, errors = process.communicate(timeout=180)
    if process.returncode:
        assert process.returncode == 1, errors
        project.psy("run")
    assert project.result()["y"] == [x**2 for x in range(16)]
    assert len(project.calls()) <= 16 + 4


OVER_MEMORY = """\
    if x == 5:
        hog = bytearray({size} << 20)
        hog[::4096] = bytes(len(hog[::4096]))
        time.sleep({seconds})
    return {{"""


def test_a_job_over_its_memory_says_so(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project")
    project.edit("    return {", OVER_MEMORY.format(size=600, seconds=60))
    _, errors = start(project).communicate(timeout=120)
    assert "JobEnded: out of memory" in errors
    assert "a:process:2" in errors
    assert "5: x=5" in errors
    told = project.psy("status", "-v").stdout
    assert "out of memory" in told
    assert "1 failed" in told
    assert "out of memory" in project.psy("failed", "a").stdout
    project.edit("x == 5", "x == 15")
    project.psy("run", "--continue")
    assert project.result()["y"] == SQUARES


def test_assignments_over_the_memory_of_their_job_cost_no_others(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project", n_items=12, n_jobs=1)
    project.edit("    return {", OVER_MEMORY.format(size=600, seconds=60))
    project.edit("x == 5", "x in (3, 4, 9)")
    said = project.psy("run", status=1)
    assert "9 of 12 assignments are kept" in said.stderr
    assert project.calls() == list(range(12))
    assert [record["names"] for record in submissions.all()].count(["a:process:0"]) == 4
    assert "9/12  3" in project.psy("status").stdout
    project.psy("run", "--accept-failures")
    assert project.calls() == []
    assert project.result()["x"] == [x for x in range(12) if x not in (3, 4, 9)]


def test_a_job_over_its_memory_that_nobody_watched_is_told_alike(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    project.edit("    return {", OVER_MEMORY.format(size=600, seconds=60))
    process = start(project)
    wait_until_all_evaluate(project)
    kill_all_of(process)
    go(project)
    wait_until(lambda: not queue(project))
    assert project.calls() == list(range(8))
    project.psy("run", "--accept-failures")
    # Nothing was left to do, and nothing was done again.
    assert project.calls() == []
    told = project.psy("failed", "a").stdout
    assert "JobEnded: out of memory, which ended the whole job" in told
    assert project.result()["x"] == [0, 1, 2, 3, 4, 6, 7]


def test_a_job_over_its_memory_is_tried_again_with_more(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit("    return {", OVER_MEMORY.format(size=300, seconds=4))
    project.edit("max_jobs", "retries = 2\nmax_jobs")
    said = project.psy("run").stdout
    assert "tried again" in said
    assert project.result()["y"] == SQUARES
    memory = [
        record["scheduler_args"]["memory"]
        for record in submissions.all()
        if "a:process:2" in record["names"]
    ]
    assert len(memory) >= 2
    assert memory[0] == "200M"
    calls = project.calls()
    assert sorted(set(calls)) == list(range(8))
    assert set(calls) - {x for x in calls if calls.count(x) == 1} == {5}


@pytest.fixture
def small_partition(slurm: SlurmCluster) -> Iterator[None]:
    """A partition gives jobs 300 MB at most."""
    update = ("scontrol", "update", "PartitionName=short")
    slurm.run_cli(*update, "MaxMemPerNode=300")
    yield
    slurm.run_cli(*update, "MaxMemPerNode=0")


def test_a_job_is_given_no_more_memory_than_its_partition_allows(
    slurm: SlurmCluster,
    small_partition: None,
    tmp_path: Path,
    submissions: Submissions,
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit("    return {", OVER_MEMORY.format(size=600, seconds=60))
    project.edit("max_jobs", "retries = 5\nmax_jobs")
    project.edit('"timelimit": "5m"', '"timelimit": "5m", "partition": "short"')
    said = project.psy("run", status=1).stdout
    most = "all the memory that partition 'short' allows, 300 MiB"
    assert f"it is tried again with memory=300M, {most}" in said
    assert f"it had {most}, and gets no more: choose another partition" in said
    memory = [
        record["scheduler_args"]["memory"]
        for record in submissions.all()
        if "a:process:2" in record["names"]
    ]
    # The last one is for what the assignment that needs more has left.
    assert memory == ["200M", "300M", "300M"][: len(memory)]
    assert len(memory) >= 2
    assert sorted({*project.calls()}) == list(range(8))


def test_a_job_stops_before_its_time_is_over(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project", n_items=6, n_jobs=1, seconds=14)
    project.edit('"5m"', '"1m"')
    said = project.psy("run").stdout
    assert "its time does not suffice for the rest. A new job does the rest" in said
    # Evaluations that had begun were let come to their end.
    assert project.calls() == list(range(6))


def test_a_job_over_its_time_says_so(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project")
    project.edit(
        "    return {", "    if x == 5:\n        time.sleep(600)\n    return {"
    )
    process = start(project)
    wait_until(lambda: len(queue(project, "R")) == 1 and has_started(project)(), 60)
    slurm.end_time_limit(queue(project, "R")[0])
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "time limit" in errors
    assert "7 of 8 assignments are kept" in errors


SHORT = '"timelimit": "10m", "partition": "short"'


def test_what_a_partition_does_not_allow_is_not_submitted(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('"timelimit": "5m"', SHORT)
    errors = project.psy("run", status=2).stderr
    assert "timelimit is 0-00:10, but 'short' allows 00:05:00" in errors
    assert "another partition: main" in errors
    assert submissions.all() == []


@pytest.fixture
def closing_partition(slurm: SlurmCluster) -> Iterator[Callable[[], str]]:
    """A partition takes jobs of an hour, until the test says that it starts none."""
    update = ("scontrol", "update", "PartitionName=short")
    slurm.run_cli(*update, "MaxTime=60", "State=DOWN")
    yield lambda: slurm.run_cli(*update, "MaxTime=5", "State=UP")
    slurm.run_cli(*update, "MaxTime=5", "State=UP")


def test_jobs_that_can_never_start_end_the_run(
    slurm: SlurmCluster, closing_partition: Callable[[], str], tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('"timelimit": "5m"', SHORT)
    process = start(project)
    read_until("1 job in the queue (PartitionDown: ", process.stdout)
    closing_partition()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "can never start (PartitionTimeLimit" in errors
    assert "lower timelimit, or choose another partition" in errors
    assert queue(project) == []
    project.edit('"10m"', '"5m"')
    project.psy("run")
    assert project.result()["y"] == SQUARES


@pytest.mark.parametrize(
    ("argument", "value"),
    [("account", "nobody"), ("partition", "nowhere"), ("memory", "900T")],
)
def test_what_sbatch_refuses_is_told(
    slurm_with_accounting: SlurmCluster, tmp_path: Path, argument: str, value: str
) -> None:
    project = queued_project(tmp_path / "project")
    project.edit('"memory": "200M"', f'"{argument}": "{value}"')
    errors = project.psy("run", status=2).stderr
    assert "sbatch" in errors
    assert "could not be submitted" in errors


def test_a_limit_of_jobs_is_kept_to(
    slurm_with_accounting: SlurmCluster, tmp_path: Path, submissions: Submissions
) -> None:
    slurm_with_accounting.set_max_submit_jobs(3)
    project = queued_project(tmp_path / "project", n_items=10, n_jobs=10, seconds=0.2)
    output, errors = start(project).communicate(timeout=400)
    assert project.calls() == list(range(10)), errors
    assert project.result()["y"] == [x**2 for x in range(10)]
    assert "as jobs end" in output


def test_who_cancelled_a_job_is_told_where_accounting_runs(
    slurm_with_accounting: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until_all_evaluate(project)
    subprocess.run(["scancel", *queue(project)], check=True)
    _, errors = process.communicate(timeout=120)
    assert "cancelled by root" in errors


def test_a_long_log_is_no_trouble(slurm: SlurmCluster, tmp_path: Path) -> None:
    project = queued_project(tmp_path / "project", n_items=2, n_jobs=2)
    lines = "    for _ in range(100):\n        print('x' * (1 << 20))\n"
    project.edit("    return {", f"{lines}    return {{")
    project.psy("run")
    assert (project.work() / "a:process:0.log").stat().st_size > 100 << 20
    assert project.result()["y"] == [0, 1]


def test_kill_cancels_exactly_what_it_is_told_to(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    project.write(project.taskfile().read_text(), "b")
    runs = [project.start("psyrun.cli", "run", name) for name in "ab"]
    wait_until(lambda: len(queue(project, "R")) == 8)
    said = project.psy("kill", "a").stdout
    assert "4 jobs in the queue" in said
    runs[0].communicate(timeout=60)
    assert len(queue(project, "R")) == 4
    go(project)
    _, errors = runs[1].communicate(timeout=120)
    assert runs[1].returncode == 0, errors
    project.calls()
    project.psy("run", "a")
    assert project.calls() == list(range(8))


def test_kill_works_after_the_controller_died(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    wait_until(lambda: len(queue(project, "R")) == 4)
    kill_all_of(process)
    assert "psy kill" in project.psy("clean", "a", status=2).stderr
    project.psy("kill", "a")
    assert not queue(project)
    assert "nothing is running" in project.psy("kill", "a").stdout
    project.psy("clean", "a")


def test_jobs_of_an_outdated_plan_are_cancelled(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    holding(project)
    process = start(project)
    # A job that has not read the task file yet would see that it was edited.
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) == 4)
    kill_all_of(process)
    project.edit("x**2", "x**3")
    project.edit("while not Path('go').exists(): time.sleep(0.05)", "pass")
    said = project.psy("run").stdout
    assert "cancelled 4 queued jobs of an outdated plan" in said
    assert project.result()["y"] == [x**3 for x in range(8)]


def test_jobs_that_start_after_an_edit_evaluate_nothing(
    slurm: SlurmCluster, held_nodes: Callable[[], str], tmp_path: Path
) -> None:
    project = queued_project(tmp_path / "project")
    process = start(project)
    wait_until(lambda: queue(project, "PD"))
    project.edit("x**2", "x**3")
    held_nodes()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "was changed after the job was planned" in errors
    assert project.calls() == []


KILLS = int(os.environ.get("PSYRUN_KILLS", "6"))


@pytest.mark.parametrize("number", range(KILLS))
def test_a_controller_killed_at_any_moment_submits_each_job_once(
    slurm: SlurmCluster, tmp_path: Path, submissions: Submissions, number: int
) -> None:
    chance = random.Random(number)
    project = queued_project(tmp_path / "project", seconds=0.2)
    process = start(project)
    moment = 1.0 + 8.0 * (number + chance.random()) / KILLS
    timer = threading.Timer(moment, lambda: None)
    timer.start()
    timer.join()
    kill_all_of(process)
    project.psy("run")
    assert set(submissions.jobs().values()) == {1}
    assert project.calls() == list(range(8))
    assert project.result()["y"] == SQUARES
