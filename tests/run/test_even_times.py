"""Runs whose blocks are predicted to take equally long, and that are killed."""

from __future__ import annotations

import pytest
from projects import Project, kill_all_of, wait_until

from psyrun.workdir.division import Division
from psyrun.workdir.layout import TaskLayout

pytestmark = pytest.mark.slow

TASK = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(k=range(3)) * Param(n=range(1, 9))
max_jobs = 3


def execute(k, n):
    with Path("calls").open("a") as file:
        file.write(f"{8 * k + n - 1}\\n")
    if Path("pilots").exists():
        time.sleep(0.06 * n**2)
    while Path("hold").exists() and len(Path("calls").read_text().split()) >= 5:
        time.sleep(0.02)
    return {"y": n}
"""
PILOTS = list(range(8))
OTHERS = list(range(8, 24))


@pytest.fixture
def uneven(project: Project) -> Project:
    """The project with a task of which some assignments were evaluated, slowly."""
    project.write(TASK)
    (project.folder / "pilots").touch()
    project.psy("run", "-p", "k=0", "-j", "3")
    (project.folder / "pilots").unlink()
    assert project.calls() == PILOTS
    return project


def division_of(project: Project, number: int) -> Division:
    return Division.load(TaskLayout(project.work()).round(number))


def begin_and_kill(project: Project) -> None:
    (project.folder / "hold").touch()
    process = project.start("psyrun.cli", "run", "-j", "2")
    calls = project.folder / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) >= 5)
    kill_all_of(process)
    (project.folder / "hold").unlink()


def test_a_killed_run_goes_on_with_the_same_blocks(uneven: Project) -> None:
    begin_and_kill(uneven)
    division = division_of(uneven, 2)
    assert division.shares is not None
    shares = [list(division.indices(block)) for block in range(3)]
    assert sorted(i for share in shares for i in share) == OTHERS
    assert max(map(len, shares)) > min(map(len, shares))
    uneven.psy("run", "-j", "2")
    assert not (uneven.work() / "round-3").exists()
    calls = uneven.calls()
    # What was being evaluated is evaluated again.
    assert set(calls) == set(OTHERS)
    assert len(calls) <= len(OTHERS) + 2
    assert uneven.result()["y"] == [*range(1, 9)] * 3


def test_what_is_left_is_divided_anew_or_evaluated_again(uneven: Project) -> None:
    begin_and_kill(uneven)
    uneven.edit("max_jobs = 3", "max_jobs = 5")
    uneven.psy("run", "-j", "2")
    assert len(uneven.calls()) <= len(OTHERS) + 2
    assert uneven.result()["y"] == [*range(1, 9)] * 3
    uneven.psy("run", "--rerun", "k == 2 and n > 6", "-j", "2")
    assert uneven.calls() == [22, 23]
    assert uneven.result()["y"] == [*range(1, 9)] * 3


def test_a_block_that_is_lost_is_evaluated_again(uneven: Project) -> None:
    uneven.psy("run", "-j", "2")
    uneven.calls()
    division = division_of(uneven, 2)
    for path in (*uneven.work().glob("round-2/rows*"), uneven.work() / "result.pkl"):
        path.unlink()
    (uneven.work() / "round-2/blocks/1.pkl").unlink()
    uneven.psy("run", "-j", "2")
    assert set(division.indices(1)) <= set(uneven.calls())
    assert uneven.result()["y"] == [*range(1, 9)] * 3


def test_who_fetches_the_slowest_first_loses_nothing(uneven: Project) -> None:
    uneven.edit("import Param", "import backend as b, Param")
    uneven.edit("max_jobs", "backend = b.LoadBalancingBackend\nmax_jobs")
    begin_and_kill(uneven)
    assert division_of(uneven, 2).portions is not None
    begun = (uneven.folder / "calls").read_text().split()
    assert {*map(int, begun[:2])} == {15, 23}
    # What is left is fetched anew, and what is new with it.
    uneven.edit("k=range(3)", "k=range(4)")
    uneven.psy("run", "-j", "2")
    calls = uneven.calls()
    assert set(calls) == {*OTHERS, *range(24, 32)}
    assert len(calls) <= len(OTHERS) + 8 + 2
    assert uneven.result()["y"] == [*range(1, 9)] * 4
