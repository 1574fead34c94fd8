"""Sharing out a space among jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from psyrun.backend import DistributeBackend, LoadBalancingBackend, equal_ranges

items = st.integers(0, 3000)
at_least_one = st.integers(1, 200)


def batches(n_items: int, max_jobs: int, min_items: int) -> list[tuple[int, int]]:
    n_blocks = DistributeBackend().n_blocks(n_items, max_jobs, min_items)
    return equal_ranges(n_items, n_blocks)


@given(items, at_least_one, at_least_one)
def test_batches_cover_the_space_once_and_in_order(n_items, max_jobs, min_items):
    ranges = batches(n_items, max_jobs, min_items)
    covered = [i for start, stop in ranges for i in range(start, stop)]
    assert covered == list(range(n_items))


@given(items, at_least_one, at_least_one)
def test_batches_are_equal_within_one_and_not_too_many(n_items, max_jobs, min_items):
    sizes = [stop - start for start, stop in batches(n_items, max_jobs, min_items)]
    assert len(sizes) <= max_jobs
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


@given(items, at_least_one, at_least_one)
def test_no_batch_is_smaller_than_min_items(n_items, max_jobs, min_items):
    sizes = [stop - start for start, stop in batches(n_items, max_jobs, min_items)]
    assert all(size >= min(min_items, n_items) for size in sizes)


def test_as_many_jobs_as_allowed_are_used():
    assert DistributeBackend().n_blocks(5000, max_jobs=100, min_items=10) == 100
    assert DistributeBackend().n_blocks(50, max_jobs=100, min_items=10) == 5
    assert DistributeBackend().n_blocks(3, max_jobs=100, min_items=10) == 1


def test_nothing_to_evaluate_needs_no_job():
    assert batches(0, 100, 1) == []


def test_load_balancing_takes_no_more_jobs_than_assignments():
    backend = LoadBalancingBackend()
    assert backend.n_blocks(2, max_jobs=4, min_items=1) == 2
    assert backend.n_blocks(10, max_jobs=4, min_items=10) == 4
    assert backend.n_blocks(0, max_jobs=4, min_items=1) == 0
