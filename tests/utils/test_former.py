"""The names of psyrun 0.8 are there."""

from __future__ import annotations

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from psyrun import AutodetectStore, NpzStore, Param
from psyrun.utils.example import square

# As they were public in 0.8, by module; "!" marks those that warn.
NAMES = {
    "psyrun": "Param DistributeBackend LoadBalancingBackend ImmediateRun Sqsub "
    "map_pspace map_pspace_parallel map_pspace_hdd_backed !DefaultStore PickleStore "
    "__version__",
    "psyrun.backend": "DistributeBackend LoadBalancingBackend !DefaultBackend",
    "psyrun.backend.base": "Backend",
    "psyrun.backend.distribute": "DistributeBackend",
    "psyrun.backend.load_balancing": "LoadBalancingBackend",
    "psyrun.exceptions": "TaskWarning JobsRunningWarning TaskWorkdirDirtyWarning "
    "IneffectiveExcludeWarning",
    "psyrun.main": "psy_main",
    "psyrun.mapper": "map_pspace map_pspace_parallel map_pspace_hdd_backed get_result",
    "psyrun.pspace": "Param ParameterSpace missing AmbiguousOperationError "
    "!dict_concat !Sum !Product !Difference",
    "psyrun.scheduler": "Scheduler JobStatus ImmediateRun Slurm Sqsub",
    "psyrun.store": "AutodetectStore PickleStore !DefaultStore",
    "psyrun.store.base": "Store !AutodetectStore",
    "psyrun.store.h5": "H5Store",
    "psyrun.store.npz": "NpzStore",
    "psyrun.store.pickle": "PickleStore",
    "psyrun.tasks": "Config !TaskDef !PackageLoader",
    "psyrun.utils.doc": "inherit_docs",
    "psyrun.utils.example": "square",
    "psyrun.version": "version",
}
TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2])
offset = 3


def execute(x):
    return {'y': x + offset}
"""


def former(module: str, name: str) -> object:
    with pytest.warns(FutureWarning, match=rf"{module}\.{name} is from psyrun 0.8"):
        return getattr(import_module(module), name)


@pytest.mark.parametrize(
    ("module", "name"),
    [(m, name) for m, names in NAMES.items() for name in names.split()],
)
def test_names_are_where_they_were(module, name):
    if name.startswith("!"):
        assert former(module, name[1:]) is not None
    else:
        assert getattr(import_module(module), name) is not None


@pytest.mark.parametrize("module", ["psyrun", "psyrun.store", "psyrun.tasks"])
def test_other_names_are_not_there(module):
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'x'"):
        getattr(import_module(module), "x")  # noqa: B009


def test_a_warning_names_the_line_and_comes_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("for _ in range(3):\n    from psyrun import DefaultStore\n")
    found = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    )
    assert found.stderr.count("FutureWarning") == 1
    assert found.stderr.startswith(f"{script}:2: FutureWarning: psyrun.DefaultStore is")
    assert "use psyrun.store.PickleStore" in found.stderr


def test_operators_have_their_former_names():
    a, b = Param(a=[1, 2]), Param(b=[3])
    assert former("psyrun.pspace", "Product")(a, b).build() == (a * b).build()
    assert former("psyrun.pspace", "Sum")(a, a).build() == (a + a).build()
    left = former("psyrun.pspace", "Difference")(a, Param(a=[1]))
    assert left.build() == {"a": [2]}


def test_former_functions_do_what_they_did():
    concatenate = former("psyrun.pspace", "dict_concat")
    rows = [{"a": 0, "b": 0}, {"a": 1}]
    assert concatenate(rows) == {"a": [0, 1], "b": [0, None]}
    with pytest.warns(FutureWarning, match=r"get_param is .* use space\[i\]\[key\]"):
        assert Param(a=[1, 2], b=7).get_param("a", 1) == 2
    with pytest.warns(FutureWarning, match="get_concrete_store is from"):
        store = AutodetectStore.get_concrete_store("a/b.NPZ")
    assert isinstance(store, NpzStore)
    from psyrun.mapper import get_result

    with pytest.warns(FutureWarning, match="get_result is from"):
        assert get_result(square, {"x": 2}, ["x"]) == {"y": 4}


def test_docstrings_are_inherited():
    from psyrun.utils.doc import inherit_docs

    class Base:
        def method(self):
            """Do it."""

    class Derived(Base):
        def method(self):
            return 1

    with pytest.warns(FutureWarning, match="inherit_docs is from"):
        assert inherit_docs(Derived).method.__doc__ == "Do it."


def test_task_files_are_objects(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("tasks").mkdir()
    Path("tasks/task_a.py").write_text(TASK)
    Path("tasks/task_broken.py").write_text("pspace = 1\n")
    task = former("psyrun.tasks", "TaskDef")("tasks/task_a.py")
    assert (task.name, task.path, task.max_jobs) == ("a", "tasks/task_a.py", 100)
    assert task.execute(**task.pspace[0]) == {"y": task.offset + 1}
    assert not hasattr(task, "no_such_name")
    loader = former("psyrun.tasks", "PackageLoader")("tasks")
    assert [task.name for task in loader.load_task_defs()] == ["a"]
    assert "task_broken.py" in capsys.readouterr().err


def test_psy_is_a_function(tmp_path, monkeypatch, capsys):
    from psyrun.main import psy_main

    monkeypatch.chdir(tmp_path)
    Path("psy-tasks").mkdir()
    Path("psy-tasks/task_a.py").write_text(TASK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert psy_main(["list"], init_venv=False) == 0
    assert "a" in capsys.readouterr().out
