"""Axes with values that hardly anybody has, and what is predicted along them."""

import datetime as dt
import math
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.estimate import (
    OK,
    TIMED_OUT,
    Estimate,
    Evaluated,
    estimate,
    first_pilots,
    next_pilots,
    predicted_times,
)
from psyrun.estimate.columns import NumberAxis
from psyrun.pspace.space import ParameterSpace

LEAST, MOST = math.ulp(0.0), sys.float_info.max
AXES = {
    "both ends": [LEAST, 1e-300, 1.0, 1e200, MOST],
    "both signs": [-MOST, -1.0, 0.0, 1.0, MOST],
    "the largest": [math.nextafter(MOST, 0), MOST],
    "the smallest": [LEAST, 2 * LEAST, 3 * LEAST],
    "neighbours": [1.0, math.nextafter(1.0, 2), 1.0],
    "none and the largest": [0.0, LEAST, 1.0, MOST],
    "infinite": [-math.inf, 1.0, 2.0, math.inf],
    "nothing finite": [-math.inf, math.nan, math.inf],
    "constant": [3.0] * 4,
    "huge integers": [1, 10**400, 3, 2**63, 2**64],
    "only huge integers": [10**400, 10**401],
    "dates": [dt.date(1, 1, 1), dt.date(2000, 1, 1), dt.date(9999, 12, 31)],
    "times": [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)],
    "long doubles": list(np.array([1, 2, 3], np.longdouble) * np.longdouble("1e308")),
    "far dates": list(np.array(["-290000-01-01", "NaT", "290000-01-01"], "M8[D]")),
}
KINDS = (
    st.floats(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.sampled_from([LEAST, -LEAST, MOST, -MOST, 0.0, 1.0, 10**400, -(10**400)]),
    st.dates(),
    st.datetimes(),
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=2)),
)


def check(space: ParameterSpace, n: int) -> None:
    """Predict costs of a space from n pilots, of which the last was ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = first_pilots(space, n)
        seconds = 1.0 + np.arange(len(rows)) % 3
        outcomes = [OK] * (len(rows) - 1) + [TIMED_OUT if len(rows) > 1 else OK]
        known = Evaluated.of(rows, seconds, 1e8 * seconds, outcomes)
        found = estimate(space, known)
        assert isinstance(found, Estimate)
        assert found.memory is not None
        for each in (found.time, found.memory):
            total = each.total
            assert 0 < total.low <= total.value <= total.high
            assert math.isfinite(total.value)
            means = each.means(np.arange(len(space)))
            assert np.isfinite(means).all()
            assert (means > 0).all()
        more = next_pilots(space, known, 4)
        assert len(more) == min(4, len(space) - len(rows))
        predicted_times(space, known)


@pytest.mark.parametrize("values", AXES.values(), ids=list(AXES))
@pytest.mark.parametrize("other", [None, Param(m=[1, 10, 100])], ids=["alone", "two"])
def test_costs_along_odd_axes_are_numbers(values: Any, other: Any) -> None:
    space = Param(x=values) if other is None else Param(x=values) * other
    for n in {1, len(space) // 2 + 1, len(space)}:
        check(space, n)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of([st.lists(kind, min_size=1, max_size=6) for kind in KINDS]),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 12),
)
def test_costs_along_any_axes_are_numbers(axes: list[list[Any]], n: int) -> None:
    space: ParameterSpace = Param(x0=axes[0])
    for number, values in enumerate(axes[1:], start=1):
        space = space * Param(**{f"x{number}": values})
    check(space, min(n, len(space)))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2))
def test_places_on_an_axis_are_from_end_to_end(values: list[float]) -> None:
    floats = np.array(values)
    if floats.min() == floats.max():
        return
    axis = NumberAxis.of(floats)
    for is_log in (False, True):
        places = axis.scaled(floats, is_log)
        assert places.min() == pytest.approx(-1)
        assert places.max() == pytest.approx(1)
        assert 0 < axis.width(is_log) <= 20
