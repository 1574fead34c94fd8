"""Tasks in a queue of the user's own, whose scheduler is made with an argument."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from projects import Project, kill_all_of, wait_until

pytestmark = pytest.mark.slow

TASK = """\
import time
from pathlib import Path

from local_queue import LocalQueue
from psyrun import Param

pspace = Param(x=range(4))
max_jobs = 2
scheduler = LocalQueue("my queue")


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while not Path("go").exists():
        time.sleep(0.05)
    return {"y": x**2}
"""


def own_queue(folder: Path, *tasks: str) -> Project:
    """Return a project whose tasks hold two jobs each in its queue."""
    project = Project(folder)
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    for name in tasks:
        project.write(TASK, name)
    return project


def n_calls(project: Project) -> int:
    calls = project.folder / "calls"
    return len(calls.read_text().split()) if calls.exists() else 0


@pytest.fixture
def orphaned(tmp_path: Path) -> Project:
    """A project with two jobs in its queue whose controller was killed."""
    project = own_queue(tmp_path / "project", "a")
    process = project.start("psyrun.cli", "run")
    wait_until(lambda: n_calls(project) == 2)
    kill_all_of(process)
    return project


def test_jobs_are_killed_whose_controller_died(orphaned: Project) -> None:
    assert "2 jobs in the queue" in orphaned.psy("kill", "a").stdout
    (orphaned.folder / "go").touch()
    assert orphaned.calls() == [0, 2]
    time.sleep(1)
    assert orphaned.calls() == []
    orphaned.psy("run")
    assert orphaned.calls() == [0, 1, 2, 3]
    assert orphaned.result()["y"] == [0, 1, 4, 9]


def test_jobs_in_the_queue_of_another_scheduler_are_cancelled(
    orphaned: Project,
) -> None:
    orphaned.edit('LocalQueue("my queue")', "ImmediateRun()")
    orphaned.edit("import Param", "import ImmediateRun, Param")
    orphaned.calls()
    process = orphaned.start("psyrun.cli", "run", "-j", "2")
    wait_until(lambda: n_calls(orphaned) == 2)
    (orphaned.folder / "go").touch()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "cancelled 2 queued jobs" in said
    assert orphaned.calls() == [0, 1, 2, 3]
    assert orphaned.result()["y"] == [0, 1, 4, 9]


def test_a_run_that_is_refused_leaves_jobs_of_before_alone(orphaned: Project) -> None:
    orphaned.edit("max_jobs = 2", "max_jobs = 2\noverwrite_dirty = False")
    orphaned.edit("x**2", "x**3")
    assert "overwrite_dirty" in orphaned.psy("run", status=2).stderr
    assert "2 running jobs" in orphaned.psy("status").stdout
    (orphaned.folder / "go").touch()
    orphaned.edit("x**3", "x**2")
    orphaned.psy("run")
    assert orphaned.calls() == [0, 1, 2, 3]
    assert orphaned.result()["y"] == [0, 1, 4, 9]


@pytest.fixture
def orphaned_part(tmp_path: Path) -> Project:
    """The same of a run that evaluates a part of the space."""
    project = own_queue(tmp_path / "project", "a")
    process = project.start("psyrun.cli", "run", "-p", "x=1:3")
    wait_until(lambda: n_calls(project) == 2)
    kill_all_of(process)
    return project


def test_jobs_of_a_part_go_on_with_the_same_part(orphaned_part: Project) -> None:
    (orphaned_part.folder / "go").touch()
    orphaned_part.psy("run", "-p", "x=1:3")
    assert orphaned_part.calls() == [1, 2]
    assert orphaned_part.result()["y"] == [1, 4]


def test_jobs_of_a_part_make_room_for_another_one(orphaned_part: Project) -> None:
    orphaned_part.calls()
    process = orphaned_part.start("psyrun.cli", "run", "-p", "x=3")
    wait_until(lambda: n_calls(orphaned_part) == 1)
    (orphaned_part.folder / "go").touch()
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "cancelled 2 queued jobs" in said
    assert orphaned_part.calls() == [3]
    orphaned_part.psy("run", "-p", "x=1:")
    assert orphaned_part.calls() == [1, 2]
    assert orphaned_part.result()["y"] == [1, 4, 9]


def test_jobs_of_other_tasks_of_the_same_run_are_told(tmp_path: Path) -> None:
    project = own_queue(tmp_path / "project", "a", "b")
    process = project.start("psyrun.cli", "run")
    wait_until(lambda: n_calls(project) == 4)
    said = project.psy("kill", "a").stdout
    assert "a: stopped" in said
    assert "b: watched by nobody now, as the same run was on it: 2 running jobs" in said
    process.communicate(timeout=60)
    (project.folder / "go").touch()
    project.psy("run", "b")
    assert project.result("b")["y"] == [0, 1, 4, 9]


# What is left of earlier runs is found out with one question of the first kind.
COUNTING_QUEUE = """\
import os
from pathlib import Path

from local_queue import LocalQueue


def note(question):
    with Path("questions").open("a") as file:
        file.write(f"{question} {os.getpid()}\\n")


class CountingQueue(LocalQueue):
    def foreign(self, arrays):
        note("left")
        return super().foreign(arrays)

    def get_statuses(self, jobids):
        note("statuses")
        return super().get_statuses(jobids)
"""

COUNTING_PSY = """\
import sys
from psyrun.planning import assessment

count_once = assessment.version_of


def version_of(task, *paths):
    with open("fingerprinted", "a") as file:
        file.write(task.name)
    return count_once(task, *paths)


assessment.version_of = version_of

from psyrun.cli.main import main

sys.exit(main())
"""


def test_a_run_decides_once(tmp_path: Path) -> None:
    project = own_queue(tmp_path / "project", "a")
    (project.folder / "psy-tasks/counting_queue.py").write_text(COUNTING_QUEUE)
    (project.folder / "counting_psy.py").write_text(COUNTING_PSY)
    project.edit("from local_queue import LocalQueue", "")
    project.edit("import time", "import time\nfrom counting_queue import CountingQueue")
    project.edit("LocalQueue(", "CountingQueue(")
    process = project.start("psyrun.cli", "run")
    wait_until(lambda: n_calls(project) == 2)
    kill_all_of(process)
    (project.folder / "questions").unlink()
    process = project.start("counting_psy", "run")
    wait_until(lambda: len({*who_asked(project)}) == 2)
    (project.folder / "go").touch()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert project.calls() == [0, 1, 2, 3]
    assert who_asked(project, "left") == [str(process.pid)]
    assert who_asked(project).count(str(process.pid)) == 1
    assert (project.folder / "fingerprinted").read_text() == "a"


def who_asked(project: Project, question: str = "statuses") -> list[str]:
    """Return the process that asked each question of a kind."""
    path = project.folder / "questions"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [line.split() for line in lines]
    return [process for kind, process in found if kind == question]
