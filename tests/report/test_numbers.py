"""Numbers have as many digits as tell them apart, and ticks are round."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from psyrun.pspace import Random, log, uniform
from psyrun.report.numbers import (
    is_geometric,
    number_text,
    texts_of,
    tick_texts,
    ticks_around,
    ticks_between,
)

finite = st.floats(-1e300, 1e300, allow_nan=False)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.25, "0.25"), (1e-5, "1e-05"), (123456, "123456"), (-0.0, "0"), (3.0, "3")],
)
def test_numbers_are_short(number, text):
    assert number_text(number) == text


@given(st.lists(st.floats(allow_nan=False), min_size=1, unique=True))
def test_different_numbers_have_different_texts(numbers):
    values = np.array(numbers)
    assert len(set(texts_of(values))) == len(np.unique(values))


def test_a_missing_date_has_its_name_whole():
    assert texts_of(np.array(["2024-01-01", "NaT"], "datetime64[D]"))[1] == "NaT"


def test_dates_have_as_little_time_as_tells_them_apart():
    days = np.array(["2024-01-01", "2024-01-03"], "datetime64[s]")
    assert texts_of(days) == ["2024-01-01", "2024-01-03"]
    minutes = np.array(["2024-01-01T10:00", "2024-01-01T10:30"], "datetime64[ms]")
    assert texts_of(minutes) == ["2024-01-01 10:00", "2024-01-01 10:30"]


@given(finite, finite, st.integers(1, 12))
@example(1.0, math.nextafter(1.0, 2.0), 1)
@example(-9.999999999999468e299, -9.99999999999947e299, 1)
@example(-9.999999999999468e299, -9.99999999999946e299, 8)
def test_ticks_enclose_a_range(a, b, most):
    low, high = sorted((a, b))
    ticks = ticks_around(low, high, most)
    spare = max(high - low, abs(low)) * 1e-8
    assert ticks[0] <= low + spare and ticks[-1] >= high - spare
    assert 2 <= len(ticks) <= most + 3
    assert len(set(tick_texts(ticks))) == len(ticks)


def test_ticks_between_are_within():
    assert ticks_between(0.0, 1.0, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks_between(0.1, 0.9, 2) == pytest.approx([0.5])
    assert ticks_between(3.0, 3.0, 5) == [3.0]


def test_ticks_have_as_many_decimals_as_their_step():
    assert tick_texts([0.0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_texts([100.0, 200.0]) == ["100", "200"]


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        (np.logspace(-3, 2, 7), True),
        ([1, 2, 5, 10, 20, 50], True),
        ([128, 256, 512], True),
        (np.linspace(1, 100, 9), False),
        ([1, 2, 3, 4, 5, 6], False),
        ([0, 1, 10, 100], False),
        ([1, 1000], False),
        ([1, 3, 4, 7, 20, 50, 90, 200, 400, 900], True),
        (np.arange(1, 11) ** 2, False),
        ([-100, -10, -1], False),
    ],
)
def test_axes_are_logarithmic_where_levels_are_spaced_by_ratios(values, is_log):
    assert is_geometric(np.array(values, np.float64)) is is_log


@pytest.mark.parametrize("n", [60, 300])
def test_axes_are_logarithmic_where_points_were_drawn_by_ratios(n):
    for seed in range(20):
        even = Random(n, seed=seed, x=uniform(0.001, 1)).build()["x"]
        assert not is_geometric(np.sort(even))
        ratios = Random(n, seed=seed, x=log(1e-5, 0.1)).build()["x"]
        assert is_geometric(np.sort(ratios))


def test_a_range_beyond_floating_point_numbers_has_ticks():
    ticks = ticks_around(-1e308, 1e308, 4)
    assert all(map(math.isfinite, ticks))
    assert ticks_between(-1e308, 1e308, 4) == [0]
    assert len(tick_texts(ticks_around(0.0, 5e-324, 4))) == 2
