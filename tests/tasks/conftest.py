"""Task files to load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from psyrun.tasks.loading import Task, load_task

TASK = """\
from psyrun import Param
pspace = Param(x=[1, 2])
def execute(x):
    return {'y': x}
"""

Load = Callable[..., Task]


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Change to a project folder; imports of task files are undone."""
    (tmp_path / "psy-tasks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(("task_", "psy-conf", "own_")):
            del sys.modules[name]


@pytest.fixture
def load(project) -> Load:
    """Write a task file, and perhaps psy-conf.py, and load it."""

    def write_and_load(text: str, conf: str | None = None, **overrides) -> Task:
        Path("psy-tasks/task_a.py").write_text(text)
        if conf is not None:
            Path("psy-tasks/psy-conf.py").write_text(conf)
        return load_task(Path("psy-tasks/task_a.py"), overrides)

    return write_and_load


@pytest.fixture
def load_with(load) -> Load:
    """Load a task file that has a space and a function and some more lines."""
    return lambda text="", conf=None, **overrides: load(TASK + text, conf, **overrides)
