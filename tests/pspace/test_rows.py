"""Chosen rows, against lists of numbers."""

from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.pspace.permutation import Permutation
from psyrun.pspace.rows import (
    BitmapRows,
    Rows,
    ShuffledRows,
    listed_rows,
    picked,
    places_of,
    rows_where,
)

MASKS = st.builds(
    lambda size, share, seed: np.random.default_rng(seed).random(size) < share,
    st.integers(1, 5000),
    st.sampled_from([0.0, 0.001, 0.3, 0.9, 1.0]),
    st.integers(0, 99),
)


@settings(max_examples=100, deadline=None)
@given(MASKS, st.lists(st.integers(0, 4999), max_size=8))
def test_rows_of_a_bitmap_are_those_whose_bit_is_set(mask, some) -> None:
    rows, expected = BitmapRows(mask), np.flatnonzero(mask)
    rows = pickle.loads(pickle.dumps(rows))
    check(rows, expected, len(mask))
    few = np.array([i % len(expected) for i in some] if len(expected) else [], np.int64)
    assert rows.take(few).tolist() == expected[few].tolist()
    assert [rows[i] for i in few.tolist()] == expected[few].tolist()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.slices(200), st.integers(0, 9))
def test_parts_of_a_shuffle_are_those_of_the_list(size, part, seed) -> None:
    permutation = Permutation(size, str(seed))
    rows = ShuffledRows(permutation, range(size))
    order = [rows[i] for i in range(size)]
    assert sorted(order) == list(range(size))
    found = rows.part(range(size)[part])
    check(found, np.array(order[part], dtype=np.int64), size)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_rows_that_are_evenly_spaced_are_a_range(bits) -> None:
    found, expected = rows_where(np.array(bits)), np.flatnonzero(bits)
    assert listed_rows(found).tolist() == expected.tolist()
    is_even = len(set(np.diff(expected).tolist())) <= 1
    assert isinstance(found, range) == is_even


def test_few_rows_of_many_are_a_list_and_many_are_bits() -> None:
    few, many = np.zeros(10**5, dtype=bool), np.ones(10**5, dtype=bool)
    few[[3, 5, 99_999]], many[[3, 5, 99_999]] = True, False
    assert rows_where(few).tolist() == [3, 5, 99_999]
    assert isinstance(rows_where(many), BitmapRows)
    assert len(pickle.dumps(rows_where(many))) < 10**5 // 8 + 3000


def check(rows: Rows, expected, size: int) -> None:
    assert len(rows) == len(expected)
    assert listed_rows(rows).tolist() == expected.tolist()
    places = dict(zip(expected.tolist(), range(len(expected)), strict=True))
    asked = np.arange(-2, size)
    asked = asked[asked < size]
    found = places_of(rows, asked).tolist()
    assert found == [places.get(row, -1) for row in asked.tolist()]
    assert picked(rows, np.arange(len(rows))[::-1]).tolist() == expected[::-1].tolist()
