"""What is proposed, put into the task file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fingerprints import source_of

from psyrun.errors import TaskError
from psyrun.planning.proposals import Setting, write_settings
from psyrun.tasks.loading import Task, load_task
from psyrun.tasks.rewriting import TaskSource

TASK = """\
from psyrun import Param, Slurm

pspace = Param(x=range(100))
scheduler = Slurm()
max_jobs = 50  # not all


def execute(x):
    return {"y": x}
"""
PATH = Path("psy-tasks/task_plan.py")
SETTINGS = [
    Setting("scheduler_args", "timelimit", None, "15m", ""),
    Setting("scheduler_args", "memory", None, "1.5G", ""),
    Setting("max_jobs", None, 50, 20, ""),
    Setting("min_items", None, 1, 5, ""),
    Setting("pool_size", None, 1, 1, ""),
]

Read = Callable[..., tuple[Task, TaskSource]]


@pytest.fixture
def read(tmp_path, monkeypatch) -> Read:
    """Return a task with these texts, and its file as it was read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    PATH.parent.mkdir()

    def load(text: str = TASK, conf: str | None = None) -> tuple[Task, TaskSource]:
        PATH.write_text(text)
        if conf is not None:
            PATH.with_name("psy-conf.py").write_text(conf)
        source = TaskSource.read(PATH)
        return load_task(PATH), source

    yield load
    sys.modules.pop("task_plan", None)


def test_what_is_proposed_is_what_the_task_has_then(read):
    task, source = read()
    assert write_settings(task, source, SETTINGS) == [
        "psy-tasks/task_plan.py: scheduler_args['timelimit'] = '15m', "
        "scheduler_args['memory'] = '1.5G', max_jobs = 20, min_items = 5"
    ]
    after = load_task(PATH)
    assert after.scheduler_args == {"timelimit": "15m", "memory": "1.5G"}
    assert (after.max_jobs, after.min_items, after.pool_size) == (20, 5, 1)
    assert PATH.read_text() == TASK.replace(
        "50  # not all\n",
        "20  # not all\n"
        'scheduler_args = {"timelimit": "15m", "memory": "1.5G"}\n'
        "min_items = 5\n",
    )


def test_rows_stay_valid(read, tmp_path):
    task, source = read()
    write_settings(task, source, SETTINGS)
    one, other = (
        source_of(tmp_path / name, {"psy-tasks/task_a.py": text})
        for name, text in (("a", TASK), ("b", PATH.read_text()))
    )
    assert (one.code, one.space) == (other.code, other.space)


def test_what_is_common_to_all_tasks_stays(read):
    conf = "min_items = 2\nscheduler_args = {'memory': '9G', 'account': 'lab'}\n"
    task, source = read(conf=conf)
    common = [
        Setting("min_items", None, 2, 5, ""),
        Setting("scheduler_args", "memory", "9G", "1G", ""),
    ]
    assert write_settings(task, source, common)[1:] == [
        "psy-tasks/psy-conf.py: min_items, memory stay as they are for other tasks"
    ]
    after = load_task(PATH)
    assert after.scheduler_args == {"memory": "1G", "account": "lab"}
    assert after.min_items == 5
    assert PATH.with_name("psy-conf.py").read_text() == conf


def test_a_function_of_the_name_of_a_job_is_not_replaced(read):
    text = TASK + 'scheduler_args = {"timelimit": lambda name: "1h"}\n'
    task, source = read(text)
    now = task.scheduler_args["timelimit"]
    setting = Setting("scheduler_args", "timelimit", now, "15m", "")
    with pytest.raises(TaskError, match=r"task_plan.py:10: .*'timelimit'\] is comp"):
        write_settings(task, source, [*SETTINGS, setting])
    assert PATH.read_text() == text


def test_nothing_new_is_not_written(read):
    task, source = read()
    told = write_settings(task, source, SETTINGS[-1:])
    assert told == ["psy-tasks/task_plan.py: nothing to write, all is as proposed"]
    assert PATH.read_text() == TASK
