"""Designs that are made larger: what of them is evaluated again."""

from __future__ import annotations

import pytest
from projects import Project

pytestmark = pytest.mark.slow

TASK = """\
from psyrun.pspace import LatinHypercube, Param, Sobol, uniform

pspace = {space}


def execute(x, k):
    with open("calls", "a") as file:
        file.write("1\\n")
    return {{"y": x * k}}
"""


@pytest.mark.parametrize(
    ("design", "n_calls", "warns"), [("Sobol", 4, False), ("LatinHypercube", 8, True)]
)
def test_a_larger_design_evaluates_what_is_new(
    project: Project, design: str, n_calls: int, warns: bool
) -> None:
    space = f"{design}({{n}}, x=uniform(0, 1)) * Param(k=[2])"
    project.write(TASK.format(space=space.format(n=4)))
    project.psy("run")
    assert len(project.calls()) == 4
    project.write(TASK.format(space=space.format(n=8)))
    said = project.psy("run").stderr
    assert len(project.calls()) == n_calls
    told = "a Latin hypercube of 8 points has none of the 4 of before"
    assert said.count(told) == warns


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ("Sobol(6, x=uniform(0, 1), k=[2])", "Sobol: 6 points are less balanced"),
        (
            "Param(x=[0, 1, 2, 3], k=2).where(lambda x: x < 0) + Param(x=[1], k=2)",
            "leaves none of the 4 points",
        ),
    ],
)
def test_a_run_warns_of_a_space_once(project: Project, space: str, told: str) -> None:
    project.write(TASK.format(space=space))
    assert project.psy("run").stderr.count(told) == 1
