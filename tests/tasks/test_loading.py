"""Task files as modules."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from string import Template

import pytest

from psyrun.errors import TaskError
from psyrun.tasks.loading import load_task

WRONG = {
    "x = 1\ndef f(:\n": ":2: invalid syntax. Correct",
    "x = 'a": ":1: unterminated string literal",
    "x = 1\nraise ValueError('no\\ngood')": ":2: ValueError: no good while",
    "\n\nraise KeyError": ":3: KeyError while",
    "import sys\nsys.exit(3)": ":2: SystemExit: 3 while",
    "import own_nothing": ":1: ModuleNotFoundError: No module named 'own",
    "def f():\n    1 / 0\nf()": ":2: ZeroDivisionError: division by zero",
    "import json\n\njson.loads('')": ":3: JSONDecodeError: Expecting value",
    "from psyrun import Param\nParam(a=[1], b=[1, 2])": ":2: ",
    "raise BaseException('x' * 999)": f":1: BaseException: {'x' * 200}…",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_does_not_run_gets_one_line(load, text, monkeypatch):
    monkeypatch.delitem(sys.modules, "task_a", raising=False)  # of other tests
    with pytest.raises(TaskError) as caught:
        load(text)
    message = str(caught.value).replace(" raised ", " ")
    assert message.startswith(f"psy-tasks/task_a.py{WRONG[text]}")
    assert "\n" not in message
    assert "task_a" not in sys.modules


def test_the_original_error_is_the_cause(load):
    with pytest.raises(TaskError) as caught:
        load("raise ValueError('no')")
    assert isinstance(caught.value.__cause__, ValueError)


def test_interruption_is_not_an_error_of_the_file(load):
    with pytest.raises(KeyboardInterrupt):
        load("import os, signal; os.kill(os.getpid(), signal.SIGINT)")


def test_a_file_with_null_bytes_is_refused(project):
    path = Path("psy-tasks/task_a.py")
    path.write_bytes(b"x = 1\0")
    with pytest.raises(TaskError, match=r"^psy-tasks/task_a.py:"):
        load_task(path)


def test_a_missing_file_is_named(project):
    with pytest.raises(
        TaskError, match=r"^psy-tasks/task_b.py: cannot be read: No such"
    ):
        load_task(Path("psy-tasks/task_b.py"))


def test_an_error_in_the_common_file_names_it(load_with):
    with pytest.raises(TaskError, match=r"^psy-tasks/psy-conf.py:1: raised NameError"):
        load_with(conf="x")


def test_names_of_the_common_file_are_not_seen(load_with):
    with pytest.raises(TaskError, match=r"task_a.py:5: raised NameError"):
        load_with("own", conf="own = 1")


def test_a_file_can_import_what_is_beside_it_and_in_the_project(load_with):
    Path("psy-tasks/own_beside.py").write_text("n = 1")
    Path("own_project.py").write_text("n = 2")
    importlib.invalidate_caches()
    task = load_with("import own_beside, own_project\n")
    assert (task.module.own_beside.n, task.module.own_project.n) == (1, 2)


def test_loading_again_leaves_the_path_alone(load_with):
    load_with()
    before = list(sys.path)
    assert before[:2] == [str(Path("psy-tasks").absolute()), str(Path.cwd())]
    load_with()
    assert sys.path == before


def test_loading_again_runs_the_new_file(load_with):
    first = load_with("n = 1")
    second = load_with("n = 2")
    assert (first.module.n, second.module.n) == (1, 2)
    assert sys.modules["task_a"] is second.module


def test_a_file_knows_where_it_is(load_with):
    task = load_with("here = __file__")
    assert task.module.here == str(Path("psy-tasks/task_a.py").absolute())


def test_no_compiled_copy_is_left(load_with):
    load_with()
    assert sorted(path.name for path in Path("psy-tasks").iterdir()) == ["task_a.py"]


PICKLED = """\
from dataclasses import dataclass
@dataclass
class Point:
    n: int
def execute(x): return {'y': Point(x)}
"""
UNPICKLE = """\
import pickle, sys
from pathlib import Path
from psyrun.tasks.loading import load_task
load_task(Path('psy-tasks/task_a-1.b.py'))
print(pickle.load(sys.stdin.buffer))
"""


def test_objects_of_a_task_pickle_and_load_again_elsewhere(load_with, project):
    task = load_with(PICKLED)
    path = task.path.rename("psy-tasks/task_a-1.b.py")
    pickled = pickle.dumps(load_task(path).execute(3))
    command = [sys.executable, "-c", UNPICKLE]
    printed = subprocess.run(command, input=pickled, capture_output=True, check=True)
    assert printed.stdout == b"{'y': Point(n=3)}\n"


def test_the_space_need_not_be_worked_out(load_with):
    path = load_with().path
    path.write_text(path.read_text() + "pspace = Param(x=[])")
    assert len(load_task(path, with_space=False).pspace) == 0


def test_tasks_are_known_without_numpy():
    code = "import sys, psyrun.tasks.loading, psyrun.tasks.fingerprint\n"
    code += "print('numpy' in sys.modules)"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("ImmediateRun", {}), ("Slurm", {"timelimit": "0-01:00", "memory": "1G"})],
)
def test_the_template_loads_when_filled_in(load, name, arguments):
    path = Path(__file__).parents[2] / "workflow/task.py.template"
    filled = Template(path.read_text()).substitute(
        name="a",
        scheduler_import=f"from psyrun import {name}",
        scheduler=name,
        scheduler_args=repr(arguments),
    )
    task = load(filled)
    assert type(task.scheduler).__name__ == name
    assert task.execute(**task.pspace[0]) == {"y": 1}


def test_arguments_of_the_common_file_are_joined_with_those_of_the_task(load_with):
    conf = "scheduler_args = {'account': 'lab', 'timelimit': '1h'}"
    task = load_with(
        "from psyrun import Slurm\nscheduler = Slurm()\n"
        "scheduler_args = {'timelimit': '2h', 'memory': '1G'}",
        conf=conf,
    )
    assert task.scheduler_args == {"account": "lab", "timelimit": "2h", "memory": "1G"}


def test_arguments_of_the_task_win_by_whatever_name(load_with):
    conf = "scheduler = 'Slurm'\nscheduler_args = {'time': 5, 'memory': '1G'}"
    own = "scheduler_args = {'timelimit': '2h', 'memory_per_cpu': '2G'}"
    task = load_with(own, conf=conf)
    assert task.scheduler_args == {"timelimit": "2h", "memory_per_cpu": "2G"}


def test_arguments_can_be_joined_for_a_scheduler_that_is_set_later(load_with):
    conf = "scheduler_args = {'time': 5}"
    task = load_with("scheduler_args = {'timelimit': '2h'}", conf=conf)
    assert task.argument_sources == ({"time": 5}, {"timelimit": "2h"})


def test_arguments_of_the_command_line_replace_all_others(load_with):
    task = load_with("scheduler_args = {'a': 1}", scheduler_args={"b": 2})
    assert task.scheduler_args == {"b": 2}
    assert task.argument_sources == ({"b": 2},)


def test_wrong_arguments_are_told_of_the_file_that_has_them(load_with):
    with pytest.raises(TaskError, match=r"psy-conf\.py: scheduler_args is \['1h'\]"):
        load_with("scheduler_args = {}", conf="scheduler_args = ['1h']")
