"""What counts for the code of a task, and what for its space."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fingerprints import BASE, cases, source_of

COUNTS = {"both": (True, True), "code": (True, False), "space": (False, True)}


def digests(folder: Path, files: dict[str, str], file_dep=()) -> tuple[str, str]:
    named = {("" if "/" in n else "psy-tasks/") + n: t for n, t in files.items()}
    found = source_of(folder / "p", named, file_dep)
    return found.code, found.space


def differ(one: tuple[str, str], other: tuple[str, str]) -> tuple[bool, bool]:
    return one[0] != other[0], one[1] != other[1]


@cases("code_and_space")
def test_what_counts_for_the_code_and_for_the_space(tmp_path, case, request):
    texts, _, words = case.rpartition("@: ")
    names = ("task_a.py", "help.py", "deep.py")
    found = []
    for word in words.split(" => "):
        parts = texts.replace("[@", f"[{word}").split("\n---\n")
        parts = [_put(part, word) for part in parts]
        found.append(digests(tmp_path, dict(zip(names, parts, strict=False))))
    expected = COUNTS.get(request.node.name.rpartition("| ")[2].rstrip("]"))
    assert differ(*found) == (expected or (False, False))


def _put(text: str, word: str) -> str:
    # Decorators have a name after theirs.
    lines = [n if n.startswith("@") else n.replace("@", word) for n in text.split("\n")]
    return "\n".join(lines)


@pytest.mark.parametrize("case", ["pspace = [@]", "def setup(n): return @"])
def test_what_all_tasks_share_counts_the_same(tmp_path, case):
    plain, one, other = (
        digests(tmp_path, {"task_a.py": BASE, "psy-conf.py": text})
        for text in ("max_jobs = 1", *(case.replace("@", n) for n in "12"))
    )
    is_space = case.startswith("pspace")
    assert differ(one, other) == differ(plain, one) == (not is_space, is_space)


def test_a_file_of_file_dep_counts_for_both(tmp_path):
    files = {"task_a.py": BASE}
    one, other = (
        digests(tmp_path, files | {"./data.csv": text}, ["data.csv"]) for text in "12"
    )
    assert differ(one, other) == (True, True)


def test_an_empty_module_of_the_space_is_nothing_to_the_code(tmp_path):
    space = "from help import pspace\ndef execute(x): return x\n"
    module = "from psyrun import Param\npspace = Param(x=[1])\n"
    plain = f"{module}def execute(x): return x\n"
    one = digests(tmp_path, {"task_a.py": plain})
    other = digests(tmp_path, {"task_a.py": space, "help.py": module})
    assert differ(one, other) == (False, True)


def test_code_and_space_are_kept_apart(tmp_path):
    code, space = digests(tmp_path, {"task_a.py": "n = 1"})
    assert code != space


def test_both_are_recorded(tmp_path):
    files = {"psy-tasks/task_a.py": BASE}
    found = source_of(tmp_path / "p", files)
    record = json.loads(json.dumps(found.record()))
    assert record["facts"]["code"] == found.code
    assert record["facts"]["space"] == found.space


def test_they_have_not_changed_by_accident(tmp_path):
    # Results computed by earlier versions of psyrun would be outdated.
    code, space = digests(tmp_path, {"task_a.py": BASE})
    assert (code[:16], space[:16]) == ("651fbba2dfcb4485", "77f89a3d71c17434")
