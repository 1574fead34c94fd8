import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accepting import accept_plan
from browser import Browser

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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = Browser()
    yield found
    found.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """Nothing is written to the console, and nothing asked for but the page."""
    chromium.size(1200, 900)
    chromium.prefer("light")
    chromium.messages(), chromium.requests()
    yield chromium
    assert chromium.messages() == []
    others = [each for each in chromium.requests() if not each.startswith("data:")]
    assert {each.partition(":")[0] for each in others} <= {"file", "about"}
    assert {Path(each.partition("#")[0]).suffix for each in others} <= {".html", ""}
