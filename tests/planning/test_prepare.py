"""A task in a run, from its lock to its accepted plan."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from projects import Project

from psyrun.errors import LostLockError
from psyrun.planning.prepare import PlanOptions, TaskRun, load_tasks
from psyrun.workdir.holder import Holder

ELSEWHERE = json.dumps(asdict(Holder("elsewhere", 1, "1", 0.0, token="theirs")))


@pytest.fixture
def task(project: Project, monkeypatch: pytest.MonkeyPatch) -> TaskRun:
    monkeypatch.chdir(project.folder)
    (task,) = load_tasks([Path("psy-tasks/task_a.py")], PlanOptions())
    task.acquire()
    return task


def contents(folder: Path) -> dict[str, bytes]:
    found = (Path(at, name) for at, _, names in os.walk(folder) for name in names)
    return {str(path): path.read_bytes() for path in found}


def test_a_run_that_is_suspended_while_it_plans_leaves_what_another_accepted(
    task: TaskRun,
) -> None:
    task.decide(print)
    task.layout.state.write_text("the plan of the other run")
    task.layout.lock.write_text(ELSEWHERE)
    before = contents(task.layout.folder)
    with pytest.raises(LostLockError):
        task.accept()
    with pytest.raises(LostLockError):
        task.decide(print)
    task.release()
    assert contents(task.layout.folder) == before
