"""What is computed for the points of a space is computed for no other points."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace import ParameterSpace, missing
from psyrun.pspace.axes import grid_of
from psyrun.pspace.equality import check_comparable
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.matching import count_unmatched
from psyrun.pspace.param import select
from psyrun.pspace.showing import as_html
from psyrun.pspace.tolerance import KnownAs, has_numbers, nearly_equal_keys

N, M = Param(n=range(4)), Param(m=["x", "y", "z"])


def inverse(n: int) -> float:
    return 1 / n


def is_positive(n: int) -> bool:
    return n > 0


CHOICES: dict[str, Callable[[ParameterSpace], ParameterSpace]] = {
    "where": lambda space: space.where(is_positive),
    "where of two": lambda space: space.where(lambda n, m: n > 0 and m != "y"),
    "where twice": lambda space: space.where(is_positive).where(lambda m: m > "x"),
    "slice": lambda space: space[3:],
    "slice of a slice": lambda space: space[3::2][1:],
    "sliced shuffle": lambda space: space[3:].shuffle(seed=2)[:4],
    "difference": lambda space: space - Param(n=[0]),
    "missing": lambda space: missing(space, Param(n=[0, 0], u=1)),
    "select": lambda space: select(space, np.array([11, 5, 5, 4])),
    "factor": lambda space: space[3:] * Param(f=[1, 2]),
    "term": lambda space: space[3:] + Param(n=[7, 8]),
    "side by side": lambda space: space[3:].zip(Param(f=range(9))),
    "repeat": lambda space: space[3:].repeat(2)[::3],
    "slice of a product": lambda space: (Param(f=[1, 2]) * space)[5:12],
    "slice of a zip": lambda space: space.zip(Param(f=range(12)))[4:],
}
DERIVED: dict[str, Callable[[], ParameterSpace]] = {
    "factor": lambda: (N * M).derive(k=inverse),
    "chain": lambda: (N * M).derive(k=inverse, kk=lambda k: -k),
    "all": lambda: (N * M).derive(k=lambda n, m: f"{m}{1 / n}"),
    "table": lambda: Param(n=[0] * 3 + [1, 2, 3] * 3, m=["x"] * 6 + ["y"] * 6).derive(
        k=inverse
    ),
    "sum": lambda: (N[:2] * M + N[2:] * M).derive(k=inverse),
    "zip": lambda: (
        (N * M).where(lambda n: n < 5).zip(Param(g=range(12))).derive(k=inverse)
    ),
}


def reads(space: ParameterSpace) -> None:
    """Do what a run does with a space, before it begins and when its result is read."""
    check_comparable(space.leaves())
    as_html(space)
    grid = grid_of(space)
    for dimension in grid.dimensions:
        for key in dimension.keys:
            dimension.values(key)
    assert has_numbers(space, "n")
    nearly_equal_keys(space, [space])
    assert list(KnownAs({"k": 0.1}).as_in(space, [space])) == list(space)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("kind", DERIVED)
def test_a_function_is_not_called_for_other_points(kind: str, choice: str) -> None:
    space = CHOICES[choice](DERIVED[kind]())
    reads(space)
    points = list(space)
    assert points and space.build()["n"] == [point["n"] for point in points]
    assert all(0 not in (point["n"], point.get("k")) for point in points)
    found = [freeze(space), pickle.dumps(space), pickle.dumps(copy.deepcopy(space))]
    for frozen in found:
        other = thaw(frozen)
        assert str(list(other)) == str(points)
        assert count_unmatched(space, other) == count_unmatched(other, space) == 0
        assert len(freeze(other)) < len(frozen) + 200
        reads(other)


def test_only_chosen_values_are_listed() -> None:
    space = (N * M).derive(k=inverse).where(is_positive)
    for each in (space, thaw(freeze(space))):
        assert dict(each.leaves())["k"].take(np.arange(3)).tolist() == [1, 0.5, 1 / 3]


def test_a_function_is_called_once_for_each_point_that_is_asked_for() -> None:
    called = []

    def square(n: int) -> int:
        called.append(n)
        return n * n

    space = Param(n=range(10**5)).derive(k=square)[:3]
    for _ in range(2):
        assert space.build() == {"n": [0, 1, 2], "k": [0, 1, 4]}
        assert space[2] == {"n": 2, "k": 4}
    assert len(freeze(space)) < 1000
    assert called == [0, 1, 2]


@pytest.mark.parametrize(
    "more", [lambda a: a * Param(m=[1, 2]), lambda a: a + Param(n=[-1], k=["a"])]
)
@pytest.mark.parametrize("size", [10**6, 2 * 10**8])
def test_a_sample_of_many_derived_points_can_be_frozen(
    more: Callable[[ParameterSpace], ParameterSpace], size: int
) -> None:
    called = []

    def double(n: int) -> int:
        called.append(n)
        return 2 * n

    space = more(Param(n=range(size)).derive(k=double)).sample(5, seed=1)
    frozen = freeze(space)
    assert len(called) <= 5 and len(frozen) < 2000
    assert list(thaw(frozen)) == list(space)
    assert all(point["k"] == 2 * point["n"] for point in space)


def test_places_without_a_row_have_no_derived_value() -> None:
    space = (Param(n=[0, 1, 2]) * Param(m=[0, 1])).derive(k=inverse, r=lambda n: 2 // n)
    for chosen in (some := space.where(lambda n, m: n > m), thaw(freeze(some))):
        first, _ = grid_of(chosen).dimensions
        assert first.name == "n_k_r"
        assert first.values("n").tolist() == [0, 1, 2]
        for key, values in {"k": [1, 0.5], "r": [2, 1]}.items():
            found = first.values(key)
            assert math.isnan(found[0]) and found[1:].tolist() == values
            assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (lambda n: "ab"[n % 2], ["", "b", "a"]),
        (
            lambda n: np.datetime64("2020-01-01") + np.timedelta64(n, "D"),
            ["NaT", "2020-01-02", "2020-01-03"],
        ),
        (lambda n: np.float32(n), ["nan", "1.0", "2.0"]),
        (lambda n: np.int64(n), ["nan", "1.0", "2.0"]),
        (lambda n: np.int8(n), ["nan", "1.0", "2.0"]),
        (lambda n: [0, 1.5, "x"][n], ["nan", "1.5", "x"]),
    ],
)
def test_nothing_is_of_the_type_of_the_values(
    function: Callable[..., Any], values: list[str]
) -> None:
    def not_of_zero(n: int) -> Any:
        return function(n if n else 1 / 0)

    space = Param(n=[0, 1, 2]) * Param(m=[0, 1])
    some = space.where(lambda n, m: n > m).derive(k=not_of_zero)
    for chosen in (some, thaw(freeze(some))):
        found = grid_of(chosen).dimensions[0].values("k")
        assert [str(each) for each in found] == values
        assert (found.dtype == object) == (values[-1] == "x")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_choice_of_points_is_computed_alone(data: st.DataObject) -> None:
    called: set[int] = set()

    def cube(n: int) -> int:
        called.add(n)
        return n**3

    rows = data.draw(st.lists(st.integers(0, 35), max_size=9))
    space: ParameterSpace = Param(n=range(6)).derive(k=cube) * Param(m=range(6))
    space = select(space, np.array(rows, dtype=np.int64))
    points = [{"n": i // 6, "k": (i // 6) ** 3, "m": i % 6} for i in rows]
    cut = data.draw(st.slices(9))
    assert list(thaw(freeze(space[cut]))) == points[cut] == list(space[cut])
    assert called == {point["n"] for point in points[cut]}
