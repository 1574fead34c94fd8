"""Assignments that lack parameters of other terms of their space."""

from __future__ import annotations

from projects import Project

TASK = """\
from psyrun import Param

svm = Param(method="svm") * Param(kernel=["rbf", "linear"])
tree = Param(method="tree") * Param(depth=[2, 8])
pspace = svm + tree
pool_size = 2


def execute(method, kernel="none", **others):
    return {"label": f"{method} {kernel} {sorted(others)}"}
"""


def test_execute_is_called_without_what_an_assignment_lacks(project: Project) -> None:
    project.write(TASK)
    assert "kernel" not in project.psy("test", "a", "--item", "3").stdout
    project.psy("run")
    result = project.result()
    assert result["label"] == [
        "svm rbf []",
        "svm linear []",
        "tree none ['depth']",
        "tree none ['depth']",
    ]
    assert [str(value) for value in result["kernel"]] == ["rbf", "linear", "nan", "nan"]
    said = project.psy("debug", "a", "2").stdout
    assert "method='tree', depth=2\n" in said


def test_what_a_store_cannot_hold_is_said_of_the_parameter(project: Project) -> None:
    project.write(TASK.replace("pool_size = 2", 'store = "npz"'))
    said = project.psy("run", status=2).stderr
    assert "pspace: parameter 'kernel' holds both" in said
    assert "nan for points without it" in said
    assert not project.work().exists()


def test_failures_are_told_without_what_they_lack(project: Project) -> None:
    project.write("import os\n" + TASK)
    fails = (
        'if others:\n        os._exit(3) if others["depth"] > 2 else int("no")\n    '
    )
    project.edit("return", f"{fails}return")
    project.psy("run", status=1)
    listed = project.psy("failed", "a", "--csv").stdout.splitlines()
    assert listed[0].startswith("number,method,depth,error,")
    assert [line.partition("Error")[0] for line in listed[1:2]] == ["2,tree,2,Value"]
    assert listed[2].startswith("3,tree,8,WorkerDied,")
