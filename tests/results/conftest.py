"""Tasks that are done step by step, as their jobs do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HELPERS = Path(__file__).parents[1] / "helpers"

# In a process of its own: libraries of results start threads, so that workers could not
# be forked.
PROGRAM = """\
import json, sys
from pathlib import Path

helpers, wanted = sys.argv[1:]
sys.path.insert(0, helpers)
from accepting import accept_plan, finish_accepting_failures
from psyrun.steps.main import run

wanted = json.loads(wanted)
path = Path("psy-tasks/task_a.py")
if wanted["accept"]:
    finish_accepting_failures("a")
else:
    task = accept_plan(path, keep_going=wanted["keep_going"])
    where = [str(task.layout.folder), str(task.plan.round)]
    blocks = range(task.plan.n_blocks)
    every = ["split", *(f"process {block}" for block in blocks), "merge"]
    for step in wanted["steps"] or every:
        kind, *block = step.split()
        status = run([kind, *where, *block])
        assert wanted["steps"] or status == 0
    task.release()
"""


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the file of the task 'a' and do some of its steps, by default all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "task_a", raising=False)
    Path("psy-tasks").mkdir()

    def done(
        text: str, *steps: str, accept: bool = False, keep_going: bool = False
    ) -> None:
        Path("psy-tasks/task_a.py").write_text(text)
        wanted = {"steps": steps, "accept": accept, "keep_going": keep_going}
        command = [sys.executable, "-c", PROGRAM, str(HELPERS), json.dumps(wanted)]
        ended = subprocess.run(command, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        sys.modules.pop("task_a", None)

    return done
