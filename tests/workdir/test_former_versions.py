"""Work folders and ledgers that former versions of psyrun left are gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from former_versions import ROWS, VERSIONS, rows, unpack
from projects import Project, wait_until
from slurm_stand_in import SlurmStandIn

from psyrun.queue.recovery import class_path
from psyrun.scheduler.registry import thawed

NAMES = ("finished", "extended", "killed", "failed", "queued", "waiting")
ALL = list(range(8))
SQUARES = [x**2 for x in ALL]
KILLED = ("changed", "detached", "fetching", "npz", "one")

Former = Callable[[str], Project]
Slurm = Callable[[Project], SlurmStandIn]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def former(version: str, tmp_path: Path) -> Former:
    """Unpack a project that the version left."""
    return lambda name: unpack(version, name, tmp_path / name)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """Put Slurm's commands on the path, for the queue of a project."""

    def use(project: Project) -> SlurmStandIn:
        queue = SlurmStandIn(project.folder / "slurm")
        for name, value in queue.environment().items():
            monkeypatch.setenv(name, value)
        return queue

    return use


def loaded(project: Project) -> dict[str, list[str]]:
    """Return the rows of all tasks as they are loaded now, as `rows` has them."""
    tasks = sorted(path.parent.name for path in project.folder.glob("*/*/state.json"))
    command = [sys.executable, str(ROWS), *tasks]
    return json.loads(subprocess.check_output(command, cwd=project.folder))


def states(project: Project) -> dict[str, str]:
    """Return the state of each task, how many rows it has, and how many failed."""
    lines = project.psy("status").stdout.splitlines()[1:]
    columns = map(str.split, lines)
    return {name: " ".join(rest[:3]) for name, *rest in columns}


def integer(text: str) -> int:
    """Return a value of `rows` such as ``'int64 3'``."""
    return int(text.split()[1])


def numbers(found: dict[str, list[str]], column: str) -> list[int]:
    """Return the integers of a column of `rows`, sorted."""
    return sorted(map(integer, found.get(column, [])))


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_loaded_as_before(former: Former, version: str, name: str) -> None:
    project = former(name)
    assert loaded(project) == rows(version, name)


def squares(found: dict[str, list[str]], task: str) -> list[tuple[int, int]]:
    """Return the columns x and y of a result in `rows`, sorted."""
    columns = (found[f"{task} result {key}"] for key in ("x", "y"))
    return sorted(zip(*(map(integer, column) for column in columns), strict=True))


STATES = {
    "finished": {
        "h5": "done 12/12 0",
        "npz": "done 12/12 0",
        "one": "done 8/8 0",
        "pickle": "done 16/16 0",
    },
    "failed": {
        "accepted": "done 6/8 2",
        "exiting": "incomplete 7/8 1",
        "raising": "incomplete 6/8 2",
    },
    "extended": {
        "continued": "done 6/6 0",
        "h5": "done 11/11 0",
        "killed": "incomplete 10/11 0",
        "npz": "done 11/11 0",
        "pickle": "done 15/15 0",
    },
    "queued": {"one": "queued 3/8 0"},
    "waiting": {"one": "queued - -"},
}


@pytest.mark.parametrize("name", STATES)
def test_status_tells_what_there_is(former: Former, name: str) -> None:
    project = former(name)
    assert states(project) == STATES[name]
    assert project.psy("list").stdout.split() == sorted(STATES[name])
    details = project.psy("status", "-v").stdout
    assert ("ValueError: no 5" in details) == (name == "failed")


def test_status_of_killed_tasks_counts_their_journals(
    former: Former, version: str
) -> None:
    found = states(former("killed"))
    known = rows(version, "killed")
    assert found == {
        name: f"incomplete {len(known[f'{name} partial x'])}/8 0" for name in KILLED
    }


def test_what_failed_is_told(former: Former) -> None:
    project = former("failed")
    for name in ("raising", "accepted"):
        told = project.psy("failed", "--all", name).stdout
        assert "no 2" in told and "no 5" in told
        assert f"psy-tasks/task_{name}.py:2" in told
    assert "exit status 4" in project.psy("failed", "exiting").stdout


def test_finished_tasks_are_up_to_date(former: Former) -> None:
    project = former("finished")
    project.psy("run")
    project.psy("run", "--continue")
    assert project.calls() == []


@pytest.mark.slow
def test_the_snakefile_that_psy_init_wrote_runs(former: Former, version: str) -> None:
    project = former("killed")
    there = numbers(rows(version, "killed"), "one partial x")
    profile = project.psy("profile", "local").stdout.strip()
    command = ("snakemake", "--profile", profile, "--cores", "2")
    project.run(*command, "--config", "psy_tasks=one")
    assert sorted([*there, *project.calls()]) == ALL
    assert project.result("one")["y"] == SQUARES
    project.run(*command, "--config", "psy_tasks=one")
    assert project.calls() == []


@pytest.mark.slow
def test_a_deleted_result_is_merged_from_what_is_there(
    former: Former, version: str
) -> None:
    project = former("extended")
    results = list(project.folder.glob("psy-work/*/result.*"))
    for result in results:
        result.unlink()
    done = [path.parent.name for path in results if path.parent.name != "killed"]
    project.psy("run", *done)
    assert project.calls() == []
    killed = {k for k in rows(version, "extended") if k.startswith("killed result")}
    found, expected = loaded(project), rows(version, "extended")
    assert found == {k: v for k, v in expected.items() if k not in killed}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["h5", "npz", "pickle"])
def test_spaces_are_extended_and_rows_kept(
    former: Former, version: str, name: str
) -> None:
    project = former("extended")
    values = "**dict(pspace[-1:].build(), x=[-2])"
    project.edit("max_jobs", f"pspace = pspace + Param({values})\nmax_jobs", name)
    project.psy("run", "--continue", name)
    assert project.calls() == [-2]
    before, now = rows(version, "extended"), loaded(project)
    assert squares(now, name) == sorted([*squares(before, name), (-2, 4)])


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_of_killed_tasks_what_is_missing_is_evaluated(
    former: Former, version: str, name: str
) -> None:
    project = former("killed")
    there = numbers(rows(version, "killed"), f"{name} partial x")
    assert "nothing is running" in project.psy("kill", name).stdout
    project.psy("run", "-j", "2", name)
    assert sorted([*there, *project.calls()]) == ALL
    expected = [y + 1 for y in SQUARES] if name == "changed" else SQUARES
    assert numbers(loaded(project), f"{name} result y") == expected


@pytest.mark.slow
def test_a_killed_extension_is_gone_on_with(former: Former, version: str) -> None:
    project = former("extended")
    project.psy("run", "--continue", "killed")
    assert project.calls() == [-1]
    now = loaded(project)
    # The same as of the task that was not killed.
    of_other = {k: v for k, v in now.items() if k.startswith("npz ")}
    assert {k.replace("npz", "killed", 1): v for k, v in of_other.items()} == {
        k: v for k, v in now.items() if k.startswith("killed ")
    }


@pytest.mark.slow
def test_a_change_that_is_taken_back_costs_nothing(former: Former) -> None:
    project = former("killed")
    project.edit("x**2 + 1", "x**2", "changed")
    project.psy("run", "changed")
    assert project.calls() == []
    assert project.result("changed")["y"] == SQUARES


@pytest.mark.slow
def test_what_failed_is_evaluated_again(former: Former) -> None:
    project = former("failed")
    project.psy("run", "raising", status=1)
    assert project.calls() == [2, 5]
    project.edit("x in (2, 5)", "x in ()", "raising")
    project.psy("run", "--continue", "raising")
    assert project.calls() == [2, 5]
    assert sorted(project.result("raising")["y"]) == SQUARES
    project.psy("run", "accepted", "--accept-failures")
    assert project.calls() == []


@pytest.mark.parametrize("recorded", ["slurm:Slurm", "sqsub:Sqsub"])
def test_ledgers_name_schedulers_as_before(recorded: str) -> None:
    scheduler = thawed(f"psyrun.scheduler.{recorded}", "")
    # Otherwise the jobs of a task are taken for those of another queue.
    assert class_path(scheduler) == f"psyrun.scheduler.{recorded}"


def test_the_end_of_a_run_that_nobody_saw_is_told(former: Former) -> None:
    attached = former("finished").psy("attach", "one")
    assert "ended at" in attached.stdout
    assert "one: psy-work/one/result.pkl" in attached.stdout
    attached = former("killed").psy("attach", "detached", status=1)
    assert "'psy run detached'" in attached.stderr


STEPS_AS_JOBS = ("--", "--psyrun-split-and-merge", "queue")


def submitted(queue: SlurmStandIn) -> Counter[str]:
    """Return how often the queue was given the jobs of each name."""
    return Counter(job["name"] for job in queue.jobs())


@pytest.mark.slow
def test_jobs_in_the_queue_are_adopted(former: Former, slurm: Slurm) -> None:
    project = former("queued")
    queue = slurm(project)
    (running,) = queue.ids("R")
    queue.set_state(running, "NF")
    queue.hold()
    process = project.start("psyrun.cli", "run", *STEPS_AS_JOBS)
    # The job that the machine took along is submitted again, and only that.
    wait_until(lambda: submitted(queue)["one:process"] > 4 or process.poll())
    for job in queue.ids("PD"):
        queue.run(job)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 0, errors
    assert submitted(queue) == {"one:split": 1, "one:process": 5, "one:merge": 1}
    assert project.calls() == [3, 4, 5, 6, 7]
    assert project.result("one")["y"] == SQUARES


@pytest.mark.slow
def test_jobs_in_the_queue_are_killed(former: Former, slurm: Slurm) -> None:
    project = former("queued")
    queue = slurm(project)
    assert "3 jobs in the queue" in project.psy("kill", "one").stdout
    assert len(queue.ids("CA")) == 3
    assert states(project) == {"one": "incomplete 3/8 0"}
    queue.hold()
    project.psy("run")
    assert project.calls() == [3, 4, 5, 6, 7]
    assert project.result("one")["y"] == SQUARES


@pytest.mark.slow
def test_a_controller_in_the_queue_runs(former: Former, slurm: Slurm) -> None:
    project = former("waiting")
    queue = slurm(project)
    assert "'psy attach one'" in project.psy("run", status=2).stderr
    queue.hold()
    (controller,) = queue.ids("PD")
    queue.run(controller)
    assert "one: psy-work/one/result.pkl" in project.psy("attach", "one").stdout
    assert project.calls() == ALL
    assert project.result("one")["y"] == SQUARES


@pytest.mark.slow
def test_a_controller_in_the_queue_is_killed(former: Former, slurm: Slurm) -> None:
    project = former("waiting")
    queue = slurm(project)
    assert "1 job in the queue" in project.psy("kill", "one").stdout
    assert queue.ids("PD") == []
    queue.hold()
    project.psy("run")
    assert project.result("one")["y"] == SQUARES
