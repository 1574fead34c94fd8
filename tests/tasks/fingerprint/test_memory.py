"""What is known of a task's source is found out again only if that has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from projects import COUNTED, Project

from psyrun.tasks.fingerprint import Source

TASK = """\
import importlib
from pathlib import Path
import model
import sub.part
import absent

pspace = 1


def execute(x):
    importlib.import_module("many.one")
    return model.f(x) + sub.part.g(Path("data.csv"))
"""
FILES = {
    "psy-tasks/task_a.py": TASK,
    "psy-tasks/psy-conf.py": "import settings\nmax_jobs = settings.N\n",
    "settings.py": "N = 1\n",
    "model.py": "import sys\nsys.path.append('more')\nimport extra\n"
    "def f(x): return x\n",
    "more/extra.py": "n = 1\n",
    "sub/__init__.py": "",
    "sub/part.py": "def g(x): return 1\n",
    "many/__init__.py": "import importlib\nimportlib.import_module(name)\n",
    "many/one.py": "n = 1\n",
    "data.csv": "1\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def source(project: Path, record: object = None) -> Source:
    tasks = project / "psy-tasks"
    conf = tasks / "psy-conf.py"
    conf_path = conf if conf.exists() else None
    return Source(tasks / "task_a.py", conf_path, ["data.csv"], project, None, record)


def facts(found: Source) -> list[Any]:
    return [
        found.fingerprint,
        found.former_fingerprint,
        found.parts,
        found.file_names,
        found.judged,
    ]


def record_of(project: Path) -> Any:
    # As it is in a file.
    return json.loads(json.dumps(source(project).record()))


def test_what_is_known_is_taken_from_the_record(project: Path) -> None:
    known = source(project, record_of(project))
    assert known.record() is None
    assert facts(known) == facts(source(project))
    # Asked for seldom, that was not in it.
    assert source(project, known.record()).record() is None


def test_what_a_record_lacks_is_added(project: Path) -> None:
    record = record_of(project)
    del record["facts"]["judged"]
    added = source(project, record).record()
    assert added is not None
    assert source(project, added).record() is None
    (project / "many/two.py").write_text("n = 2\n")
    assert source(project, added).record() is not None


def _replace_model(project: Path) -> None:
    (project / "model.py").unlink()
    (project / "model").mkdir()
    (project / "model/__init__.py").write_text(FILES["model.py"])


CHANGES: dict[str, Callable[[Path], object]] = {
    "task file": lambda p: (p / "psy-tasks/task_a.py").write_text(TASK + "pspace = 2"),
    "psy-conf": lambda p: (p / "psy-tasks/psy-conf.py").write_text("pspace = 2\n"),
    "module": lambda p: (p / "model.py").write_text("def f(x): return -x\n"),
    "module of a module": lambda p: (p / "more/extra.py").write_text("n = 2\n"),
    "module of a package": lambda p: (p / "sub/part.py").write_text("def g(x): 2\n"),
    "module that was absent": lambda p: (p / "absent.py").write_text("n = 1\n"),
    "absent in another folder": lambda p: (p / "more/absent.py").write_text("n = 1\n"),
    "namespace that was absent": lambda p: (p / "absent").mkdir(),
    "module before another": lambda p: (p / "psy-tasks/model.py").write_text("f = 1\n"),
    "compiled before another": lambda p: (p / "model.abi3.so").write_text("1"),
    "package instead of a module": _replace_model,
    "module went away": lambda p: (p / "more/extra.py").unlink(),
    "package went away": lambda p: shutil.rmtree(p / "sub"),
    "one more of a package": lambda p: (p / "many/two.py").write_text("n = 1\n"),
    "file_dep": lambda p: (p / "data.csv").write_text("2\n"),
    "settings": lambda p: (p / "settings.py").write_text("N = 2\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_all_is_as_without_a_record(project: Path, change: str) -> None:
    record, before = record_of(project), facts(source(project))
    CHANGES[change](project)
    now = facts(source(project))
    assert facts(source(project, record)) == now
    unchanged = {
        "settings",
        "namespace that was absent",
        "package instead of a module",
    }
    assert (now[0] == before[0]) == (change in unchanged)


@pytest.mark.parametrize("change", ["touched", "unrelated"])
def test_other_changes_leave_what_is_known(project: Path, change: str) -> None:
    record = record_of(project)
    name = "model.py" if change == "touched" else "notes.py"
    (project / name).write_text(FILES.get(name, ""))
    assert source(project, record).record() is None


def test_a_record_is_of_one_project_only(project: Path, tmp_path: Path) -> None:
    record = record_of(project)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    assert source(copy, record).record() is not None


DAMAGED = [None, 1, [], {}, {"key": 1}, "text", {"key": [], "files": 3, "facts": []}]


@pytest.mark.parametrize("damage", DAMAGED, ids=repr)
def test_a_damaged_record_is_not_used(project: Path, damage: object) -> None:
    assert facts(source(project, damage)) == facts(source(project))
    record = record_of(project)
    for key in ("files", "facts"):
        assert facts(source(project, record | {key: damage})) == facts(source(project))


def test_jobs_and_status_use_what_a_run_found_out(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "model.py").write_text("def f(x): return x\n")
    project.write("import model\n" + COUNTED)
    project.psy("run")
    known = project.work() / "source.json"
    before = known.stat()
    project.psy("run")
    assert " done " in project.psy("status").stdout
    assert known.stat().st_ino == before.st_ino
    known.write_text("{")
    assert " done " in project.psy("status").stdout
    project.edit("x**2", "x**3")
    project.psy("run")
    assert json.loads(known.read_text())["facts"]
    project.psy("clean", "a")
    assert not known.exists()
