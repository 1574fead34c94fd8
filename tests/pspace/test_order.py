"""Orders of evaluation: bijections, of which any first part covers the space."""

from __future__ import annotations

import pickle
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import qmc

from psyrun import Param
from psyrun.pspace import ParameterSpace
from psyrun.pspace.order import Lattice, Order, discrepancy, order_of

HUGE = Param(a=range(10**6)) * Param(b=range(10**6))


def axis(name: str, size: int) -> ParameterSpace:
    return Param(**{name: range(size)})


@st.composite
def spaces(draw: st.DrawFn, depth: int = 2) -> ParameterSpace:
    """Products, sums, slices and differences of small axes."""
    kind = draw(st.sampled_from(["axis", "product", "sum", "slice", "difference"]))
    if kind == "axis" or depth == 0:
        sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
        space = axis("a", sizes[0])
        for name, size in zip("bc", sizes[1:], strict=False):
            space = space * axis(name, size)
        return space
    first = draw(spaces(depth=depth - 1))
    if kind == "product":
        return first * axis(f"x{depth}", draw(st.integers(1, 5)))
    if kind == "sum":
        return first + draw(spaces(depth=depth - 1))
    if kind == "slice":
        step = draw(st.sampled_from([1, 2, -1]))
        return first[draw(st.integers(0, 3)) :: step]
    return first - Param(a=draw(st.integers(0, 5)))


@settings(max_examples=300)
@given(spaces(), st.sampled_from(["even", "random"]))
def test_each_point_has_one_time(space: ParameterSpace, name: str) -> None:
    order = order_of(space, name)
    assert order is not None
    times = np.arange(len(space))
    points = order.points(times)
    assert sorted(points.tolist()) == times.tolist()
    assert order.times(points).tolist() == times.tolist()
    again = pickle.loads(pickle.dumps(order))
    assert again.points(times).tolist() == points.tolist()


def test_the_order_of_the_space_needs_none() -> None:
    assert order_of(HUGE, "space") is None


@pytest.mark.parametrize("name", ["even", "random"])
@pytest.mark.parametrize(
    "space",
    [HUGE, HUGE + Param(c=range(10**9)), HUGE + HUGE],
    ids=["a product", "a sum", "a sum of large ones"],
)
def test_huge_spaces_are_not_listed(space: ParameterSpace, name: str) -> None:
    order = order_of(space, name)
    assert order is not None
    times = np.arange(100) * (len(space) // 100)
    points = order.points(times)
    assert len(set(points.tolist())) == 100
    assert order.times(points).tolist() == times.tolist()
    # One by one it is the same.
    assert [int(order.points(times[i : i + 1])[0]) for i in range(5)] == [*points[:5]]


def test_the_terms_of_a_sum_are_evaluated_in_proportion() -> None:
    small, large = axis("a", 10), axis("b", 90)
    order = order_of(small + large, "even")
    assert order is not None
    for n in range(1, 101):
        n_small = int((order.points(np.arange(n)) < 10).sum())
        assert abs(n_small - n / 10) < 1


def test_sums_of_many_terms_are_ordered_as_those_of_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = sum((axis(f"x{n}", n % 7 + 1) for n in range(9)), axis("a", 50))
    listed = order_of(space, "even")
    monkeypatch.setattr("psyrun.pspace.order._FEW_PARTS", 100)
    exact = order_of(space, "even")
    assert listed is not None and exact is not None
    times = np.arange(len(space))
    assert listed.points(times).tolist() == exact.points(times).tolist()
    assert listed.times(times).tolist() == exact.times(times).tolist()


def test_an_order_takes_no_room_where_the_space_takes_none() -> None:
    sampled = HUGE.sample(10**6, seed=1)
    assert len(pickle.dumps(order_of(sampled, "even"))) < 10_000


def first_points(order: Order, shape: list[int], n: int) -> NDArray[np.float64]:
    return in_cube(order.points(np.arange(n)), shape)


def in_cube(points: NDArray[np.int64], shape: list[int]) -> NDArray[np.float64]:
    indices = np.stack(np.unravel_index(points, shape), axis=1)
    return (indices + 0.5) / np.array(shape)


def shapes(n: int) -> list[list[int]]:
    rng = np.random.default_rng(1)
    found = []
    while len(found) < n:
        shape = rng.integers(2, 40, size=rng.integers(2, 5)).tolist()
        if 40 <= np.prod(shape) <= 40_000:
            found.append(shape)
    return found


def test_discrepancies_are_those_of_scipy() -> None:
    points = np.random.default_rng(1).random((50, 3))
    expected = qmc.discrepancy(points, method="CD")
    assert discrepancy(points) == pytest.approx(expected, abs=1e-12)


def test_first_parts_are_more_even_than_a_shuffle_and_as_even_as_sobol() -> None:
    rng = np.random.default_rng(2)
    to_shuffle, to_sobol = [], []
    for shape in shapes(100):
        size = int(np.prod(shape))
        order = Lattice.of(shape)
        for n in (max(2, size // 20), max(2, size // 10)):
            n = min(n, 400)
            own = discrepancy(first_points(order, shape, n)) ** 0.5
            shuffled = [rng.permutation(size)[:n] for _ in range(10)]
            random = [discrepancy(in_cube(some, shape)) ** 0.5 for some in shuffled]
            to_shuffle.append(own / statistics.mean(random))
            sobol = discrepancy(in_cube(sobol_points(shape, n), shape)) ** 0.5
            to_sobol.append(own / sobol)
    assert max(to_shuffle) < 1
    assert statistics.median(to_shuffle) < 0.8
    assert statistics.median(to_sobol) < 1.1


def sobol_points(shape: list[int], n: int) -> NDArray[np.int64]:
    """Return the first different points of a grid that a Sobol sequence meets."""
    sequence = qmc.Sobol(len(shape), seed=3)
    found: dict[int, None] = {}
    while len(found) < n:
        cells = (sequence.random(512) * np.array(shape)).astype(int)
        found |= dict.fromkeys(np.ravel_multi_index(tuple(cells.T), shape).tolist())
    return np.array(list(found)[:n])


@pytest.mark.parametrize("shape", [[11, 20], [3, 3, 3, 3], [5, 40], [40, 5], [100]])
def test_each_value_of_each_axis_comes_early(shape: list[int]) -> None:
    order = Lattice.of(shape)
    size, longest = int(np.prod(shape)), max(shape)
    points = order.points(np.arange(min(size, 3 * longest)))
    for place, indices in enumerate(np.unravel_index(points, shape)):
        assert len(set(indices.tolist())) == shape[place]


def test_the_first_point_is_in_the_middle() -> None:
    order = order_of(axis("a", 11) * axis("b", 21), "even")
    assert order is not None
    first = int(order.points(np.array([0]))[0])
    assert np.unravel_index(first, (11, 21)) == (5, 10)
