"""Blocks of about equal predicted time."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.errors import PsyrunError
from psyrun.estimate.blocks import (
    equal_blocks,
    last_end,
    portions,
    shared_blocks,
    slowest_first,
)
from psyrun.estimate.columns import Floats


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


def test_times_may_be_as_small_as_numbers_can_be() -> None:
    times = np.full(8, np.nextafter(0.0, 1.0))
    assert equal_blocks(times, 4).tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("times", "n", "said"),
    [([1.0], 0, "1 or more"), ([-1.0], 1, "negative"), ([np.nan], 1, "finite")],
)
def test_impossible_blocks_are_refused(times: list[float], n: int, said: str) -> None:
    with pytest.raises(PsyrunError, match=said):
        equal_blocks(np.array(times), n)


def test_beside_one_assignment_that_takes_long_the_others_are_even() -> None:
    times = np.ones(1000)
    times[500] = 300.0
    starts = equal_blocks(times, 101)
    sums = np.add.reduceat(times, starts[:-1])
    assert sorted(sums)[-2] <= 11.0


def test_slow_blocks_are_started_first() -> None:
    times = np.array([2.0, 9.0, 4.0, 4.1, 1.0])
    assert slowest_first(times).tolist() == [1, 2, 3, 0, 4]
    assert slowest_first(np.zeros(3)).tolist() == [0, 1, 2]


def test_slow_blocks_first_end_near_the_lower_bound() -> None:
    times = np.sort(np.random.default_rng(1).lognormal(0, 1.5, 400))
    sums = np.add.reduceat(times, np.arange(0, 400, 5))
    bound = max(times.sum() / 8, sums.max())
    assert last_end(sums[slowest_first(sums)].tolist(), 8) <= 1.1 * bound


def test_the_last_end_is_that_of_workers_that_take_what_comes() -> None:
    assert last_end([3.0, 1.0, 1.0, 2.0], 2) == 4.0
    assert last_end([3.0, 1.0], 1) == 4.0
    assert last_end([], 3) == 0.0


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=60),
    st.integers(1, 9),
    st.booleans(),
)
def test_each_block_has_some_of_the_assignments(
    times: list[int], n: int, are_sorted: bool
) -> None:
    floats = np.array(times, float)
    shared = shared_blocks(floats, n, are_sorted=are_sorted)
    sizes, n = np.diff(shared.starts), min(n, len(times))
    assert (shared.starts[0], shared.starts[-1]) == (0, len(times))
    assert (sizes > 0).all()
    assert sorted({*shared.blocks.tolist()}) == list(range(n))
    owners = np.repeat(shared.blocks, sizes)
    assert np.bincount(owners, floats, n) == pytest.approx(shared.times)
    # Graham's bound of 1966 for whoever takes the next one when idle.
    bound = floats.sum() / n + (1 - 1 / n) * floats.max()
    assert shared.times.max() <= bound + 1e-6
    if not are_sorted:
        firsts = [owners.tolist().index(block) for block in range(n)]
        assert firsts == sorted(firsts)


@pytest.mark.parametrize("n", [8, 100, 1000])
def test_few_assignments_that_differ_much_are_even(n: int) -> None:
    times = np.random.default_rng(3).lognormal(0, 1, 20 * n)
    shared = shared_blocks(times, n)
    assert shared.times.max() <= 1.05 * max(times.sum() / n, times.max())
    assert len(shared.blocks) <= max(256, 4 * n)


@pytest.mark.parametrize(
    ("n", "n_at_once", "most"),
    [(100, 8, 1.02), (100, 16, 1.04), (30, 4, 1.03), (20, 8, 1.2)],
)
def test_of_many_blocks_the_last_are_short(n: int, n_at_once: int, most: float) -> None:
    times = np.random.default_rng(n).lognormal(0, 1, 3000)
    found = shared_blocks(times, n, n_at_once=n_at_once)
    sums = np.bincount(found.blocks, np.add.reduceat(times, found.starts[:-1]), n)
    assert sums == pytest.approx(found.times)
    assert sums.sum() == pytest.approx(times.sum())
    assert 0 < sums.min() < 0.75 * sums.max()
    equal = shared_blocks(times, n).times
    fair = times.sum() / n_at_once
    assert last_end(sums, n_at_once) < min(most * fair, last_end(equal, n_at_once))
    # Some of them take half as long again.
    factors = np.random.default_rng(0).choice([1.0, 1.5], n)
    end = last_end(sums * factors, n_at_once)
    assert end < most * (sums * factors).sum() / n_at_once
    assert end < last_end(equal * factors, n_at_once)


@pytest.mark.parametrize(
    ("n", "n_at_once", "size"), [(8, 8, 999), (100, 64, 999), (9, 1, 99), (90, 8, 100)]
)
def test_few_blocks_for_each_worker_are_equal(
    n: int, n_at_once: int, size: int
) -> None:
    times = np.random.default_rng(n).lognormal(0, 1, size)
    found, equal = shared_blocks(times, n, n_at_once=n_at_once), shared_blocks(times, n)
    assert found.times == pytest.approx(equal.times, rel=0.1)
    assert set(found.blocks.tolist()) == set(range(n))


def portions_of(times: Floats, n_workers: int, fraction: int = 16) -> list[Floats]:
    found = portions(times, n_workers, fraction)
    pieces = [times[a:b] for a, b in pairwise(found.starts.tolist())]
    taken: list[list[Floats]] = [[] for _ in found.times]
    for number, piece in zip(found.blocks.tolist(), pieces, strict=True):
        taken[number].append(piece)
    assert [sum(map(np.sum, each)) for each in taken] == pytest.approx(
        found.times.tolist()
    )
    return [np.concatenate(each) for each in taken]


@pytest.mark.parametrize("n_workers", [1, 2, 8, 100])
@pytest.mark.parametrize("n", [1, 3, 50, 5000])
def test_portions_have_all_and_the_slowest_first(n: int, n_workers: int) -> None:
    times = np.random.default_rng(n).lognormal(0, 2, n)
    found = portions_of(times, n_workers)
    assert sorted(np.concatenate(found)) == sorted(times)
    # All that takes longer than a tenth of a fair share, less what counts as equal.
    slow = times.sum() / n_workers / 10
    longest = [each.max() for each in found if each.max() > slow]
    assert all(b <= a / 0.9 for a, b in pairwise(longest))
    bound = max(times.max(), times.sum() / n_workers)
    assert last_end(map(np.sum, found), n_workers) <= 1.34 * bound


@pytest.mark.parametrize("n_workers", [2, 8, 50])
def test_workers_that_fetch_the_slowest_first_end_together(n_workers: int) -> None:
    times = np.random.default_rng(n_workers).pareto(1.5, 200 * n_workers)
    found = portions_of(times, n_workers)
    bound = max(times.max(), times.sum() / n_workers)
    assert last_end(map(np.sum, found), n_workers) <= 1.01 * bound
    assert len(found) < 200 * n_workers


def test_portions_of_a_million_are_not_many() -> None:
    times = np.random.default_rng(0).lognormal(0, 1, 10**6)
    found = portions(times, 100, 16)
    assert len(found.times) < 120 * 100
    assert last_end(found.times, 100) <= 1.01 * times.sum() / 100


def test_workers_end_together_where_a_part_takes_longer_than_predicted() -> None:
    times = np.exp(np.random.default_rng(1).normal(0, 0.3, 4000))
    found = portions(times, 8, 16)
    times[1000:2000] *= 3.0
    sums = np.add.reduceat(times, found.starts[:-1])
    ends = np.bincount(found.blocks, sums)
    assert last_end(ends, 8) <= 1.03 * times.sum() / 8


def test_what_is_predicted_to_take_no_time_is_shared_too() -> None:
    for times in (np.zeros(1000), np.repeat([0.0, 1.0], 500)):
        found = portions_of(times, 4)
        assert max(map(len, found)) <= 250
    assert portions_of(np.empty(0), 4) == []
