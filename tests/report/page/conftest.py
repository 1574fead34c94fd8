import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from accepting import accept_plan

from psyrun.results.load import RecordedTask, find_task
from psyrun.steps.main import run

SWEEP = """\
import numpy as np

from psyrun import Param

pspace = Param(n=[1, 2, 4]) * Param(solver=["euler", "rk4"]) * Param(seed=range(2))
max_jobs = 2
attrs = {"n": {"units": "steps"}, "error": {"long_name": "largest error", "units": "m"}}


def execute(n, solver, seed):
    if n == 4 and solver == "rk4":
        raise ValueError(f"n is {n}")
    return {"error": np.inf if n == 1 else n + seed / 8, "wave": [1, 2], "name": "a"}
"""


@pytest.fixture
def evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., RecordedTask]:
    """Write a task, and do some steps of it as its jobs do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "psy-tasks").mkdir()

    def evaluate(
        *steps: str, text: str = SWEEP, name: str = "sweep", **options: Any
    ) -> RecordedTask:
        path = Path("psy-tasks", f"task_{name}.py")
        path.write_text(text)
        task = accept_plan(path, **options)
        for step in steps:
            kind, *block = step.split()
            run([kind, str(task.layout.folder), str(task.plan.round), *block])
        task.release()
        return find_task(name, None)

    return evaluate
