"""Modules and files that a fingerprint depends on."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fingerprints import BASE, cases, of_project

from psyrun.errors import TaskError
from psyrun.tasks.fingerprint import contents, fingerprint


@cases("modules_counted")
def test_own_modules_count(of, case):
    assert differs_with_module(of, case)


@cases("modules_not_counted")
def test_other_modules_do_not_count(of, case):
    assert not differs_with_module(of, case)


def differs_with_module(of, case) -> bool:
    text, name = case.split("@: ")
    task = f"{text}def execute(x): return help, f, pack, importlib, sys\n"
    return of(task, **{name: "f = 1"}) != of(task, **{name: "f = 2"})


@cases("module_parts")
def test_of_modules_the_parts_in_use_count(of, case, request):
    task, *modules = case.split("\n---\n")
    names = ("help.py", "deep.py")
    files = [
        {
            name: f"{text.replace(' @', f' {value}').replace('(@)', f'({value})')}\n"
            for name, text in zip(names, modules, strict=False)
        }
        for value in "12"
    ]
    assert files[0] != files[1]
    differs = of(task, **files[0]) != of(task, **files[1])
    assert differs == request.node.name.endswith("| yes]")


PACKAGE = {
    "pack/__init__.py": "from .solve import solve\nfrom . import other\n",
    "pack/solve.py": "def solve(x):\n    return x\n\n\ndef unused(x):\n    return 1\n",
    "pack/other.py": "def g(x):\n    return x\n\n\ndef unused(x):\n    return 1\n",
}
USES = {
    "name of a package": "from pack import solve\ndef execute(x): return solve(x)",
    "by its module": "from pack.solve import solve\ndef execute(x): return solve(x)",
    "all the way": "import pack\ndef execute(x): return pack.other.g(x)",
    "submodule": "from pack import other\ndef execute(x): return other.g(x)",
    "submodule by dots": "import pack.other\ndef execute(x): return pack.other.g(x)",
    "submodule as": "import pack.other as o\ndef execute(x): return o.g(x)",
}


@pytest.mark.parametrize("task", USES.values(), ids=USES)
def test_of_packages_the_parts_in_use_count(of, task):
    plain = of(task, **PACKAGE)
    for name in ("pack/solve.py", "pack/other.py"):
        unused = PACKAGE[name].replace("return 1", "return 2")
        assert of(task, **PACKAGE | {name: unused}) == plain
    used = "pack/solve.py" if "solve" in task else "pack/other.py"
    changed = PACKAGE[used].replace("return x", "return -x")
    assert of(task, **PACKAGE | {used: changed}) != plain


CHAIN = {
    "module of a module": {"help.py": "import deep", "deep.py": "n = @"},
    "circle": {"help.py": "import deep", "deep.py": "import help\nn = @"},
    "relative": {"help/__init__.py": "from . import deep", "help/deep.py": "n = @"},
    "relative name": {
        "help/__init__.py": "from .deep import n",
        "help/deep.py": "n = @",
    },
    "relative, two levels": {
        "help/__init__.py": "from .sub import deep",
        "help/sub/__init__.py": "from ..other import n",
        "help/other.py": "n = @",
    },
    "by a name made up": {
        "help/__init__.py": "import importlib\nimportlib.import_module(name)",
        "help/a.py": "n = @",
    },
    "by a relative name": {
        "help/__init__.py": "from importlib import import_module\n"
        "import_module('.deep', __package__)",
        "help/deep.py": "n = @",
    },
    "folder that a module adds": {
        "help.py": "import sys\nsys.path.append('lib')\nimport deep",
        "lib/deep.py": "n = @",
    },
    "module with a syntax error": {"help.py": "f f @"},
    "two versions of an extension": {"help.abi1.so": "a", "help.abi2.so": "@"},
}


@pytest.mark.parametrize("files", CHAIN.values(), ids=CHAIN)
def test_modules_count_as_far_as_they_import(of, files):
    task = "import help\ndef execute(x): return help.f(x)\n"
    one, other = (
        of(task, **{name: text.replace("@", value) for name, text in files.items()})
        for value in "12"
    )
    assert one != other


def test_formatting_of_own_modules_does_not_count(of):
    task = "import help\ndef execute(x): return help.f(x)\n"
    plain = of(task, **{"help.py": "n=1"})
    main = "if __name__ == '__main__':\n    print(n)"
    assert of(task, **{"help.py": f"'''Text.'''\n# why\nn = 1\n{main}\n"}) == plain


def test_own_module_for_the_scheduler_only_does_not_count(of):
    task = BASE + "from cluster import Mine\nscheduler = Mine()\n"
    assert of(task, **{"cluster.py": "a = 1"}) == of(task, **{"cluster.py": "a = 2"})


def test_own_module_imported_for_its_effect_counts(of):
    task = BASE + "import effect\n"
    assert of(task, **{"effect.py": "a = 1"}) != of(task, **{"effect.py": "a = 2"})


def test_place_of_the_project_does_not_count(tmp_path):
    files = {
        "psy-tasks/task_a.py": "import help\n" + BASE,
        "help.py": "n = 1",
        "data.csv": "1",
    }
    here = of_project(tmp_path / "here", files, ["data.csv"])
    there = of_project(tmp_path / "else/where", files, ["data.csv"])
    assert here == there


def test_content_of_dependencies_counts(tmp_path):
    base = {"psy-tasks/task_a.py": BASE}
    one = of_project(tmp_path / "p", {**base, "d.csv": "1"}, ["d.csv"])
    assert one != of_project(tmp_path / "p", {**base, "d.csv": "2"}, ["d.csv"])
    assert one != of_project(tmp_path / "p", {**base, "e.csv": "1"}, ["e.csv"])
    absolute = [tmp_path / "p/d.csv"]
    assert one == of_project(tmp_path / "p", {**base, "d.csv": "1"}, absolute)


def test_order_of_dependencies_does_not_count(tmp_path):
    files = {"psy-tasks/task_a.py": BASE, "d.csv": "1", "e.csv": "2"}
    one = of_project(tmp_path / "p", files, ["d.csv", "e.csv"])
    assert one == of_project(tmp_path / "p", files, ["e.csv", "d.csv"])


def test_all_files_of_a_folder_count(tmp_path):
    base = {"psy-tasks/task_a.py": BASE, "data/a": "1"}
    one = of_project(tmp_path / "p", base, ["data"])
    more = of_project(tmp_path / "p", {**base, "data/deep/b": "1"}, ["data"])
    renamed = {"psy-tasks/task_a.py": BASE, "data/b": "1"}
    assert len({one, more, of_project(tmp_path / "p", renamed, ["data"])}) == 3


def test_missing_dependency_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"file_dep has 'd.csv', .*: No such"):
        of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, ["d.csv"])


def large_file(folder: Path, age: float) -> Path:
    path = folder / "large"
    path.write_bytes(bytes(2**20))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def quick_clock(monkeypatch):
    """Let files count as settled at once: no tool sets the change of an inode back."""
    monkeypatch.setattr(contents, "_SETTLED", 0.0)


def test_digests_of_large_files_are_remembered(tmp_path, quick_clock):
    path, digests = large_file(tmp_path, age=60), {}
    one = of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, [path], digests)
    task, known = tmp_path / "p/psy-tasks/task_a.py", dict.fromkeys(digests, "0")
    assert fingerprint(task, None, [path], tmp_path / "p", digests) == one
    assert fingerprint(task, None, [path], tmp_path / "p", known) != one


def test_a_large_file_with_new_content_but_an_old_time_counts(tmp_path, quick_clock):
    path, digests = large_file(tmp_path, age=60), {}
    one = of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, [path], digests)
    assert digests
    before = path.stat()
    path.write_bytes(b"1" + bytes(2**20 - 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    task = tmp_path / "p/psy-tasks/task_a.py"
    assert fingerprint(task, None, [path], tmp_path / "p", digests) != one


@pytest.mark.parametrize("age", [0, 60])
def test_digests_of_files_just_written_are_not_trusted(tmp_path, age):
    path, digests = large_file(tmp_path, age), {}
    of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, [path], digests)
    assert digests == {}
