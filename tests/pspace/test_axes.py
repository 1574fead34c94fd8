"""The axes of a space follow from its algebra, and rows and places from each other."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace import ParameterSpace, Random, missing
from psyrun.pspace.axes import Grid, grid_of, values_of
from psyrun.pspace.freezing import freeze, thaw
from psyrun.pspace.param import select

A, B = Param(a=range(10)), Param(b=[0.1, 0.2, 0.3])
LONGER = Param(a=[10, 11])
NAMED = {"a": 10, "b": 3}
A_K = {"a_k": 10, "b": 3}


def neg(a: int) -> int:
    return -a


def named(space: ParameterSpace) -> dict[str, int]:
    return {each.name: each.size for each in grid_of(space).dimensions}


GRIDS = [
    (A, {"a": 10}),
    (A * B, NAMED),
    (B * A, {"b": 3, "a": 10}),
    (Param(a=[1, 2], b=[3, 4]) * Param(c=[5, 6]), {"a_b": 2, "c": 2}),
    (A * Param(n=5) * B, NAMED),
    (Param(a=range(10), n=5) * B, NAMED),
    (A * B + LONGER * B, {"a": 12, "b": 3}),
    (A * B + A * Param(b=[0.5]), {"a": 10, "b": 4}),
    (A * B + LONGER * B + (A + LONGER) * Param(b=[0.5]), {"a": 12, "b": 4}),
    (A * B + Param(a=10) * B, {"a": 11, "b": 3}),
    (A * B + Param(a=10, b=[0.1, 0.2, 0.3]), {"a": 11, "b": 3}),
    (Param(a=10, b=[0.1, 0.2, 0.3]) + A * B, {"a": 11, "b": 3}),
    ((A + LONGER) * B, {"a": 12, "b": 3}),
    (Param(a=[1, 2], n=3) + Param(a=[1, 2], n=4), {"a": 2, "n": 2}),
    (A + A, {"a": 20}),
    (Param(a=range(10), n=5) + Param(a=range(10), n=5), {"a": 20}),
    (A * B - Param(a=[3]), NAMED),
    (A * B - Param(a=[3], b=[0.1]), NAMED),
    (missing(A * B, Param(a=[3], c=[1])), NAMED),
    ((A * B - Param(a=[3], b=[0.1])) * Param(c=[1, 2]), {"a": 10, "b": 3, "c": 2}),
    ((A * B - Param(a=[3], b=[0.1])) + LONGER * B, {"a": 12, "b": 3}),
    (A - Param(a=[3]), {"a": 9}),
    ((A * B)[3:9], {"a": 2, "b": 3}),
    ((A * B)[4:6], {"b": 2}),
    ((A * B)[::3], {"a": 10}),
    ((A * B)[::-1], NAMED),
    ((A * B)[::6], {"a": 5}),
    ((A * Param(b=range(4)))[::2], {"a": 10, "b": 2}),
    (A[2:8:2] * B, {"a": 3, "b": 3}),
    ((A * B)[:7], {"assignment": 7}),
    ((A * B)[::7], {"assignment": 5}),
    ((A * B)[::7] * Param(c=[1, 2]), {"a_b": 5, "c": 2}),
    (select(A * B, np.array([5, 3, 3])), {"assignment": 3}),
    (select(A * B, np.array([3, 5])), NAMED),
    (A * B + A * B, {"assignment": 60}),
    (A * B + Param(a=[1, 2], b=[3, 4]), {"assignment": 32}),
    (A + B, {"assignment": 13}),
    (Param(a=[1, 2], b=[3, 4]) * Param(a_b=[5, 6]), {"a_b_": 2, "a_b": 2}),
    (A + Param(assignment=[1]), {"assignment_": 11}),
    ((A * B).shuffle(seed=1), NAMED),
    (A.shuffle(seed=1) * B, NAMED),
    ((A * B).shuffle(seed=1)[:20], {"assignment": 20}),
    ((A * B).sample(20, seed=1), {"assignment": 20}),
    (A.sample(5, seed=1) * B, {"a": 5, "b": 3}),
    ((A * B).where(lambda a: a % 4 < 2), {"a": 6, "b": 3}),
    ((A * B).where(lambda a, b: a * b < 2), NAMED),
    ((A * B).where(lambda a, b: a * b < 2) * Param(c=[1, 2]), {**NAMED, "c": 2}),
    (A.zip(Param(k=range(10))) * B, {"a_k": 10, "b": 3}),
    ((A * B).zip(Param(k=range(30))), {"a_b_k": 30}),
    ((A * B).derive(k=lambda a: -a), {"a_k": 10, "b": 3}),
    ((A * B).derive(k=lambda a, b: a * b), {"assignment": 30}),
    ((A * B).where(lambda a, b: a * b < 2).derive(k=lambda a: -a), A_K),
    ((A * B).derive(k=lambda a: -a).where(lambda a, b: a * b < 2), A_K),
    ((A * B).where(lambda a, b: a * b < 2).where(lambda b: b < 0.3).derive(k=neg), A_K),
    ((A * B).where(lambda a, b: a < 5 * b).derive(k=lambda a, b: 0), {"assignment": 4}),
    ((A * B)[::3].derive(k=neg), {"a_k": 10}),
    ((A * B)[::-1].derive(k=neg), A_K),
    ((A * B).shuffle(seed=1).derive(k=neg), A_K),
    ((A * B).sample(20).derive(k=neg), {"assignment": 20}),
    ((A * B - Param(a=[3], b=[0.1])).derive(k=neg), A_K),
    ((A * B + LONGER * B)[6:].derive(k=neg), {"a_k": 10, "b": 3}),
    (A.where(lambda a: a > 2).derive(k=neg), {"a_k": 7}),
    (Param(a=range(10), n=5).derive(k=neg), {"a_k": 10}),
    (Random(10, a=[1, 2], n=5).derive(k=neg)[3:], {"a_k": 7}),
    (Random(10, a=[1, 2], n=5).zip(Param(k=range(10), u=3))[3:], {"a_k": 7}),
    ((A * B).zip(Param(k=range(30))).derive(kk=neg), {"a_b_k_kk": 30}),
    ((A * B).derive(k=lambda a, b: a * b) * Param(c=[1, 2]), {"a_b_k": 30, "c": 2}),
    ((A * B).repeat(2), {**NAMED, "repeat": 2}),
    (A.repeat(2) * B, {"a": 10, "repeat": 2, "b": 3}),
    (A.repeat(2).shuffle(), {"a": 10, "repeat": 2}),
    (Param(repeat=[1, 2]).repeat(3), {"repeat": 2, "repeat_": 3}),
    (Param(x=1).repeat(3), {"repeat": 3}),
    (Param(x=1, y=2), {}),
    (Param(a=[]), {"a": 0}),
    (Param(), {"assignment": 0}),
]


@pytest.mark.parametrize(("space", "dimensions"), GRIDS, ids=lambda each: repr(each))
def test_dimensions_are_those_of_the_algebra(
    space: ParameterSpace, dimensions: dict[str, int]
) -> None:
    assert list(named(space).items()) == list(dimensions.items())
    assert list(named(thaw(freeze(space))).items()) == list(dimensions.items())
    check(space)


def test_what_is_the_same_everywhere_is_an_attribute() -> None:
    grid = grid_of(Param(a=[1, 2], unit="mV") * Param(n=[5], m=[6]))
    assert grid.attributes == {"unit": "mV", "n": 5, "m": 6}
    assert [each.keys for each in grid.dimensions] == [["a"]]


def test_zipped_parameters_are_coordinates_of_one_dimension() -> None:
    (dimension,) = grid_of(Param(a=[1, 2], b=["x", "y"], c=[None, 3])).dimensions
    assert dimension.values("a").tolist() == [1, 2]
    assert dimension.values("b").dtype.kind == "U"
    assert dimension.values("c").tolist() == [None, 3]


def test_a_grid_of_a_million_times_a_million_points_is_not_listed() -> None:
    large = Param(i=range(10**6)) * Param(j=range(10**6)) + Param(i=-1) * Param(
        j=range(10**6)
    )
    grid = grid_of(large)
    assert grid.shape == (10**6 + 1, 10**6)
    assert grid.position(10**12 + 5) == (10**6, 5)
    assert grid.rows(np.array([10**12 - 1])).tolist() == [10**12 - 1]
    assert grid.point((10**6, 5)) == {"i": -1, "j": 5}


def test_a_few_rows_of_a_large_grid_are_listed() -> None:
    space = Param(i=range(10**6)) * Param(j=range(10**6))
    few = select(space, np.arange(0, 10**12, 10**10 + 1))
    assert named(few) == {"assignment": 100}
    check(few)


def test_many_terms_are_not_nested() -> None:
    space = Param(a=[0]) * B
    for a in range(1, 2000):
        space = space + Param(a=[a]) * B
    assert named(space) == {"a": 2000, "b": 3}
    assert grid_of(space).position(5999) == (1999, 2)


class Own(ParameterSpace):
    def __len__(self) -> int:
        return 2

    def iterate(self) -> Any:
        return iter([{"a": 1, "b": 2}, {"a": 3, "b": 4}])


class Doubled(Param):
    def iterate(self) -> Any:
        return ({"a": 2 * point["a"]} for point in super().iterate())


def test_a_space_of_ones_own_is_like_zipped_parameters() -> None:
    for space in (Own(), thaw(freeze(Own()))):
        assert named(space * Param(c=[5, 6, 7])) == {"a_b": 2, "c": 3}
        check(space * Param(c=[5, 6, 7]))
    check(Doubled(a=[1, 2]) * B + Doubled(a=[1, 2]) * Param(b=[7]))


@pytest.mark.parametrize(
    ("space", "dtype"),
    [
        (Param(a=[1, 2]), "int64"),
        (Param(a=[1.5, 2.5]) + Param(a=[3.0]), "float64"),
        (Param(a=[True, False]), "bool"),
        (Param(a=["x", "yz"]), "<U2"),
        (Param(a=["x", "y\0"]), "object"),
        (Param(a=["x"]) + Param(a=[1]), "object"),
        (Param(a=[[1, 2], [3, 4]]), "object"),
        (Param(a=np.ones((2, 3))), "object"),
        (Param(a=np.array(["2020", "2021"], "M8[D]")), "datetime64[D]"),
    ],
)
def test_values_are_arrays_of_what_they_all_are(
    space: ParameterSpace, dtype: str
) -> None:
    values = values_of(space, "a", np.arange(len(space)))
    assert values.dtype == dtype
    assert [str(value) for value in values] == [str(p["a"]) for p in space]


def is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    pairs = [(one[key], other[key]) for key in one]
    return list(one) == list(other) and all(
        a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
        for a, b in pairs
    )


def check(space: ParameterSpace) -> Grid:
    """Compare a grid with the points of its space, one by one."""
    grid, rows = grid_of(space), np.arange(len(space))
    places = grid.places(rows)
    for row in rows.tolist():
        assert is_same(grid.point(grid.position(row)), space[row])
    assert len(set(places.tolist())) == len(rows)
    expected = np.full(grid.size, -1)
    expected[places] = rows
    assert grid.rows(np.arange(grid.size)).tolist() == expected.tolist()
    assert grid.is_in_order <= (places.tolist() == rows.tolist())
    return grid


NUMBERS = st.integers(0, 3)


@st.composite
def params(draw: st.DrawFn, keys: tuple[str, ...]) -> ParameterSpace:
    length = draw(st.integers(0, 4))
    values = st.one_of(
        NUMBERS, st.lists(NUMBERS, min_size=length, max_size=length), st.just("text")
    )
    return Param(**{key: draw(values) for key in keys})


@st.composite
def spaces(
    draw: st.DrawFn, keys: tuple[str, ...] = ("a", "b", "c"), depth: int = 3
) -> ParameterSpace:
    kinds = ["param", "sum", "longer", "difference", "slice", "selection"]
    kinds += ["shuffle", "where", "repeat", "derive"]
    if len(keys) > 1:
        kinds += ["product"] * 3
    kind = draw(st.sampled_from(kinds)) if depth else "param"
    if kind == "param":
        return draw(params(keys))
    if kind == "product":
        cut = draw(st.integers(1, len(keys) - 1))
        parts = keys[:cut], keys[cut:]
        left, right = (draw(spaces(part, depth - 1)) for part in parts)
        return left * right
    inner = draw(spaces(keys, depth - 1))
    if kind == "sum":
        return inner + draw(spaces(keys, depth - 1))
    if kind == "longer":
        # Most sums of random spaces have no factor in common.
        cut = draw(st.integers(0, len(keys)))
        shared = draw(params(keys[cut:])) if cut < len(keys) else Param()
        terms = [draw(params(keys[:cut])) for _ in range(3)]
        return sum((term * shared for term in terms[1:]), terms[0] * shared)
    if kind == "difference":
        return inner - draw(params(draw(st.sampled_from([keys, keys[:1]]))))
    if kind == "slice":
        ends = st.one_of(st.none(), st.integers(-30, 30))
        step = draw(st.sampled_from([None, 1, 2, 3, -1, -2]))
        return inner[draw(ends) : draw(ends) : step]
    if kind == "shuffle":
        end = draw(st.none() | st.integers(0, 20))
        return inner.shuffle(seed=draw(NUMBERS))[:end]
    if kind == "where":
        return where(inner, draw(st.sets(NUMBERS)))
    if kind == "repeat":
        return inner.repeat(draw(st.integers(1, 3))) if len(inner) < 100 else inner
    if kind == "derive":
        several = "a" in inner.keys() and "b" in inner.keys()  # noqa: SIM118
        key = f"k_{'_'.join(keys)}_{depth}"
        function = (lambda a, b: (a, b)) if several else lambda **values: str(values)
        return inner.derive(**{key: function}) if inner.keys() else inner
    n_rows = max(len(inner), 1)
    rows = draw(st.lists(st.integers(0, n_rows - 1), max_size=6))
    rows = draw(st.sampled_from([rows, sorted(set(rows))])) if len(inner) else []
    return select(inner, np.array(rows, dtype=np.int64))


def where(space: ParameterSpace, kept: set[int]) -> ParameterSpace:
    key = (space.keys() or [""])[-1]
    named: Any = {"a": lambda a: a in kept, "b": lambda b: b in kept}
    named["c"] = lambda c, **others: len(str(others)) % 3 in kept
    if key not in named:
        return space
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is left
        return space.where(named[key])


@given(spaces())
@settings(max_examples=400, deadline=None)
def test_places_reproduce_the_points_of_any_space(space: ParameterSpace) -> None:
    grid = check(space)
    frozen = check(thaw(freeze(space)))
    assert frozen.shape == grid.shape
    assert [d.name for d in frozen.dimensions] == [d.name for d in grid.dimensions]
