"""Axes have the levels of a parameter, and rows the number of theirs."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.report.axis import Axis, Levels, plain


def axis_of(values):
    levels = Levels.of(np.asarray(values))
    return Axis.of("x", "x", levels, np.arange(len(levels.of_place)))


@given(st.lists(st.integers(-3, 3) | st.floats(width=16), min_size=1))
def test_numbers_ascend_and_rows_have_theirs(numbers):
    axis = axis_of(np.array(numbers, np.float64))
    np.testing.assert_array_equal(axis.values[axis.codes], np.array(numbers, float))
    assert axis.kind == "number"
    assert (np.diff(axis.values[~np.isnan(axis.values)]) > 0).all()


def test_texts_keep_the_order_of_the_space():
    axis = axis_of(["tanh", "relu", "tanh", "elu"])
    assert axis.texts == ["tanh", "relu", "elu"]
    assert axis.codes.tolist() == [0, 1, 0, 2]


def test_truth_values_and_mixed_values_are_texts():
    assert axis_of([True, False]).texts == ["True", "False"]
    mixed = np.array([1, "a", None, (2, 3)], object)
    assert axis_of(mixed).texts == ["1", "'a'", "None", "(2, 3)"]


def test_whole_numbers_and_nan_in_objects_are_numbers():
    assert axis_of(np.array([1, 2.5, np.nan], object)).kind == "number"
    assert axis_of(np.array([10**400, 1], object)).kind == "text"


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
def test_whole_numbers_that_floats_do_not_tell_apart_are_texts(dtype):
    seeds = [2**60 + 1, 2**60 + 2, 3]
    axis = axis_of(np.array(seeds, dtype))
    assert axis.texts == list(map(str, seeds))
    assert axis_of(np.array([1, 10**18, 2 * 10**18], dtype)).kind == "number"


def test_dates_and_lengths_of_time():
    dates = np.array(["2024-02-01", "2024-01-01", "NaT"], "datetime64[D]")
    axis = axis_of(dates)
    assert axis.kind == "date"
    assert axis.finite().texts == ["2024-01-01", "2024-02-01"]
    assert axis_of(np.array([60, 1], "timedelta64[s]")).values.tolist() == [1, 60]


def test_times_of_day_are_places_of_a_day():
    axis = axis_of(objects(time(12, 30), time(8), time(8), time(9)))
    assert (axis.kind, axis.texts) == ("time", ["08:00", "09:00", "12:30"])
    assert axis.codes.tolist() == [2, 0, 0, 1]
    assert axis.positions.tolist() == [8 * 3600, 9 * 3600, 12.5 * 3600]
    assert axis_of(objects(time(8), time(8, 0, 5))).texts == ["08:00:00", "08:00:05"]
    coarse = axis_of(objects(*(time(n // 60, n % 60) for n in range(1440)))).coarsened(
        2
    )
    assert coarse.texts == ["00:00…11:59", "12:00…23:59"]
    # With a zone, they have no order without a day.
    assert axis_of(objects(time(8), time(9, tzinfo=UTC))).kind == "text"


@pytest.mark.parametrize("numpys", [True, False])
def test_lengths_of_time_are_seconds(numpys):
    lengths = [timedelta(hours=2), timedelta(seconds=1.5)]
    values = objects(*map(np.timedelta64, lengths)) if numpys else objects(*lengths)
    found = Levels.of(values)
    assert (found.kind, found.unit) == ("number", "s")
    assert found.values.tolist() == [1.5, 7200]


def test_exact_numbers_are_numbers_if_floats_tell_them_apart():
    axis = axis_of(objects(Fraction(1, 2), Decimal("0.1"), 3, Decimal("nan")))
    assert (axis.kind, axis.finite().texts) == ("number", ["0.1", "0.5", "3"])
    for near in (
        (Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**30)),
        (Fraction(10**400), Fraction(1)),
        (Decimal("snan"), Decimal(1)),
    ):
        assert axis_of(objects(*near)).kind == "text"
    assert axis_of(objects(Fraction(1, 3), 1 / 3)).kind == "text"


def test_levels_without_a_place_are_left_out():
    axis = axis_of([1.0, np.nan, np.inf, 2.0]).finite()
    assert axis.values.tolist() == [1, 2]
    assert axis.codes.tolist() == [0, -1, -1, 1]


@given(st.integers(1, 300), st.integers(1, 40), st.sampled_from(["lin", "log", "text"]))
def test_coarse_axes_put_neighbours_together(n, most, kind):
    values = {
        "lin": np.arange(n) * 0.5,
        "log": np.logspace(-3, 3, n),
        "text": np.array([f"t{i}" for i in range(n)]),
    }[kind]
    axis = axis_of(values).coarsened(most)
    assert len(axis) == len(axis.texts) == min(n, most)
    assert axis.n_levels == n
    assert (np.diff(axis.codes) >= 0).all()
    assert axis.codes[0] == 0 and axis.codes[-1] == len(axis) - 1
    if n > most > 1:
        first = axis_of(values).texts[0]
        assert axis.texts[0].startswith(first)


def test_limited_axes_keep_the_ends():
    axis = axis_of(np.arange(100)).limited(5)
    assert axis.values[[0, -1]].tolist() == [0, 99]
    assert len(axis) == 5
    assert (axis.codes >= 0).sum() == 5
    assert axis_of(list("abc")).first(2).codes.tolist() == [0, 1, -1]


@pytest.mark.parametrize("text", ["a\nb", "a\tb"])
def test_names_are_on_one_line(text):
    assert plain(text) == "a b"


def test_names_have_no_control_characters():
    assert plain("\x1b[31mred") == "\\x1b[31mred"


def test_dates_may_be_after_those_of_nanoseconds():
    dates = np.array(["2000-01-01", "2500-01-01", "9000-01-01"], "datetime64[D]")
    axis = axis_of(dates)
    days = dates.astype(int)
    assert axis.positions.tolist() == (days * 86400.0).tolist()
    coarse = axis.coarsened(2)
    assert coarse.codes.tolist() == [0, 0, 1]
    assert coarse.texts == ["2000-01-01…2500-01-01", "9000-01-01"]


def objects(*values):
    found = np.empty(len(values), object)
    found[:] = values
    return found


def test_dates_that_no_microseconds_reach_are_texts():
    far = np.datetime64(2**62, "s")
    axis = axis_of(objects(far, date(2024, 1, 1)))
    assert axis.texts == [str(far), "2024-01-01"]


def test_dates_of_python_are_dates():
    days = objects(date(2024, 2, 1), date(1700, 1, 1), datetime(9999, 12, 31))
    axis = axis_of(days)
    assert axis.kind == "date"
    assert axis.texts == ["1700-01-01", "2024-02-01", "9999-12-31"]
    assert axis.codes.tolist() == [1, 0, 2]
    east = timezone(timedelta(hours=2))
    axis = axis_of(objects(*(datetime(2024, 1, 1, 12, tzinfo=z) for z in (UTC, east))))
    assert axis.texts == ["2024-01-01 10", "2024-01-01 12"]
    pd = pytest.importorskip("pandas")
    axis = axis_of(objects(pd.NaT, pd.Timestamp("2024-01-01")))
    assert axis.finite().texts == ["2024-01-01"]
    # Neither rounded, nor compared if only some have a zone.
    fine = pd.Timestamp("2024-01-01T00:00:00.000000001")
    axis = axis_of(objects(fine, fine.floor("s")))
    assert axis.kind == "text"
    assert axis.texts == ["2024-01-01T00:00:00.000000001", "2024-01-01T00:00"]
    mixed = objects(datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC))
    assert axis_of(mixed).kind == "text"
