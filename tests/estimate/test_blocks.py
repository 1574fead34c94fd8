"""Blocks of about equal predicted time."""

import heapq
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.errors import PsyrunError
from psyrun.estimate.blocks import equal_blocks, slowest_first


def longest(times: list[float], starts: list[int]) -> float:
    return max(sum(times[a:b]) for a, b in pairwise(starts))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(1, 4))
def test_no_division_has_a_shorter_longest_block(times: list[int], n: int) -> None:
    floats = [float(time) for time in times]
    starts = equal_blocks(np.array(floats), n).tolist()
    assert starts[0] == 0
    assert starts[-1] == len(times)
    assert all(a < b for a, b in pairwise(starts))
    n = min(n, len(times))
    assert len(starts) == n + 1
    best = min(
        longest(floats, [0, *cuts, len(times)])
        for cuts in combinations(range(1, len(times)), n - 1)
    )
    assert longest(floats, starts) == pytest.approx(best, abs=1e-6)


def test_a_million_assignments_are_cut_into_even_blocks() -> None:
    times = np.random.default_rng(0).lognormal(0, 1, 10**6)
    starts = equal_blocks(times, 100)
    sums = np.add.reduceat(times, starts[:-1])
    assert sums.max() < 1.001 * times.sum() / 100


def test_no_assignments_are_no_blocks() -> None:
    assert equal_blocks(np.empty(0), 3).tolist() == [0]


@pytest.mark.parametrize(
    ("times", "n", "said"),
    [([1.0], 0, "1 or more"), ([-1.0], 1, "negative"), ([np.nan], 1, "finite")],
)
def test_impossible_blocks_are_refused(times: list[float], n: int, said: str) -> None:
    with pytest.raises(PsyrunError, match=said):
        equal_blocks(np.array(times), n)


def test_slow_blocks_are_started_first() -> None:
    times = np.array([1.0, 1.0, 9.0, 2.0, 2.0, 4.0])
    order = slowest_first(times, np.array([0, 2, 3, 5, 6]))
    assert order.tolist() == [1, 2, 3, 0]


def test_slow_blocks_first_end_near_the_lower_bound() -> None:
    times = np.sort(np.random.default_rng(1).lognormal(0, 1.5, 400))
    starts = np.arange(0, 401, 5)
    sums = np.add.reduceat(times, starts[:-1])
    workers = [0.0] * 8
    for block in slowest_first(times, starts):
        heapq.heapreplace(workers, workers[0] + sums[block])
    bound = max(times.sum() / 8, sums.max())
    assert max(workers) <= 1.1 * bound
