"""Which split and merge need no job of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from psyrun import Param
from psyrun.queue.placement import (
    MOST_ASSIGNMENTS,
    MOST_BLOCKS,
    MOST_BYTES,
    MOST_MEMORY,
    MOST_SECONDS,
    ImportCost,
    is_local,
)
from psyrun.queue.site import QueuedTask
from psyrun.steps.command import StepCommand
from psyrun.utils.environment import JOB_VARIABLE
from psyrun.workdir.division import Division

MakeTask = Callable[..., QueuedTask]
LIGHT = ImportCost(0.5, 10 << 20)


@pytest.fixture
def small(make_task: MakeTask) -> QueuedTask:
    """A task whose split and merge are small."""
    task = make_task(import_cost=LIGHT)
    task = replace(task, plan=replace(task.plan, n_items=4))
    divide(task)
    return task


def divide(task: QueuedTask, n_items: int = 4, n_blocks: int = 4) -> None:
    round_ = task.layout.round(1)
    Division(Param(x=range(n_items)), n_blocks).save(round_, task.plan)
    for folder in (round_.blocks, round_.journals):
        folder.mkdir(exist_ok=True)


def placed(task: QueuedTask) -> tuple[bool, bool]:
    """Return whether split and merge are done where the run is."""
    steps = (StepCommand(s, task.layout.folder, 1) for s in ("split", "merge"))
    split, merge = (is_local(task, step) for step in steps)
    return split, merge


def make_file(path: Path, size: int) -> None:
    """Make a file that takes no space on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def test_process_jobs_are_jobs_whatever_is_asked_for(small: QueuedTask) -> None:
    step = StepCommand("process", small.layout.folder, 1, "0")
    assert not is_local(replace(small, split_and_merge="local"), step)


def test_what_is_small_is_done_at_once(small: QueuedTask) -> None:
    assert placed(small) == (True, True)


def test_jobs_can_be_forced_and_forbidden(small: QueuedTask) -> None:
    assert placed(replace(small, split_and_merge="queue")) == (False, False)
    huge = replace(small, import_cost=ImportCost(), split_and_merge="local")
    assert placed(huge) == (True, True)


@pytest.mark.parametrize(
    "cost",
    [
        ImportCost(),
        ImportCost(MOST_SECONDS + 1, 0),
        ImportCost(0.1, MOST_MEMORY + 1),
    ],
)
def test_a_task_that_is_slow_or_large_to_import_gets_jobs(
    small: QueuedTask, cost: ImportCost
) -> None:
    assert placed(replace(small, import_cost=cost)) == (False, False)


def test_the_cost_of_an_import_is_measured() -> None:
    cost = ImportCost()
    with cost.measured():
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert 0.1 <= cost.seconds < MOST_SECONDS
    assert cost.is_small


@pytest.mark.parametrize("n_items", [None, MOST_ASSIGNMENTS + 1])
def test_a_large_space_or_one_of_unknown_size_is_split_in_a_job(
    small: QueuedTask, n_items: int | None
) -> None:
    plan = replace(small.plan, n_items=n_items)
    assert placed(replace(small, plan=plan)) == (False, True)


def test_rows_that_a_split_takes_over_count(small: QueuedTask) -> None:
    plan = replace(small.plan, keep="round", keep_rounds=(1,))
    task = replace(small, plan=plan)
    assert placed(task) == (True, True)
    make_file(small.layout.round(1).journal(0, 0), MOST_BYTES + 1)
    assert placed(task)[0] is False


def test_a_result_that_a_split_takes_over_counts(small: QueuedTask) -> None:
    plan = replace(small.plan, keep="result", resultfile="result.pkl")
    task = replace(small, plan=plan)
    assert placed(task)[0] is True
    make_file(Path("result.pkl"), MOST_BYTES + 1)
    assert placed(task) == (False, True)


@pytest.mark.parametrize(
    ("n_items", "n_blocks"), [(MOST_ASSIGNMENTS + 1, 4), (2000, MOST_BLOCKS + 1)]
)
def test_many_rows_or_blocks_are_merged_in_a_job(
    small: QueuedTask, n_items: int, n_blocks: int
) -> None:
    divide(small, n_items, n_blocks)
    assert placed(small) == (True, False)


def test_large_blocks_are_merged_in_a_job(small: QueuedTask) -> None:
    for block in range(3):
        make_file(small.layout.round(1).block(block, ".pkl"), MOST_BYTES // 3)
    assert placed(small) == (True, False)


def test_a_controller_in_a_job_has_less_memory_for_it(
    small: QueuedTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = replace(small, import_cost=ImportCost(0.1, MOST_MEMORY // 2))
    assert placed(large) == (True, True)
    monkeypatch.setenv(JOB_VARIABLE, "key:0")
    assert placed(large) == (False, False)
    make_file(small.layout.round(1).block(0, ".pkl"), MOST_BYTES // 2)
    assert placed(small) == (True, False)


def test_another_python_may_be_on_the_nodes_only(small: QueuedTask) -> None:
    plan = replace(small.plan, python="/opt/nodes/bin/python")
    assert placed(replace(small, plan=plan)) == (False, False)


def test_arguments_of_its_own_give_a_step_a_job(small: QueuedTask) -> None:
    def nice(job: str) -> int:
        return 8 if job.endswith(":merge") else 1

    task = replace(small, scheduler_args={"nice": nice})
    assert placed(task) == (True, False)
    same = replace(small, scheduler_args={"nice": lambda job: 3})
    assert placed(same) == (True, True)
