"""Which rows are equal, and how old rows are paired with new points."""

from __future__ import annotations

import datetime
import enum
import math
import threading
import time
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import equality, matching, missing
from psyrun.pspace.equality import equal_rows, pair_rows
from psyrun.pspace.matching import match_rows

nan = math.nan


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Mutable:
    x: int


@dataclass(frozen=True)
class Frozen:
    x: int


class ByIdentity:
    pass


class Refuses:
    __hash__ = object.__hash__

    def __eq__(self, other):
        raise ValueError("no\norder")


def is_missing(value, present) -> bool:
    return len(missing(Param(a=[value]), Param(a=[present]))) == 1


EQUAL = [
    (1, 1.0),
    (1, True),
    (0.0, -0.0),
    (nan, float("nan")),
    (nan, np.float32("nan")),
    (nan, Decimal("nan")),
    (0.5, np.float32(0.5)),
    (0.5, Decimal("0.5")),
    (2**60, 2.0**60),
    (2**70, 2.0**70),
    (1, 1 + 0j),
    ("x", np.str_("x")),
    ([1, 2], (1.0, 2.0)),
    ([1, 2], np.array([1, 2])),
    ([[1, nan], [3, 4]], np.array([[1, nan], [3, 4]])),
    ({"k": [1, nan]}, {"k": (1.0, nan)}),
    ({1, 2}, frozenset([2.0, 1.0])),
    (Frozen(1), Frozen(1)),
    (Colour.RED, Colour.RED),
    (math.sin, math.sin),
    (None, None),
    (pd.Timestamp("2020-01-01"), datetime.datetime(2020, 1, 1)),
    (np.datetime64("NaT", "s"), np.datetime64("NaT", "ms")),
]

UNEQUAL = [
    (2**53 + 1, 2.0**53),
    (2**60 + 1, 2.0**60),
    (2**70 + 1, 2.0**70),
    (np.uint64(2**64 - 1), -1),
    (0.1, np.float32(0.1)),
    (1, "1"),
    ("x", b"x"),
    (None, nan),
    (0, None),
    ([1, 2], [2, 1]),
    ([1, 2], [1, 2, 3]),
    ([1], 1),
    ([1, 2**53 + 1], [1, 2.0**53]),
    ({"k": 1}, {"k": 2}),
    (Frozen(1), Frozen(2)),
    (Colour.RED, Colour.BLUE),
    (math.sin, math.cos),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_values_match(left, right):
    assert not is_missing(left, right)
    assert not is_missing(right, left)


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_unequal_values_do_not_match(left, right):
    assert is_missing(left, right)
    assert is_missing(right, left)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (threading.Lock(), "lock"),
        (Refuses(), "Refuses"),
        ([threading.Lock()], "lock"),
    ],
)
def test_values_that_cannot_be_compared_are_named_in_one_line(value, kind):
    with pytest.raises(PsyrunError, match=f"'a' holds values of type {kind}") as error:
        match_rows(Param(a=[value]), Param(a=[value]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u8", "f2", "f4", "f8", "O", "?"])
def test_arrays_of_any_number_type_match_lists(dtype):
    space = Param(a=np.array([0, 1, 1], dtype=dtype))
    assert match_rows(space, Param(a=[1, 0, 1])).tolist() == [1, 0, 2]


@pytest.mark.parametrize("dtype", ["c8", "g", "U3", "S3", "M8[D]", "m8[s]"])
def test_arrays_of_other_types_match_themselves(dtype):
    array = np.array([3, 1, 2]).astype(dtype)
    places = match_rows(Param(a=array), Param(a=list(array[::-1])))
    assert places.tolist() == [2, 1, 0]


def test_large_integers_are_told_apart_in_a_column_with_floats():
    space = Param(a=[2**53, 2**53 + 1, 0.5])
    places = match_rows(space, Param(a=np.array([2.0**53, 0.5])))
    assert places.tolist() == [0, -1, 1]


def test_floats_that_differ_in_their_exponent_alone_are_told_apart_quickly():
    powers = np.ldexp(1.0, np.arange(-1000, 1000))
    space = Param(a=powers) * Param(b=powers[::40])
    start = time.process_time()
    assert match_rows(space, space).tolist() == list(range(len(space)))
    assert time.process_time() - start < 2


# --- Pairs ----------------------------------------------------------------------


def test_each_old_row_is_used_once_and_in_order():
    space = Param(a=[1, 1, 1, 2])
    assert match_rows(space, {"a": [2, 1, 3, 1]}).tolist() == [1, 3, -1, 0]


def test_columns_of_results_are_ignored():
    old = {"a": [2, 1], "y": [object(), object()]}
    assert match_rows(Param(a=[1, 2]), old).tolist() == [1, 0]


def test_a_key_that_is_absent_in_old_rows_equals_nan_only():
    space = Param(a=[1, 1], b=[5, nan])
    assert match_rows(space, {"a": [1, 1]}).tolist() == [-1, 0]


def test_old_rows_with_none_of_the_keys_are_counted():
    space = Param(a=[nan, nan, nan])
    assert match_rows(space, {"y": [1, 2]}).tolist() == [0, 1, -1]


def test_only_the_given_keys_are_compared():
    space = Param(a=[1, 2], b=[object(), object()])
    assert match_rows(space, {"a": [2, 1]}, keys=["a"]).tolist() == [1, 0]
    assert match_rows(space, {"a": [7]}, keys=[]).tolist() == [0, -1]


@pytest.mark.parametrize("old", [{}, {"a": []}, Param(), Param(a=[])])
def test_nothing_matches_if_there_are_no_old_rows(old):
    assert match_rows(Param(a=[1, 2]), old).tolist() == [-1, -1]


def test_a_space_without_points_has_no_places():
    places = match_rows(Param(a=[]), Param(a=[1]))
    assert places.shape == (0,)
    assert places.dtype == np.int64


def test_rows_that_a_file_holds_as_arrays_match_the_lists_of_a_space():
    space = Param(position=[[0, 1], [2, 3]]) * Param(name=["x", "y"])
    old = {
        "position": np.array([[2, 3], [0, 1]]),
        "name": np.array(["x", "y"]),
    }
    assert match_rows(space, old).tolist() == [-1, 1, 0, -1]


def test_a_slice_of_a_huge_space_is_matched_by_its_own_size():
    space = Param(a=range(10**9)) * Param(b=np.linspace(0, 1, 1000))
    old = space[500_000:500_010].build()
    places = match_rows(space[500_005:500_015], old)
    assert places.tolist() == [5, 6, 7, 8, 9, -1, -1, -1, -1, -1]


def test_a_million_rows_take_seconds():
    numbers = np.random.default_rng(0).random((10**6, 2))
    space = Param(a=numbers[:, 0], b=numbers[:, 1])
    start = time.process_time()
    places = match_rows(space, space[::-1])
    assert time.process_time() - start < 3
    assert (places == np.arange(10**6)[::-1]).all()


def same(left, right) -> bool:
    return left == right or (left != left and right != right)


def naive_places(new: list[dict], old: list[dict]) -> list[int]:
    free, places = list(range(len(old))), []
    for row in new:
        equal = [i for i in free if all(same(row[k], old[i].get(k, nan)) for k in row)]
        places.append(equal[0] if equal else -1)
        free = [i for i in free if i not in equal[:1]]
    return places


cells = (
    st.integers(-2, 2)
    | st.sampled_from([nan, 0.5, 1.0, -0.0, 2**53, 2**53 + 1, 2.0**53, -(2**63)])
    | st.sampled_from([2**63, "x", None, True, 1e300])
)
pairs = st.lists(st.tuples(cells, cells), max_size=12)
integers = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(pairs | integers, pairs | integers, st.sampled_from(["ab", "a", "c"]))
@example([], [], "ab")
@example([(2**53, 0)], [(2.0**53 + 2, 0), (2**53, 0)], "ab")
def test_pairs_agree_with_a_naive_search(new, old, old_keys):
    new_rows = [dict(zip("ab", row, strict=True)) for row in new]
    old_rows = [dict(zip(old_keys, row, strict=False)) for row in old]
    space = Param(a=[row["a"] for row in new_rows], b=[row["b"] for row in new_rows])
    columns = {key: [row[key] for row in old_rows] for key in old_keys}
    assert match_rows(space, columns).tolist() == naive_places(new_rows, old_rows)
    assert match_rows(space, Param(**columns)).tolist() == naive_places(
        new_rows, old_rows
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32), max_size=30), st.randoms(use_true_random=False))
def test_a_shuffled_copy_is_found_completely(floats, source):
    shuffled = list(floats)
    source.shuffle(shuffled)
    places = match_rows(Param(a=np.array(floats)), Param(a=shuffled))
    assert sorted(places.tolist()) == list(range(len(floats)))
    assert all(same(floats[i], shuffled[place]) for i, place in enumerate(places))


@given(st.lists(st.sampled_from([0, 1, 2.5, nan]), max_size=9), st.data())
def test_a_common_beginning_changes_no_pair(values, data):
    n_common = data.draw(st.integers(0, len(values)))
    more = data.draw(st.lists(st.sampled_from([0, 1, 2.5, nan, "x"]), max_size=5))
    new, old = Param(a=values), Param(a=values[:n_common] + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equality, "_AT_ONCE", 2)
        found = match_rows(new, old)
    expected = pair_rows(*equal_rows([new, old], ["a"]))
    np.testing.assert_array_equal(found, expected)


def test_rows_that_are_appended_are_found_without_comparing_others(monkeypatch):
    compared = []

    def watched(spaces, keys):
        compared.append([len(space) for space in spaces])
        return equal_rows(spaces, keys)

    monkeypatch.setattr(matching, "equal_rows", watched)
    numbers = np.random.default_rng(0).random(1001)
    found = match_rows(Param(a=numbers), Param(a=numbers[:1000]))
    np.testing.assert_array_equal(found, [*range(1000), -1])
    assert compared == [[1, 0]]
