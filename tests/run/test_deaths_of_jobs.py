"""Assignments that end their whole job in a queue, and what becomes of the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import Project, kill_all_of, wait_until

pytestmark = pytest.mark.slow

# A job's process ends as if by the queue, and for the cause that stands in a file.
TASK = """\
import os
import signal
import time
from pathlib import Path

from local_queue import LocalQueue
from psyrun import Param
from psyrun.backend import LoadBalancingBackend
from psyrun.scheduler import Cause, Ending


class Queue(LocalQueue):
    def get_endings(self, jobids):
        # Another job may be about to write the same into it.
        text = Path("cause").read_text() if Path("cause").exists() else ""
        if not text:
            return {{}}
        cause = Cause(text)
        return dict.fromkeys(jobids, Ending(cause, f"short of {{cause}}"))

    def raised(self, values, cause, factor):
        return {{"nice": values.get("nice", 0) + 1}}


def end_job(number):
    os.kill(os.getppid(), number)
    time.sleep(60)


pspace = Param(x=range(10))
max_jobs = 2
scheduler = Queue("my queue")
{settings}


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    {deed}
    return {{"y": x**2}}
"""
OUT_OF_MEMORY = """if x in (1, 4, 7):
        # Whole at once, as it is read at any time.
        Path(f"cause-{x}").write_text("memory")
        Path(f"cause-{x}").rename("cause")
        end_job(signal.SIGKILL)"""


def project_with(folder: Path, deed: str, settings: str = "") -> Project:
    project = Project(folder)
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    project.write(TASK.format(deed=deed, settings=settings))
    return project


def n_submitted(project: Project, block: int) -> int:
    """Return how many jobs were submitted for a block."""
    records = project.work().glob("queue/*/array.json")
    return sum(f'"a:process:{block}"' in path.read_text() for path in records)


def failed(project: Project) -> dict[int, str]:
    """Return the failed assignments, and what `psy failed` says of each."""
    lines = project.psy("failed", "--all", "a").stdout.splitlines()
    rows = [line for line in lines if line[:1].isdigit()]
    return {int(line.split()[0]): line for line in rows}


def test_the_others_of_a_block_get_their_turn_in_the_same_run(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", OUT_OF_MEMORY)
    said = project.psy("run", status=1)
    assert "A new job does the rest" in said.stdout
    assert "3 x JobEnded: short of memory, which ended the whole job" in said.stderr
    assert "7 of 10 assignments are kept" in said.stderr
    assert project.calls() == list(range(10))
    told = failed(project)
    assert told.keys() == {1, 4, 7}
    assert all("short of memory" in line for line in told.values())
    assert "7/10  3" in project.psy("status").stdout
    # The last of block 0 leaves nothing to do.
    assert (n_submitted(project, 0), n_submitted(project, 1)) == (2, 2)

    project.edit("in (1, 4, 7)", "== 11")
    project.psy("run", "--continue")
    assert project.calls() == [1, 4, 7]
    assert project.result()["y"] == [x**2 for x in range(10)]


def test_the_result_may_lack_them(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", OUT_OF_MEMORY)
    said = project.psy("run", "--accept-failures").stdout
    assert "without 3 assignments that failed" in said
    assert project.result()["x"] == [0, 2, 3, 5, 6, 8, 9]
    assert "short of memory" in failed(project)[4]


def test_all_are_evaluated_with_load_balancing(tmp_path: Path) -> None:
    settings = "backend = LoadBalancingBackend()\npool_size = 1"
    project = project_with(tmp_path / "project", OUT_OF_MEMORY, settings)
    project.edit("range(10)", "range(60)")
    project.psy("run", "--accept-failures")
    assert project.calls() == list(range(60))
    assert project.result()["x"] == [x for x in range(60) if x not in (1, 4, 7)]


def test_an_assignment_that_died_gets_its_retries_first(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", OUT_OF_MEMORY, "retries = 1")
    project.edit("in (1, 4, 7)", "in (1, 7)")
    said = project.psy("run", status=1).stdout
    assert said.count("it is tried again with nice=1") == 2
    assert project.calls() == sorted([*range(10), 1, 7]), said
    assert failed(project).keys() == {1, 7}


ONE_OF_TWO = """if x == 1:
        while sum(1 for _ in Path("calls").open()) < 2:
            time.sleep(0.01)
        Path("cause").write_text("memory")
        end_job(signal.SIGKILL)
    if x == 0 and not Path("cause").exists():
        while True:
            time.sleep(0.01)"""


def test_neighbours_of_an_assignment_that_died_are_not_blamed(tmp_path: Path) -> None:
    settings = "max_jobs = 1\npool_size = 2"
    project = project_with(tmp_path / "project", ONE_OF_TWO, settings)
    project.psy("run", status=1)
    # Of two that were evaluated, each gets another try alone.
    assert project.calls() == sorted([*range(10), 0, 1])
    assert failed(project).keys() == {1}


def test_a_killed_job_has_a_second_try_where_nobody_says_why(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", "if x == 7: end_job(signal.SIGKILL)")
    project.psy("run", status=1)
    assert project.calls() == sorted([*range(10), 7])
    assert "SIGKILL" in failed(project)[7]


def test_a_crash_of_the_job_is_told_as_such(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", "if x == 7: end_job(signal.SIGSEGV)")
    project.psy("run", status=1)
    assert project.calls() == list(range(10))
    assert "SIGSEGV" in failed(project)[7]


SLOW = """if x == 7:
        Path("cause").write_text("time")
        end_job(signal.SIGKILL)
    if x == 6:
        time.sleep(0.5)"""


def test_what_began_late_gets_the_time_of_a_whole_job(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", SLOW)
    project.psy("run", status=1)
    # Only the second time it was the first of its job.
    assert project.calls() == sorted([*range(10), 7])
    assert "short of time" in failed(project)[7]


@pytest.mark.parametrize("cause", ["cancelled", "node"])
def test_nobody_is_blamed_for_what_is_done_to_a_job(tmp_path: Path, cause: str) -> None:
    deed = f'if x == 7: Path("cause").write_text("{cause}"); end_job(signal.SIGTERM)'
    project = project_with(tmp_path / "project", deed)
    project.psy("run", status=1)
    assert project.calls() == list(range(8))
    assert failed(project) == {}
    assert "8/10" not in project.psy("status").stdout
    assert n_submitted(project, 1) == 1


def test_a_job_that_dies_before_its_first_assignment_is_no_loop(tmp_path: Path) -> None:
    settings = "def setup(number):\n    end_job(signal.SIGKILL)"
    project = project_with(tmp_path / "project", "pass", settings)
    project.psy("run", status=1)
    assert project.calls() == []
    assert n_submitted(project, 0) == 1


# The first to end is x = 2 of block 0, by what nobody is to blame for.
ORDER = """if x == 0:
        Path("cause").write_text("memory")
        end_job(signal.SIGKILL)
    if x == 2 and not Path("go").exists():
        Path("cause").write_text("cancelled")
        end_job(signal.SIGTERM)"""


def test_the_next_run_begins_with_what_was_not_evaluated_yet(tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", ORDER, "max_jobs = 1")
    project.psy("run", status=1)
    assert project.calls() == [0, 1, 2]
    (project.folder / "go").touch()
    project.psy("run", status=1)
    called = (project.folder / "calls").read_text().split()
    assert called == [str(x) for x in [*range(2, 10), 0]]
    assert failed(project).keys() == {0}


def test_a_death_that_nobody_watched_is_found_by_the_next_run(tmp_path: Path) -> None:
    deed = 'while not Path("go").exists(): time.sleep(0.01)'
    project = project_with(tmp_path / "project", f"{deed}\n    {OUT_OF_MEMORY}")
    process = project.start("psyrun.cli", "run")
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) == 2)
    kill_all_of(process)
    (project.folder / "go").touch()
    arrays = project.work().glob("queue/*/array.json")
    (array,) = (a for a in arrays if '"a:process:0"' in a.read_text())
    outputs = [array.with_name(f"{position}.out") for position in range(2)]
    wait_until(lambda: all("exit 137" in path.read_text() for path in outputs))
    assert project.calls() == [0, 1, 5, 6, 7]
    assert failed(project) == {}
    project.psy("run", "--accept-failures")
    assert project.calls() == [2, 3, 4, 8, 9]
    told = failed(project)
    assert told.keys() == {1, 4, 7}
    assert all("short of memory" in line for line in told.values())
