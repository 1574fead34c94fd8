"""What changed between versions of a task, by function and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from psyrun.tasks.changes import (
    Change,
    changes_since,
    clause,
    forget_versions,
    of_code,
    of_space,
    record_accepted,
    told,
)
from psyrun.tasks.loaded_code import LoadedFile
from psyrun.tasks.version import Version, version_of_file

TASK = """\
import numpy as np
from model import rhs, grid
from psyrun import Param

N = 3
pspace = Param(x=grid(N))
pspace = pspace * Param(trial=[0, 1])


def scale(x):
    return 2 * x


def execute(x, trial):
    return {"y": scale(rhs(x))}
"""
MODEL = """\
import numpy as np


def rhs(x):
    return x


class Unused:
    pass


def grid(n):
    return range(n)
"""


@dataclass(frozen=True)
class Folder:
    """A project of one task."""

    path: Path

    @property
    def versions(self) -> Path:
        return self.path / "psy-work/a/versions"

    @property
    def record(self) -> Path:
        return self.path / "psy-work/a/version.json"

    def version(self) -> Version:
        return version_of_file(
            self.path / "psy-tasks/task_a.py",
            None,
            ["data.csv"],
            self.path / "psy-work/a/source.json",
            self.path / "psy-work/a/loaded",
            digests=None,
        )

    def accept(self) -> Version:
        version = self.version()
        record_accepted(version, version.aliases[0], self.versions, self.record)
        return version

    def since(self, fingerprint: str) -> tuple[Change, ...]:
        return changes_since(self.version(), fingerprint, self.versions, self.record)

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def edit_task(self, old: str, new: str) -> None:
        self.edit("psy-tasks/task_a.py", old, new)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "psy-tasks").mkdir()
    (tmp_path / "psy-tasks/task_a.py").write_text(TASK)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "data.csv").write_text("1\n")
    return Folder(tmp_path)


EDITS: dict[str, tuple[str, str, str, str]] = {
    "nothing": ("task", "import numpy", "# why\nimport numpy", ""),
    "execute": ("task", "rhs(x)", "-rhs(x)", "execute (task_a.py:14)"),
    "helper": ("task", "2 * x", "3 * x", "scale (task_a.py:10)"),
    "space": ("task", "[0, 1]", "[0, 1, 2]", "pspace (task_a.py:7)"),
    "start of the space": ("task", "x=grid", "x =2*grid", "pspace (task_a.py:6)"),
    "constant of the space": ("task", "N = 3", "N = 4", "N (task_a.py:5)"),
    "removed statement": (
        "task",
        "pspace = pspace * Param(trial=[0, 1])\n",
        "",
        "pspace (task_a.py:6)",
    ),
    "module": ("model", "return x", "return -x", "rhs (model.py:4)"),
    "module, for the space": ("model", "(n)\n", "(-n)\n", "grid (model.py:12)"),
    "unused in a module": ("model", "pass", "n = 1", ""),
    "file_dep": ("data", "1", "2", "data.csv"),
    "seed": (
        "task",
        "N = 3",
        "np.random.seed(1)\nN = 3",
        "np.random.seed (task_a.py:5)",
    ),
    "after more lines": (
        "task",
        'def execute(x, trial):\n    return {"y": scale',
        '\n\n# More.\ndef execute(x, trial):\n    return {"z": scale',
        "execute (task_a.py:17)",
    ),
    "condition": (
        "task",
        "pspace = Param(x=grid(N))",
        "if N:\n    pspace = Param(x=grid(N))",
        "pspace (task_a.py:7)",
    ),
}
FILES = {"task": "psy-tasks/task_a.py", "model": "model.py", "data": "data.csv"}


@pytest.mark.parametrize("edit", EDITS)
def test_what_changed_is_named(folder, edit):
    before = folder.accept().aliases[0]
    name, old, new, expected = EDITS[edit]
    folder.edit(FILES[name], old, new)
    assert told(folder.since(before)) == expected


def test_of_a_removed_function_the_file_is_named(folder):
    before = folder.accept().aliases[0]
    folder.edit_task("def scale(x):\n    return 2 * x\n", "")
    folder.edit_task("scale(", "abs(")
    changes = folder.since(before)
    assert told(changes) == "execute (task_a.py:12), scale (task_a.py, removed)"
    assert changes[1].clause == "scale was removed (task_a.py)"


def test_the_code_and_the_space_are_told_apart(folder):
    version = folder.accept()
    folder.edit_task("N = 3", "N = 4")
    folder.edit("model.py", "return x", "return -x")
    folder.edit("data.csv", "1", "2")
    changes = folder.since(version.aliases[0])
    assert [change.name for change in of_space(changes)] == ["N"]
    assert [str(change) for change in of_code(changes)] == [
        "data.csv",
        "rhs (model.py:4)",
    ]
    assert told(folder.since(version.code_text)) == "data.csv, rhs (model.py:4)"
    assert told(folder.since(version.space_text)) == "data.csv, N (task_a.py:5)"


def test_what_both_use_is_named_once(folder):
    folder.edit_task("grid(N)", "grid(rhs(N))")
    before = folder.accept().aliases[0]
    folder.edit("model.py", "return x", "return -x")
    assert [change.kind for change in folder.since(before)] == ["code"]


def test_each_version_is_known(folder):
    versions = [folder.accept().aliases[0]]
    folder.edit_task("2 * x", "3 * x")
    versions.append(folder.accept().aliases[0])
    folder.edit_task("rhs(x)", "-rhs(x)")
    versions.append(folder.accept().aliases[0])
    execute, scale = "execute (task_a.py:14)", "scale (task_a.py:10)"
    assert [told(folder.since(each)) for each in versions] == [
        f"{execute}, {scale}",
        execute,
        "",
    ]
    folder.edit_task("-rhs(x)", "rhs(x)")
    folder.edit_task("3 * x", "2 * x")
    assert told(folder.since(versions[2])) == f"{execute}, {scale}"
    assert folder.since(versions[0]) == ()


def test_few_of_many_changes_are_shown(folder):
    helpers = "".join(f"def f{i}(x): return x\n" for i in range(9))
    folder.edit_task("def scale", f"{helpers}def scale")
    folder.edit_task("2 * x", " + ".join(f"f{i}(x)" for i in range(9)))
    before = folder.accept().aliases[0]
    folder.edit_task("(x): return x", "(x): return -x")
    changes = folder.since(before)
    assert clause(changes) == (
        "f0 (task_a.py:10), f1 (task_a.py:11), f2 (task_a.py:12) and 6 more changed"
    )
    assert clause(changes[:1]) == "f0 changed (task_a.py:10)"
    assert clause(()) == ""


def test_the_order_of_definitions_is_of_a_file(folder):
    folder.edit_task("def scale", "def scale(x): return 1\ndef scale")
    before = folder.accept().aliases[0]
    folder.edit_task("def scale(x): return 1\n", "")
    folder.edit_task("\n\ndef execute", "\ndef scale(x): return 1\n\ndef execute")
    assert told(folder.since(before)) == "scale (task_a.py:13)"
    one, other = (
        "import numpy as np\nn = 1\nm = 2\n",
        "import numpy as np\nm = 2\nn = 1\n",
    )
    folder.edit("model.py", "import numpy as np\n", one)
    folder.edit("model.py", "return x", "return x + n + m")
    before = folder.accept().aliases[0]
    folder.edit("model.py", one, other)
    assert told(folder.since(before)) == "model.py"


def test_a_file_that_jobs_loaded_is_named(folder):
    lib = folder.path / "lib.py"
    lib.write_text("n = 1\n")
    version = folder.accept()
    code = version.source.code
    form = "0" * 64
    LoadedFile(code, "lib.py", True, form, form).save(folder.path / "psy-work/a/loaded")
    assert told(folder.since(version.aliases[0])) == "lib.py"
    assert told(folder.since("unknown")) == "lib.py"
    changed = folder.accept().aliases[0]
    assert folder.since(changed) == ()
    lib.write_text("n = 2\n")
    assert told(folder.since(changed)) == "lib.py"


def test_a_module_that_is_no_python_is_a_file(folder):
    folder.edit("model.py", "return x", "return x x")
    before = folder.accept().aliases[0]
    folder.edit("model.py", "x x", "x  x")
    assert told(folder.since(before)) == "model.py"


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "list": lambda path: path.write_text("[]"),
    "other entries": lambda path: path.write_text('{"definitions": 1}'),
    "of a newer psyrun": lambda path: path.write_text(
        json.dumps(json.loads(path.read_text()) | {"format": 2})
    ),
    "of another": lambda path: path.write_text(
        json.dumps(json.loads(path.read_text()) | {"fingerprint": "other"})
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_made_anew(folder, damage):
    before = folder.accept()
    for path in folder.versions.iterdir():
        DAMAGES[damage](path)
    folder.edit_task("2 * x", "3 * x")
    assert folder.since(before.aliases[0]) == ()
    folder.edit_task("3 * x", "2 * x")
    folder.accept()
    folder.edit_task("2 * x", "3 * x")
    assert told(folder.since(before.aliases[0])) == "scale (task_a.py:10)"


def test_records_stay_as_they_are(folder):
    folder.accept()
    paths = [folder.record, *folder.versions.iterdir()]
    inodes = [path.stat().st_ino for path in paths]
    folder.accept()
    assert [path.stat().st_ino for path in paths] == inodes


def test_records_that_nobody_needs_are_removed(folder):
    first = folder.accept()
    folder.edit_task("2 * x", "3 * x")
    second = folder.accept()
    forget_versions(folder.versions, {first.aliases[0]})
    folder.edit_task("3 * x", "4 * x")
    assert told(folder.since(first.aliases[0])) == "scale (task_a.py:10)"
    assert folder.since(second.aliases[0]) == ()
    forget_versions(folder.versions, ())
    assert list(folder.versions.iterdir()) == []


def test_files_that_an_earlier_psyrun_recorded_are_named(folder):
    version = folder.version()
    folder.record.parent.mkdir(parents=True)
    parts = version.source.parts
    former = {
        "fingerprint": version.aliases[0],
        "parts": parts,
        "unlisted": ["notes.txt"],
    }
    folder.record.write_text(json.dumps(former))
    folder.edit("model.py", "return x", "return -x")
    assert told(folder.since(version.aliases[0])) == "model.py"
    other = folder.version()
    listed = ["notes.txt", "more.txt"]
    folders = folder.versions, folder.record
    assert record_accepted(other, other.aliases[0], *folders, listed) == ["more.txt"]
    assert told(folder.since(version.aliases[0])) == "model.py"
    assert record_accepted(other, other.aliases[0], *folders, listed) == []


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ("seed=1", "seed=1", []),
        ("seed=1", "seed=2", ["seed of replicates: 1 -> 2"]),
        (
            "seed=1, common=True",
            "seed=2, common=True",
            ["seed of replicates: 1 -> 2"],
        ),
        (
            "seed=1",
            "seed=1, common=True",
            ["replicates: seed=1 -> seed=1, common=True"],
        ),
        ("", "seed=1", ["replicates: none -> seed=1"]),
        ("seed=1", "", ["replicates: seed=1 -> none"]),
    ],
)
def test_another_seed_of_replicates_is_told_of(
    folder: Folder, then: str, now: str, told: list[str]
) -> None:
    before = replace(folder.version(), seeding=then)
    record_accepted(before, before.code_text, folder.versions, folder.record)
    version = replace(folder.version(), seeding=now)
    found = changes_since(version, before.code_text, folder.versions, folder.record)
    assert [str(each) for each in found] == [each.clause for each in found] == told
    assert (version.code_text == before.code_text) == (not told)
    assert (version.space_text == before.space_text) == (not told)
    assert version.code_without_seeding == before.code_without_seeding
