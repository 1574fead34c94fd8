"""Numbers that are nearly equal are matched, one by one, and rounding is noticed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace.matching import match_rows
from psyrun.pspace.tolerance import KnownAs, has_numbers, nearly_equal_keys

nan = math.nan


def matched(new, old, tolerance=1e-9):
    return match_rows(KnownAs({"a": tolerance}).as_in(new, [old]), old).tolist()


@pytest.mark.parametrize(
    ("new", "old", "places"),
    [
        ([0.1 + 0.2], [0.3], [0]),
        ([1e12 + 1], [1e12], [0]),
        ([1e-10], [0.0], [0]),
        ([1.0 + 1e-8], [1.0], [-1]),
        ([1], [1 + 1e-12], [0]),
        ([1 + 1e-12, "x", None], [1, None, "x"], [0, 2, 1]),
        ([nan, math.inf], [math.inf, nan], [1, 0]),
        ([math.inf], [1e308], [-1]),
        (range(3), [2 + 1e-12, 1 - 1e-12], [-1, 1, 0]),
        ([[0.1 + 0.2, 1.0]], [[0.3, 1.0]], [0]),
        ([np.array([1.0, nan])], [np.array([1.0 + 1e-12, nan])], [0]),
        ([[1.0, 2.0]], [[1.0, 2.1]], [-1]),
        ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], [-1]),
        ([2**60 + 1], [2**60], [-1]),
        ([True], [False], [-1]),
    ],
)
def test_numbers_that_differ_by_the_tolerance_at_most_are_equal(new, old, places):
    assert matched(Param(a=new), Param(a=old)) == places


@pytest.mark.parametrize(
    ("new", "old", "places"),
    [
        ([1 + 2e-10, 1.0], [1.0], [-1, 0]),
        ([1 + 2e-10, 1 + 1e-10], [1.0], [-1, 0]),
        ([1.0], [1 + 2e-10, 1 + 1e-10], [1]),
        ([0.0], [1e-10, -1e-10], [1]),
        ([[1.0, 2.0]], [[1.0, 2 + 2e-10], [1.0, 2 + 1e-10]], [1]),
        ([[1.0, 2 + 2e-10], [1.0, 2.0]], [[1.0, 2.0]], [-1, 0]),
    ],
)
def test_the_nearest_is_taken_and_only_once(new, old, places):
    assert matched(Param(a=new), Param(a=old)) == places


def test_a_grid_keeps_its_axes():
    axis = np.linspace(0, 1, 101)
    new = Param(a=axis) * Param(b=range(100)) + Param(a=[0.5], b=[200])
    old = Param(a=np.arange(101) / 100 + 1e-13) * Param(b=range(100))
    assert matched(new, old) == [*range(10_100), -1]
    parts = new - Param(b=[3]), new[5:], Param(b=[1]) + new
    for part in parts:
        assert matched(part, old).count(-1) == len(part) - np.count_nonzero(
            [point["b"] < 200 and not math.isnan(point["a"]) for point in part]
        )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False) | st.integers(-9, 9), max_size=8),
    st.lists(st.floats(allow_nan=False) | st.integers(-9, 9), max_size=8),
    st.sampled_from([0.0, 1e-9, 0.1, 1.5]),
)
def test_what_is_matched_is_near_and_each_is_used_once(new, old, tolerance):
    places = matched(Param(a=new), Param(a=old), tolerance)

    def is_near(i, j):
        return math.isclose(new[i], old[j], rel_tol=tolerance, abs_tol=tolerance)

    used = [place for place in places if place >= 0]
    assert len(set(used)) == len(used)
    assert all(is_near(i, place) for i, place in enumerate(places) if place >= 0)


def test_keys_that_rounding_has_changed_are_named_with_an_example():
    new = Param(a=[0.1 + 0.2, 1.0]) * Param(b=[1.0, 2.0], c=["x", "y"])
    old = Param(a=[0.3, 1.0]) * Param(b=[1.0, 2.1], c=["x", "y"])
    assert nearly_equal_keys(new, [old]) == {"a": (0.1 + 0.2, 0.3)}
    assert nearly_equal_keys(new, [new]) == {}
    assert nearly_equal_keys(Param(a=[1, 2]), [Param(a=[1.0])]) == {}
    assert nearly_equal_keys(Param(a=range(10**9)), [Param(a=[1.5])]) == {}


def test_rows_without_a_key_have_its_default():
    def places(new, old):
        return match_rows(new, known.completed(old)).tolist()

    known = KnownAs(defaults={"sigma": 1.0, "position": [0, 1]})
    new = Param(a=[1, 2]) * Param(sigma=[1.0, 2.0])
    assert places(new, Param(a=[2, 1])) == [1, -1, 0, -1]
    assert places(new, Param(a=[2], sigma=[2])) == [-1, -1, -1, 0]
    assert places(Param(a=[1], position=[[0, 1]]), Param(a=[1])) == [0]
    assert places(Param(a=[1]), Param()) == [-1]


def test_only_some_keys_have_numbers():
    space = Param(a=["x", 1], b=["x", "y"]) * Param(c=[[1, 2]], d=[[1, "x"]])
    assert [has_numbers(space, key) for key in "abcd"] == [True, False, True, False]
