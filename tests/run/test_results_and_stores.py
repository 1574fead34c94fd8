"""What a run does with results that its store cannot keep, or not together."""

import re

import numpy as np
from projects import Project

KEYS = """\
from psyrun import NpzStore, Param

pspace = Param(x=[1, 2, 3])


def execute(x):
    return {**{fold: fold * x for fold in range(2)}, "y": x**2}
"""


def test_keys_that_are_numbers_are_kept(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(KEYS)
    project.psy("run")
    expected = {"x": [1, 2, 3], 0: [0, 0, 0], 1: [1, 2, 3], "y": [1, 4, 9]}
    assert project.result() == expected
    project.edit("[1, 2, 3]", "[1, 2, 3, 4]")
    project.psy("run", "--continue")
    assert project.result()[1] == [1, 2, 3, 4]


def test_keys_that_the_store_cannot_have_are_refused_as_in_a_test(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(KEYS)
    project.edit("def", "store = NpzStore()\n\n\ndef")
    line = re.search("key 0 .*", project.psy("test", status=1).stderr)
    assert line
    assert line[0] in project.psy("run", status=1).stderr


INTEGERS = """\
from psyrun import NpzStore, Param

pspace = Param(x=range(40))
store = NpzStore()
max_jobs = 2
pool_size = 2


def execute(x):
    return {"n": 2**60 + 1 if x % 10 == 9 else float("nan") if x % 10 == 4 else x}
"""


def test_numbers_that_no_array_keeps_do_not_block_the_others(tmp_path) -> None:
    project = Project(tmp_path)
    project.write(INTEGERS)
    errors = project.psy("run", status=1).stderr
    assert "36 of 40 assignments are kept" in errors
    assert "for 'n', but others have" in errors
    project.psy("run", "--accept-failures")
    with np.load(project.work() / "result.npz") as result:
        x, n = result["x"].tolist(), result["n"].tolist()
    rows = dict(zip(x, n, strict=True))
    assert len(rows) == 36
    for value, number in rows.items():
        expected = {9: 2**60 + 1, 4: None}.get(value % 10, value)
        assert number == expected or (expected is None and number != number)
