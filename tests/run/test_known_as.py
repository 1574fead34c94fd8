"""Rows of before that the task file says how to recognize: match and defaults."""

from __future__ import annotations

import pytest
from projects import Project

from psyrun.store.registry import store_named

pytestmark = pytest.mark.slow

TASK = """\
from psyrun import Param

pspace = Param(x=[0.1, 0.3, 1.0])
store = "{ext}"


def execute(x, sigma=1.0):
    with open("calls", "a") as file:
        file.write(f"{{round(10 * x)}}\\n")
    return {{"y": x * sigma}}
"""

stores = pytest.mark.parametrize("ext", [".npz", ".pkl", ".h5"])


def edited(ext: str, space: str, more: str) -> str:
    text = TASK.format(ext=ext).replace("Param(x=[0.1, 0.3, 1.0])", space)
    return f"{text}\n{more}\n"


@pytest.fixture
def done(project: Project, ext: str) -> Project:
    project.write(TASK.format(ext=ext))
    project.psy("run")
    assert project.calls() == [1, 3, 10]
    return project


def column(project: Project, ext: str, key: str) -> list[float]:
    columns = store_named(ext).load(str(project.work() / f"result{ext}"))
    return [float(value) for value in columns[key]]


@stores
def test_numbers_within_the_tolerance_are_not_computed_again(
    done: Project, ext: str
) -> None:
    space = "Param(x=[0.1, 0.1 + 0.2, 1.0, 2.0])"
    done.write(edited(ext, space, "match = {'x': 1e-9}"))
    assert "different assignments" not in done.psy("run").stderr
    assert done.calls() == [20]
    # What was evaluated is what stands in the result.
    assert column(done, ext, "x") == [0.1, 0.3, 1.0, 2.0]
    done.psy("doctor", "--repair", "a")
    done.write(edited(ext, "Param(x=[2, 0.1 + 0.2])", "match = {'x': 1e-9}"))
    done.psy("run")
    assert done.calls() == []
    assert column(done, ext, "x") == [2.0, 0.3]


@pytest.mark.parametrize("ext", [".npz"])
def test_rounding_is_told_of(done: Project, ext: str) -> None:
    done.write(edited(ext, "Param(x=[0.1, 0.1 + 0.2, 1.0])", ""))
    said = done.psy("run").stderr
    assert "pspace has x 0.30000000000000004, where rows of before have 0.3" in said
    assert said.count("set match = {'x': 1e-9}") == 1
    assert done.calls() == [3]


@stores
def test_rows_without_a_new_parameter_have_its_default(done: Project, ext: str) -> None:
    space = "Param(x=[0.1, 0.3]) * Param(sigma=[2.0, 1.0])"
    done.write(edited(ext, space, "defaults = {'sigma': 1.0}"))
    done.psy("run")
    assert done.calls() == [1, 3]
    assert column(done, ext, "sigma") == [2.0, 1.0, 2.0, 1.0]
    assert column(done, ext, "y") == [0.2, 0.1, 0.6, 0.3]
    done.psy("doctor", "--repair", "a")


@stores
def test_a_result_without_a_new_parameter_is_continued(done: Project, ext: str) -> None:
    result = done.folder / f"kept{ext}"
    (done.work() / f"result{ext}").replace(result)
    done.psy("clean", "a")
    space = "Param(x=[0.1, 0.3]) * Param(sigma=[1.0, 2.0])"
    more = f"resultfile = 'kept{ext}'\ndefaults = {{'sigma': 1.0}}"
    done.write(edited(ext, space, more))
    done.psy("run", "--continue")
    assert done.calls() == [1, 3]
    columns = store_named(ext).load(str(result))
    assert list(columns["sigma"]) == [1.0, 2.0, 1.0, 2.0, 1.0]
