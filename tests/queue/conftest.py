from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from plans import DESIRED as SMALL

from psyrun.planning.decide import decide
from psyrun.planning.states import Current
from psyrun.queue.job import QueuedJob
from psyrun.queue.site import QueuedTask
from psyrun.steps.command import StepCommand
from psyrun.workdir.layout import TaskLayout

sys.path.append(str(Path(__file__).parents[1] / "scheduler"))

from local_queue import LocalQueue

DESIRED = replace(SMALL, task="a", taskfile="psy-tasks/task_a.py", max_jobs=4)
PLAN = decide(DESIRED, Current(), keep_going=False).plan


@pytest.fixture(autouse=True)
def in_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[LocalQueue]:
    queue = LocalQueue(tmp_path / "queue")
    yield queue
    for jobid in queue.get_jobs():
        queue.kill(jobid)


@pytest.fixture
def make_task(queue: LocalQueue) -> Callable[..., QueuedTask]:
    def make(scheduler: LocalQueue = queue, **changes: object) -> QueuedTask:
        layout = TaskLayout.of("psy-work", "a")
        return replace(QueuedTask(layout, PLAN, scheduler, {}, 0), **changes)

    return make


@pytest.fixture
def make_item() -> Callable[..., QueuedJob]:
    """Make a process job that runs a shell command of the test's."""

    def make(task: QueuedTask, block: int = 0, command: str = "") -> QueuedJob:
        round_ = task.layout.round(1)
        output = round_.block(block, ".pkl")
        output.parent.mkdir(parents=True, exist_ok=True)
        return QueuedJob(
            task=task,
            command=command or f"sleep 0.2; touch '{output}'",
            step=StepCommand("process", task.layout.folder, 1, str(block)),
            outputs=[str(output)],
            values={},
        )

    return make
