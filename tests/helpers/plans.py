"""What a task may want, and a plan, for tests that plan without a task file."""

from __future__ import annotations

from psyrun.backend import DistributeBackend
from psyrun.planning.states import Desired
from psyrun.workdir.plan import Plan

DESIRED = Desired(
    task="square",
    taskfile="psy-tasks/task_square.py",
    workdir="psy-work",
    fingerprint="code",
    space_source="space",
    n_items=10,
    backend=DistributeBackend(),
    max_jobs=2,
    min_items=1,
    pool_size=1,
    accept_failures=False,
    max_failures=None,
    ext=".pkl",
    resultfile="result.pkl",
    python="python3",
    token="fresh",
)

PLAN = Plan(
    task="a",
    taskfile="task_a.py",
    workdir="psy-work",
    fingerprint="code",
    pool_size=1,
    accept_failures=False,
    max_failures=None,
    resultfile="result.pkl",
    python="python3",
    round=1,
    division="",
    fetches=False,
    n_blocks=2,
    block_ext=".pkl",
    result_ext=".pkl",
)
