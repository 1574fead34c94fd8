"""Ranges of numbers are those that a binary search finds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.results.rules.ranges import ranges_of

N = 20_000
RANDOM = np.random.default_rng(0)
UNIFORM = RANDOM.random(N)
IS_RARE = UNIFORM < 0.1
DRAWN = {
    "uniform": UNIFORM,
    "single precision": UNIFORM.astype(np.float32),
    "normal": RANDOM.normal(size=N),
    "both signs, long tails": RANDOM.standard_cauchy(N),
    "log-uniform": 10 ** (8 * UNIFORM - 6),
    "negative": -(10 ** (8 * UNIFORM - 6)),
    "zeros among small ones": np.where(IS_RARE, -0.0, 1e-300 * UNIFORM),
    "infinite": np.where(IS_RARE, math.inf, np.exp(9 * RANDOM.normal(size=N))),
    "negative infinite": np.where(IS_RARE, -math.inf, UNIFORM),
    "wider than floats": np.where(IS_RARE, 1.7e308, -1.7e308 * UNIFORM),
    "integers": RANDOM.integers(-(10**6), 10**6, N),
    "integers of 64 bits": RANDOM.integers(-(2**63), 2**63 - 1, N),
    "unsigned": RANDOM.integers(0, 2**64 - 1, N, dtype=np.uint64),
    "log-uniform integers": (10 ** (9 * UNIFORM)).astype(np.int64),
    "near together": 1e15 + RANDOM.integers(0, 9, N),
    "subnormal": 5e-324 * RANDOM.integers(0, 900, N),
}


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize("n_limits", [1, 2, 200, 1200])
def test_ranges_of_drawn_numbers(name: str, n_limits: int) -> None:
    values = DRAWN[name]
    limits = np.unique(values[np.isfinite(values)][:n_limits])
    expected = np.searchsorted(limits, values, side="right")
    np.testing.assert_array_equal(ranges_of(values, limits), expected)


numbers = st.one_of(
    st.floats(allow_nan=False), st.integers(-9, 9).map(float), st.floats(0.9, 1.1)
)


@given(st.lists(numbers, min_size=1), st.lists(numbers))
def test_ranges_of_any_numbers(some: list[float], more: list[float]) -> None:
    limits = np.unique([x for x in some if math.isfinite(x)] or [0.0])
    values = np.array([*some, *more])
    expected = np.searchsorted(limits, values, side="right")
    np.testing.assert_array_equal(ranges_of(values, limits), expected)
