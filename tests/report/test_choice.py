"""The kind of a plot follows from the number and kind of the axes."""

from __future__ import annotations

import numpy as np
import pytest
from sweeps import drawn, sweep_of

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import Random, uniform

N = Param(n=[1, 2, 3])
BETA = Param(beta=[0.1, 0.2, 0.3, 0.4])
SOLVER = Param(solver=["rk4", "euler"])
TRIAL = Param(trial=range(20))
PAIRS = Param(a=[1, 2, 3], name=["x", "y", "z"])
MONTHS = np.arange("2024-01", "2024-04", dtype="M8[M]")


def picture(space, *arguments, **options):
    y = np.random.default_rng(1).normal(size=len(space))
    return drawn(sweep_of(space, {"y": y}), *arguments, **options)


def axes_of(found):
    return [
        None if axis is None else axis.name for axis in (found.x, found.y, found.by)
    ]


@pytest.mark.parametrize(
    ("space", "shape", "axes"),
    [
        (N, "line", ["n", None, None]),
        (N * BETA, "line", ["beta", None, "n"]),
        (N * BETA * SOLVER, "line", ["beta", None, "solver"]),
        (N * TRIAL, "line", ["n", None, None]),
        (SOLVER, "bars", ["solver", None, None]),
        (SOLVER * TRIAL, "bars", ["solver", None, None]),
        (SOLVER * Param(kind=["a", "b", "c"]), "bars", ["kind", None, "solver"]),
        (TRIAL, "histogram", [None, None, None]),
        (N.repeat(3), "line", ["n", None, None]),
        (N + Param(m=[1, 2]), "histogram", [None, None, None]),
        (Param(n=1, m=2), "histogram", [None, None, None]),
        (
            Random(50, seed=1, a=uniform(0, 1), b=uniform(0, 1)),
            "scatter",
            ["a", None, None],
        ),
        (Random(50, seed=1, a=uniform(0, 1)), "scatter", ["a", None, None]),
        (PAIRS * SOLVER, "line", ["a", None, "solver"]),
        (Param(when=MONTHS), "line", ["when", None, None]),
    ],
)
def test_the_default_follows_from_the_axes(space, shape, axes):
    found = picture(space)
    assert found.shape == shape
    assert axes_of(found) == axes


@pytest.mark.parametrize(
    ("options", "shape", "axes"),
    [
        ({"over": "n"}, "line", ["n", None, "solver"]),
        ({"over": "solver"}, "bars", ["solver", None, "n"]),
        ({"over": ["n", "beta"]}, "heat", ["n", "beta", None]),
        ({"over": "n,beta"}, "heat", ["n", "beta", None]),
        ({"over": "n, solver"}, "heat", ["n", "solver", None]),
        ({"by": "beta"}, "line", ["n", None, "beta"]),
        ({"over": "trial"}, "line", ["trial", None, "solver"]),
        ({"over": "beta", "by": "trial"}, "line", ["beta", None, "trial"]),
    ],
)
def test_axes_can_be_named(options, shape, axes):
    found = picture(N * BETA * SOLVER * Param(trial=[0, 1]), **options)
    assert found.shape == shape
    assert axes_of(found) == axes


def test_points_at_random_are_scattered_over_a_named_axis():
    space = Random(50, seed=1, a=uniform(0, 1), b=uniform(0, 1))
    assert picture(space, over="b").shape == "scatter"
    assert picture(space, over="a,b").shape == "heat"


def test_the_only_axis_can_be_named_by_colour():
    assert axes_of(picture(N, by="n")) == ["n", None, None]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"over": "bta"}, "there is no axis 'bta'. Axes: beta, n, solver."),
        ({"by": "slover"}, "there is no axis 'slover'. Axes: solver,"),
        ({"over": "y"}, "'y' is a result, and no axis"),
        ({"over": "k"}, "'k' is the same everywhere, and no axis"),
        ({"over": "n,n"}, "'n' is named twice"),
        ({"over": "n", "by": "n"}, "'n' is named twice"),
        ({"over": ["n", "beta", "solver"]}, "names 3 axes"),
        ({"over": "n,beta", "by": "solver"}, "no colours left for --by"),
        ({"over": "n,beta", "band": "std"}, "no place for --band"),
        ({"result": "z"}, "there is no result 'z'. Results: y."),
        ({"result": "n"}, "'n' is a parameter, and no result"),
        ({"cost": "tiem"}, "there is no cost 'tiem'. Did you mean 'time'?"),
        ({"cost": "time", "result": "y"}, "either the result 'y' or the cost 'time'"),
        ({"reduce": "avg"}, "there is no reduction 'avg'"),
        ({"band": "sd"}, "there is no band 'sd'"),
    ],
)
def test_what_there_is_not_is_said_in_one_line(options, said):
    with pytest.raises(PsyrunError) as caught:
        picture(N * BETA * SOLVER * Param(k=1), **options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_many_axes_the_nearest_are_named():
    space = Param(a0=[1, 2])
    for number in range(1, 50):
        space = space * Param(**{f"a{number}": number})
    with pytest.raises(PsyrunError) as caught:
        picture(space * Param(**{"with space": [1, 2]}), over="withspace")
    assert "Axes: with space, a0." in str(caught.value)
