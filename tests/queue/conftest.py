from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from psyrun.backend import DistributeBackend
from psyrun.planning.decide import Current, Desired, decide
from psyrun.queue.job import QueuedJob
from psyrun.queue.site import QueuedTask
from psyrun.steps.command import StepCommand
from psyrun.workdir.layout import TaskLayout

sys.path.append(str(Path(__file__).parents[1] / "scheduler"))

from local_queue import LocalQueue

DESIRED = Desired(
    task="a",
    taskfile="psy-tasks/task_a.py",
    workdir="psy-work",
    fingerprint="code",
    n_items=10,
    backend=DistributeBackend(),
    max_jobs=4,
    min_items=1,
    pool_size=1,
    accept_failures=False,
    max_failures=None,
    ext=".pkl",
    resultfile="result.pkl",
    python="python3",
    token="fresh",
)
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
