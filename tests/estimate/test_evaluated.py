"""Rows of a space from which all of it is predicted."""

import numpy as np
import pytest

from psyrun.estimate.evaluated import listed_or_spread_rows, spread_rows


@pytest.mark.parametrize(("size", "n"), [(10, 3), (1000, 999), (10**12, 50)])
def test_spread_rows_are_one_of_each_of_equal_parts(size: int, n: int) -> None:
    rows = spread_rows(size, n, seed=1)
    edges = np.linspace(0, size, n + 1).astype(np.int64)
    assert (edges[:-1] <= rows).all()
    assert (rows < edges[1:]).all()


@pytest.mark.parametrize("size", [0, 1, 5])
def test_of_few_rows_all_are_taken(size: int) -> None:
    assert spread_rows(size, 5, seed=0).tolist() == list(range(size))
    assert listed_or_spread_rows(size).tolist() == list(range(size))


def test_only_of_very_many_rows_a_sample_is_predicted() -> None:
    assert len(listed_or_spread_rows(2**21)) == 2**21
    rows = listed_or_spread_rows(2**21 + 1, seed=3)
    assert rows.tolist() == spread_rows(2**21 + 1, 2**18, seed=3).tolist()
