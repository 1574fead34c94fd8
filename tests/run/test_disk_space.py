"""Rows are on disk once, and no kill on the way there loses or repeats one."""

import re
import shutil
from pathlib import Path

import pytest
from kill_points import KILLING, killed
from projects import Project

import psyrun

pytestmark = pytest.mark.slow

N = 24
LARGE = f"""\
import numpy as np
from psyrun import Param

pspace = Param(x=list(range({N})))
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    return {{"y": np.full(20_000, float(x))}}
"""
ROWS = N * 160_000
HOLDING = """
import psyrun.steps.merge as merging

if Path("hold").exists():
    merging._check_complete = None

"""
STORES = ("NpzStore", "PickleStore", "H5Store")


@pytest.fixture(params=STORES)
def large(project: Project, request: pytest.FixtureRequest) -> Project:
    """A project with rows that are worth to be on disk only once."""
    choice = f"from psyrun import {request.param}\nstore = {request.param}()\n"
    project.write(KILLING + HOLDING + choice + LARGE)
    return project


@pytest.fixture
def unmerged(large: Project) -> Project:
    """One of which all is evaluated, but not merged."""
    (large.folder / "hold").touch()
    large.psy("run", status=1)
    (large.folder / "hold").unlink()
    assert large.calls() == list(range(N))
    return large


def size(folder: Path) -> int:
    """Return how much files take on disk, in bytes; those with two names once."""
    stats = [p.lstat() for p in folder.rglob("*")]
    return 512 * sum({s.st_ino: s.st_blocks for s in stats}.values())


def expect_all(project: Project, n: int = N) -> None:
    (result,) = project.work().glob("result.*")
    columns = psyrun.load(result)
    assert [int(x) for x in columns["x"]] == list(range(n))
    assert [int(y[-1]) for y in columns["y"]] == list(range(n))


def test_journals_lose_rows_that_are_in_a_block(unmerged: Project) -> None:
    assert size(unmerged.folder) < 1.1 * ROWS
    status = unmerged.psy("status").stdout
    assert re.search(rf"\b{N}\b", status)
    assert len(psyrun.load(unmerged.work(), partial=True)["x"]) == N


def test_a_block_that_was_removed_after_its_journals_were_emptied_is_put_back(
    unmerged: Project,
) -> None:
    shutil.rmtree(unmerged.work() / "round-1/blocks")
    assert len(psyrun.load(unmerged.work(), partial=True)["x"]) == N
    unmerged.psy("run")
    assert unmerged.calls() == []
    expect_all(unmerged)


def test_a_process_job_that_is_killed_anywhere_repeats_only_what_was_in_flight(
    unmerged: Project,
) -> None:
    for path in ("blocks", "finished", "journal"):
        shutil.rmtree(unmerged.work() / "round-1" / path)
    for copy in killed(unmerged, "process", "0"):
        # As Snakemake does with what a job has made that was killed.
        for block in copy.work().glob("round-1/blocks/0.*"):
            block.unlink()
        copy.run("psyrun.steps", "process", "psy-work/a", "1", "0")
        calls = copy.calls()
        assert sorted(set(calls)) == list(range(N // 2))
        assert len(calls) <= N // 2 + 1
        data = psyrun.load(copy.work(), partial=True)
        assert [int(x) for x in data["x"]] == list(range(N // 2))
        shutil.rmtree(copy.folder)
