"""Permutations: each place once, found both ways, and the same for ever."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.pspace.permutation import Permutation

FEW = [2, 0, 7, 3, 1, 8, 9, 6, 5, 4]
MANY = [222340207706, 995470264749, 963118037132]
SIZES = st.integers(1, 300) | st.integers(2**16 - 2, 2**16 + 300)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.text(max_size=3))
def test_each_number_stands_at_one_place(size: int, text: str) -> None:
    permutation, places = Permutation(size, text), np.arange(size)
    numbers = permutation.take(places)
    assert np.array_equal(np.sort(numbers), places)
    assert np.array_equal(permutation.places(numbers), places)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**63 - 1), st.data())
def test_single_places_are_those_of_many(size: int, data: st.DataObject) -> None:
    permutation = pickle.loads(pickle.dumps(Permutation(size, "x")))
    places = data.draw(st.lists(st.integers(0, size - 1), max_size=5))
    found = permutation.take(np.array(places, dtype=np.int64))
    assert found.tolist() == [permutation[place] for place in places]
    assert permutation.places(found).tolist() == places
    assert all(0 <= number < size for number in found.tolist())


def test_an_order_never_changes() -> None:
    """Else a sweep that is drawn at random would be another one after an update."""
    assert [Permutation(10, "1 a")[i] for i in range(10)] == FEW
    assert [Permutation(10**12, "1 a")[i] for i in range(3)] == MANY


@pytest.mark.parametrize("size", [3, 4])
def test_all_orders_of_few_places_are_equally_likely(size: int) -> None:
    n_orders = {3: 6, 4: 24}[size]
    orders = Counter(
        tuple(Permutation(size, str(seed)).take(np.arange(size)).tolist())
        for seed in range(200 * n_orders)
    )
    assert len(orders) == n_orders
    chi_square = sum((count - 200) ** 2 / 200 for count in orders.values())
    assert chi_square < n_orders + 5 * (2 * n_orders) ** 0.5


def test_the_first_places_of_many_are_spread_evenly() -> None:
    size, n_bins, n = 10**12, 50, 20_000
    numbers = Permutation(size, "0").take(np.arange(n))
    counts = np.bincount(numbers // (size // n_bins), minlength=n_bins)
    chi_square = float(((counts - n / n_bins) ** 2 / (n / n_bins)).sum())
    assert chi_square < n_bins + 5 * (2 * n_bins) ** 0.5
    # Neighbours do not follow each other.
    correlation = np.corrcoef(numbers[:-1], numbers[1:])[0, 1]
    assert abs(correlation) < 5 / n**0.5
