"""Workers have as many threads as they have cores, however they are started."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import Project

from psyrun.utils.process.threads import VARIABLES, own_cores

pytestmark = pytest.mark.slow

TASK = """\
import os
import numpy as np
from threadpoolctl import threadpool_info
from psyrun import Param
{top}

pspace = Param(x=range(4))
max_jobs = 2


def execute(x):
    np.ones((2, 2)) @ np.ones((2, 2))
    found = {{one["num_threads"] for one in threadpool_info()}}
    told, cores = map(os.environ.get, ["OMP_NUM_THREADS", "PSYRUN_AT_ONCE"])
    return {{"told": told, "found": sorted(found), "at_once": cores}}
"""
THREAD = """\
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
QUEUE = """\
from local_queue import LocalQueue
scheduler = LocalQueue("my queue")
"""
# A container may leave fewer than the machine has.
CORES = own_cores()


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ours(project: Project) -> Project:
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    return project


def test_two_jobs_at_a_time_share_the_cores(ours: Project) -> None:
    ours.write(TASK.format(top=""))
    ours.psy("run", "-j", "2")
    share = max(1, CORES // 2)
    found = ours.result()
    assert found["told"] == [str(share)] * 4
    assert found["found"] == [[share]] * 4
    # How many run at once decides how long the blocks are to be.
    assert found["at_once"] == ["2"] * 4


def test_how_many_they_are_changes_no_row(ours: Project) -> None:
    ours.write(TASK.format(top=""))
    ours.psy("run")
    # One job at a time has all cores.
    assert ours.result()["told"] == [str(CORES)] * 4
    ours.edit("max_jobs = 2", "max_jobs = 2\nthreads = None")
    assert "told" in ours.result()
    ours.psy("run", "-j", "2")
    assert ours.result()["told"] == [str(CORES)] * 4


@pytest.mark.parametrize(
    ("top", "threads"),
    [
        (f"{THREAD}threads = 1", 1),
        (f"{QUEUE}threads = 1", 1),
        (f"{QUEUE}pool_size = 2", max(1, CORES // 2)),
    ],
    # OpenBLAS never has more of them than there are cores.
    ids=["fresh workers", "a queue", "two workers in a queue"],
)
def test_they_are_limited_before_libraries_are_loaded(
    ours: Project, top: str, threads: int
) -> None:
    ours.write(TASK.format(top=top))
    ours.psy("run", "-j", "2")
    found = ours.result()
    assert found["found"] == [[threads]] * 4
    assert found["at_once"] == [None if "queue" in top else "2"] * 4


def test_what_the_user_has_set_stays(
    ours: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    ours.write(TASK.format(top="threads = 3"))
    ours.psy("run", "-j", "2")
    assert ours.result()["told"] == ["5"] * 4


def test_none_leaves_them_to_the_libraries(ours: Project) -> None:
    ours.write(TASK.format(top="threads = None"))
    ours.psy("run", "-j", "2")
    assert ours.result()["told"] == [None] * 4


def test_plain_snakemake_limits_them_too(ours: Project) -> None:
    ours.write(TASK.format(top=""))
    ours.snakemake()
    assert ours.result()["told"] == [str(max(1, CORES // 2))] * 4
