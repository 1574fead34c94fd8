"""Runs in which evaluations take longer than `timeout` allows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import Project

pytestmark = pytest.mark.slow

TASK = """\
import re
from pathlib import Path
from psyrun import Param, {backend}
{top}

# To match it would take longer than the universe is old, with the GIL held.
ENDLESS = re.compile("(a+)+$")
pspace = Param(x=range(10))
max_jobs = 2
pool_size = {pool_size}
backend = {backend}
timeout = "{timeout}"


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    if x in (2, 7) and not Path("fast").exists():
        ENDLESS.match("a" * 64 + "b")
    return {{"y": x**2}}
"""
THREAD = """\
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
QUEUE = """\
from local_queue import LocalQueue
scheduler = LocalQueue("my queue")
"""
ALL = list(range(10))
WAYS = {
    "fresh workers": {"top": THREAD, "timeout": "2s"},
    "fetched": {"backend": "LoadBalancingBackend"},
    "one worker in a queue": {"top": QUEUE, "pool_size": 1},
}


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS.keys())
def test_what_took_too_long_is_told_and_repeated_with_more_time(
    project: Project, settings: dict[str, object]
) -> None:
    queue = Path(__file__).parents[1] / "scheduler" / "local_queue.py"
    shutil.copy(queue, project.folder / "psy-tasks")
    defaults = {"pool_size": 2, "backend": "DistributeBackend", "top": ""}
    known = {"timeout": "1s", **defaults, **settings}
    project.write(TASK.format(**known))
    limit = str(known["timeout"]).replace("s", " s")
    said = project.psy("run", "-j", "2", status=1)
    assert "8 of 10 assignments are kept" in said.stdout + said.stderr
    assert project.calls() == ALL
    told = project.psy("failed", "--all", "a").stdout
    assert told.count(f"TimedOut: took longer than timeout = {limit}") == 2
    assert "psy-tasks/task_a.py:" in told
    assert told.count(" in execute") == 2
    # The limit is no part of the version: only what failed is evaluated again.
    (project.folder / "fast").touch()
    project.edit(f'timeout = "{known["timeout"]}"', "timeout = 600")
    project.psy("run", "-j", "2")
    assert project.calls() == [2, 7]
    assert project.result() == {"x": ALL, "y": [x**2 for x in ALL]}


def test_a_limit_that_the_queue_does_not_let_come_about_is_told(
    project: Project,
) -> None:
    project.write(
        "from psyrun import Param, Slurm\n"
        "pspace = Param(x=[1])\nscheduler = Slurm()\n"
        "scheduler_args = {'timelimit': '15m'}\ntimeout = '1h'\n"
        "def execute(x): return {'y': x}\n"
    )
    said = project.psy("run", "-n").stderr
    assert "timeout = 1 h is longer than the time limit of a job (15 min)" in said
    project.edit("'1h'", "'15m'")
    assert "timeout" not in project.psy("run", "-n").stderr
