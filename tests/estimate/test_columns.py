"""The parameters of spaces as axes of numbers and of levels."""

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import numpy as np

from psyrun import Param
from psyrun.estimate.columns import Columns, NumberAxis


def test_constants_are_no_axes() -> None:
    columns = Columns(Param(n=range(5), unit="mV") * Param(scale=2.0))
    assert columns.number_keys == ["n"]
    assert columns.level_keys == []


def test_numbers_that_some_points_lack_are_numbers_and_levels() -> None:
    columns = Columns(Param(a=[1, 2], kind="a") + Param(b=[3.0, 4.0, 5.0], kind="b"))
    assert columns.number_keys == ["a", "b"]
    assert columns.level_keys == ["a", "kind", "b"] or set(columns.level_keys) == {
        "a",
        "b",
        "kind",
    }
    points = columns.points(np.arange(5))
    assert np.isnan(points.numbers[2:, 0]).all()
    assert points.numbers[:2, 0].tolist() == [1.0, 2.0]


def test_points_of_a_grid_are_those_of_the_space() -> None:
    space = Param(n=range(7)) * Param(f=list("xyz")) * Param(x=[0.5, 1.5])
    columns = Columns(space)
    points = columns.points(np.arange(len(space)))
    listed = space.build()
    assert points.numbers[:, 0].tolist() == listed["n"]
    assert points.numbers[:, 1].tolist() == listed["x"]
    assert ["xyz"[code] for code in points.codes[:, 0]] == listed["f"]


def test_text_that_is_different_everywhere_is_no_axis_of_long_spaces() -> None:
    space = Param(name=[f"run{i}" for i in range(70_000)])
    assert Columns(space).level_keys == []


def test_levels_not_met_share_the_last_code() -> None:
    names = ["a", "b"] * 50_000
    names[31] = "only here"
    columns = Columns(Param(name=names, x=range(100_000)))
    codes = columns.points(np.array([0, 1, 31])).codes[:, 0]
    assert codes[0] != codes[1]
    assert codes[2] not in codes[:2]


def test_axes_are_from_minus_one_to_one_in_both_scales() -> None:
    axis = NumberAxis.of(np.array([1.0, 10.0, 100.0]))
    assert axis.scaled(np.array([1.0, 10.0, 100.0, np.nan]), True).tolist() == [
        -1.0,
        0.0,
        1.0,
        0.0,
    ]
    assert axis.scaled(np.array([1.0, 50.5, 100.0]), False).tolist() == [-1, 0, 1]


def test_logarithms_are_for_wide_axes_without_negative_numbers() -> None:
    assert NumberAxis.of(np.array([-1.0, 5.0])).shift is None
    assert NumberAxis.of(np.array([2000.0, 2020.0])).shift is None
    assert NumberAxis.of(np.array([0.0, 1.0, 8.0])).shift == 1.0


def test_dates_are_numbers() -> None:
    days = [dt.date(2026, 1, day) for day in (1, 2, 11)]
    columns = Columns(Param(day=days))
    assert columns.number_keys == ["day"]
    scaled = columns.axes[0].scaled(columns.points(np.arange(3)).numbers[:, 0], False)
    assert scaled.round(6).tolist() == [-1.0, -0.8, 1.0]


def test_times_and_exact_numbers_are_numbers() -> None:
    space = (
        Param(at=[dt.time(8), dt.time(9, 30)])
        * Param(wait=[dt.timedelta(hours=1), dt.timedelta(hours=2)])
        * Param(ratio=[Fraction(1, 4), Fraction(1, 2)])
        * Param(price=[Decimal("0.10"), Decimal(3)])
    )
    found = Columns(space).points(np.array([0, 15])).numbers
    expected = [[8 * 3600, 3600, 0.25, 0.1], [9.5 * 3600, 7200, 0.5, 3]]
    np.testing.assert_array_equal(found, expected)


def test_days_and_times_of_day_are_on_one_axis() -> None:
    days = [dt.date(2026, 1, 1), dt.datetime(2026, 1, 2), dt.date(2026, 1, 3)]
    numbers = Columns(Param(day=days)).points(np.arange(3)).numbers[:, 0]
    assert np.diff(numbers).tolist() == [86400.0, 86400.0]
    as_dates = np.array(["2026-01-01", "2026-01-02"], "datetime64[D]")
    of_numpy = Columns(Param(day=as_dates)).points(np.arange(2)).numbers[:, 0]
    assert numbers[:2].tolist() == of_numpy.tolist()


def test_dates_and_lengths_of_time_are_seconds_however_long() -> None:
    dates = np.array(["1970-01-02", "2500-01-01", "NaT"], "datetime64[D]")
    lengths = np.array([1, 500 * 366, "NaT"], "timedelta64[D]")
    found = Columns(Param(when=dates, after=lengths)).points(np.arange(3)).numbers
    days = dates[1].astype(int)
    expected = [[1, days, np.nan], [1, 183_000, np.nan]]
    np.testing.assert_array_equal(found.T / 86400, expected)


def test_times_of_day_are_the_same_in_each_zone_and_year() -> None:
    times = [dt.datetime(1, 1, 1), dt.datetime(1, 1, 2), dt.datetime(2026, 3, 29, 3)]
    numbers = Columns(Param(time=times)).points(np.arange(3)).numbers[:, 0]
    expected = [(time - dt.datetime(1970, 1, 1)).total_seconds() for time in times]
    assert numbers.tolist() == expected
