"""Dates as seconds, whatever their unit and however far away."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.utils.dates import (
    dates_of_seconds,
    seconds_of_dates,
    seconds_of_lengths,
)

YEAR = 365.2425 * 86400


@given(st.datetimes(), st.sampled_from(["us", "ms", "s", "m", "h", "D", "M", "Y"]))
def test_seconds_are_those_of_python(moment: datetime, unit: str) -> None:
    date = np.array([np.datetime64(moment, "us")]).astype(f"datetime64[{unit}]")
    known = date.astype("datetime64[us]").item().replace(tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = (known - epoch).total_seconds()
    assert seconds_of_dates(date)[0] == pytest.approx(expected, rel=1e-15, abs=1e-6)


@pytest.mark.parametrize("unit", ["D", "s", "25s", "ms", "us", "M", "Y", "10Y"])
def test_dates_after_those_of_nanoseconds(unit: str) -> None:
    dates = np.array(["1970-01-01", "NaT", "9990-01-01"], f"datetime64[{unit}]")
    found = seconds_of_dates(dates)
    days = np.datetime64("9990-01-01", "D").astype(int)
    np.testing.assert_allclose(found, [0, np.nan, days * 86400.0], atol=25)


def test_dates_beyond_all_calendars() -> None:
    years = np.array([10**17, -(10**17), 300_000], "datetime64[Y]")
    np.testing.assert_allclose(
        seconds_of_dates(years), (years.astype(float)) * YEAR, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("text", "unit"),
    [("2020-05-06T07:08:09.25", "ns"), ("2500-01-01", "us"), ("300000-01-01", "ms")],
)
def test_dates_of_seconds_are_those_that_had_them(text: str, unit: str) -> None:
    dates = np.array([text, "1970-01-01", "NaT"], "datetime64[ms]")
    found = dates_of_seconds(seconds_of_dates(dates))
    assert found.dtype == f"datetime64[{unit}]"
    np.testing.assert_array_equal(found.astype("datetime64[ms]"), dates)
    assert np.isnat(dates_of_seconds(np.array([np.inf, 1e300]))).all()
    assert dates_of_seconds(np.array([])).shape == (0,)


@given(
    st.integers(-(2**40), 2**40),
    st.sampled_from(["ns", "us", "25ms", "s", "m", "h", "D", "W"]),
)
def test_lengths_are_those_of_numpy(number: int, unit: str) -> None:
    lengths = np.array([number], f"timedelta64[{unit}]")
    expected = lengths / np.timedelta64(1, "s")
    np.testing.assert_allclose(seconds_of_lengths(lengths), expected, rtol=1e-15)


def test_months_and_years_are_of_mean_length() -> None:
    months = np.array(["NaT", 12, -24], "timedelta64[M]")
    years = np.array(["NaT", 1, -2], "timedelta64[Y]")
    expected = [np.nan, YEAR, -2 * YEAR]
    np.testing.assert_allclose(seconds_of_lengths(months), expected, rtol=1e-12)
    np.testing.assert_allclose(seconds_of_lengths(years), expected, rtol=1e-12)
