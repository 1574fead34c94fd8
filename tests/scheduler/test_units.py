"""Times, memory and counts as people write them."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from psyrun.scheduler.units import (
    bytes_of,
    count,
    megabytes,
    memory,
    memory_text,
    minutes,
    seconds,
    seconds_of,
    time_text,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("15m", 15),
        ("1h30m", 90),
        ("1h 30 min", 90),
        ("2d", 2880),
        ("1d12h", 2160),
        ("1.5h", 90),
        ("90s", 2),
        ("1s", 1),
        ("2 hours", 120),
        ("30", 30),
        (30, 30),
        (np.int64(30), 30),
        (2.5, 3),
        (30.0, 30),
        (0.1, 1),
        (np.float64(2.5), 3),
        (np.float32(2.5), 3),
        (timedelta(hours=1, seconds=1), 61),
        (timedelta(microseconds=1), 1),
    ],
)
def test_times_are_read_and_rounded_up(value, expected):
    assert minutes(value) == expected


@pytest.mark.parametrize(
    "value", ["", " ", "h", "1x", "30m1h", "-5m", "1:30", True, None, [1], "1h1h"]
)
def test_other_times_are_refused(value):
    with pytest.raises(ValueError, match=r"^it must be a time such as '15m'"):
        minutes(value)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), np.True_, 1j])
def test_what_is_no_amount_of_time_is_refused(value):
    with pytest.raises(ValueError, match=r"^it must be a time such as '15m'"):
        minutes(value)


@pytest.mark.parametrize("value", ["0m", 0, -1, -0.5, 0.0, timedelta(0)])
def test_no_time_is_refused(value):
    with pytest.raises(ValueError, match="above zero"):
        minutes(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1G", "1G"),
        ("500M", "500M"),
        ("1.5G", "1536M"),
        ("1GB", "1G"),
        ("2GiB", "2G"),
        ("1 g", "1G"),
        (1024, "1G"),
        ("1000", "1000M"),
        ("1K", "1M"),
        ("1025K", "2M"),
        ("2T", "2T"),
        (np.int32(5), "5M"),
    ],
)
def test_memory_is_read_and_rounded_up(value, expected):
    assert memory(value) == expected
    assert memory(memory(value)) == expected


@pytest.mark.parametrize("value", ["", "G", "1X", "-1G", True, None, 0, "lots"])
def test_other_memory_is_refused(value):
    with pytest.raises(ValueError, match=r"^it must be memory such as '500M'"):
        memory(value)


def test_megabytes_may_be_none():
    assert megabytes("0") == 0


@pytest.mark.parametrize(("value", "expected"), [(4, 4), ("4", 4), (np.int8(4), 4)])
def test_counts_are_read(value, expected):
    assert count(value) == expected


@pytest.mark.parametrize("value", [0, -1, 1.5, "two", None, True, "1-2"])
def test_other_counts_are_refused(value):
    with pytest.raises(ValueError, match="whole number above zero"):
        count(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("0.5s", 0.5),
        ("90", 90.0),
        (90, 90.0),
        (np.float32(0.5), 0.5),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_numbers_are_seconds_where_these_are_meant(value, expected):
    assert seconds(value) == expected


@pytest.mark.parametrize(
    "value", ["", "soon", "-5m", True, np.True_, float("nan"), float("inf"), [1], 1j]
)
def test_what_is_no_number_of_seconds_is_refused(value):
    with pytest.raises(ValueError, match=r"^a time such as '90s'"):
        seconds(value)


@pytest.mark.parametrize("value", [0, -1, "0s", 0.0, timedelta(0)])
def test_no_seconds_are_refused(value):
    with pytest.raises(ValueError, match="above zero"):
        seconds(value)


@pytest.mark.parametrize("size", [0, 1, 2**20, 1e8, 2**30, 1.3e9, 7.7e10, 1e13])
def test_memory_for_a_task_file_is_a_little_more_than_needed(size):
    text = memory_text(size)
    assert size <= bytes_of(text) <= 2**20 + size + max(size / 4, 2**26)
    assert memory_text(bytes_of(text)) == text


@pytest.mark.parametrize(
    ("needed", "text"),
    [(0, "5m"), (301, "10m"), (3601, "1h15m"), (30000, "9h"), (100000, "1d6h")],
)
def test_a_time_for_a_task_file_is_rounded_up(needed, text):
    assert time_text(needed) == text
    assert seconds_of(text) >= needed
