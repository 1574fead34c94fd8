"""Integers that are kept as progressions come back as they were."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.workdir import progressions
from psyrun.workdir.progressions import Progressions, compact, expanded

parts = st.tuples(st.integers(-9, 9), st.integers(-2, 2), st.integers(1, 6))


@given(st.lists(parts, min_size=1, max_size=8))
def test_numbers_come_back(found: list[tuple[int, int, int]]) -> None:
    arrays = [start + step * np.arange(length) for start, step, length in found]
    numbers = np.concatenate(arrays).astype(np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progressions, "_FEWEST", 0)
        kept = compact(numbers)
    assert isinstance(kept, Progressions)
    assert expanded(kept).dtype == np.int64
    np.testing.assert_array_equal(expanded(kept), numbers)


def test_rows_that_follow_one_another_take_no_room() -> None:
    n_rows = 100_000
    rows = np.concatenate([np.arange(n_rows), [-1], np.arange(n_rows, 2 * n_rows)])
    assert len(pickle.dumps(compact(rows))) < 300
    assert len(pickle.dumps(compact(np.zeros(n_rows, np.int64)))) < 300


def test_numbers_without_order_stay_as_they_are() -> None:
    numbers = np.random.default_rng(0).permutation(20_000)
    assert compact(numbers) is numbers
    few = np.arange(5)
    assert compact(few) is few
    assert compact(None) is None
