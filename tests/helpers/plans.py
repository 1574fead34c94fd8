"""What a task may want, for tests that plan without a task file."""

from __future__ import annotations

from psyrun.backend import DistributeBackend
from psyrun.planning.states import Desired

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
