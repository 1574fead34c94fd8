import math
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from psyrun import Param
from psyrun.utils.ranges import Range
from psyrun.utils.text import (
    duration,
    memory_size,
    number_text,
    range_text,
    rough_duration,
    side_by_side,
    text_of,
    value_text,
    wrapped,
)

NUMBER = np.linspace(-1, 1, 6)[3]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NUMBER, "0.20000000000000018"),
        (np.float32(0.1), "0.1"),
        (np.float64(1e300), "1e+300"),
        (np.int64(-3), "-3"),
        (np.bool_(True), "True"),
        (np.str_("on"), "'on'"),
        (np.bytes_(b"on"), "b'on'"),
        (np.complex128(1 + 2j), "(1+2j)"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        (np.timedelta64(3, "D"), "3 days"),
        ([NUMBER, (np.int8(2),)], "[0.20000000000000018, (2,)]"),
        ({"a": np.float64(0.5)}, "{'a': 0.5}"),
    ],
)
def test_a_scalar_of_numpy_looks_like_what_it_stands_for(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2024, 3, 1), "2024-03-01"),
        (datetime(2024, 3, 1, 12), "2024-03-01T12:00"),
        (datetime(2024, 3, 1, 12, 0, 5), "2024-03-01T12:00:05"),
        (time(9, 30), "09:30"),
        (time(9, 30, 0, 500_000), "09:30:00.500000"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(days=-2), "-2d"),
        (timedelta(0), "0s"),
        (np.timedelta64(1500, "ms"), "1.5s"),
        (np.timedelta64(3, "Y"), "3 years"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        (Decimal("0.10"), "0.10"),
        (Fraction(1, 3), "1/3"),
        ("on", "'on'"),
        ([Fraction(1, 3)], "[Fraction(1, 3)]"),
    ],
)
def test_parameters_are_as_the_command_line_takes_them(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_no_digit_is_lost(kind):
    third = kind(1) / kind(3)
    assert kind(text_of(third)) == third


@pytest.mark.parametrize("value", ["x" * 190, 10**150, list(range(50)), object])
def test_up_to_two_hundred_characters_are_whole(value):
    assert text_of(value) == repr(value)


@pytest.mark.parametrize("value", ["x" * 300, 10**300, list(range(1000)), b"x" * 300])
def test_what_is_long_is_cut_at_its_end(value):
    assert text_of(value) == f"{repr(value)[:199]}…"


def test_an_array_is_summarised_on_one_line():
    assert "0, 1, 2, ..., 97, 98, 99]" in text_of(np.arange(100))
    assert text_of(np.eye(2)) == "array([[1., 0.], [0., 1.]])"


def test_a_repr_that_raises_does_no_harm():
    class Shape:
        def __repr__(self):
            raise ValueError

    assert text_of(Shape()).startswith("<Shape instance at")


def test_a_space_shows_the_numbers_that_it_holds():
    assert repr(Param(x=NUMBER)) == "Param(x=0.20000000000000018)"
    shown = "Param(x=[0.20000000000000018, 1])"
    assert repr(Param(x=[NUMBER, np.int64(1)])) == shown


def test_values_without_numpy_are_told_without_it():
    code = "import sys; from psyrun.utils.text import text_of; text_of([1.0, 'a']); "
    code += "sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (360000, "100 h 0 min"),
    ],
)
def test_a_length_of_time_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_are_wrapped_between_words():
    text = "a rule has n ≥ 512 and /a/very/long-path/that-is-one-word"
    assert wrapped(text, None, "  ") == [f"  {text}"]
    assert wrapped(text, 20, "  ", "    ") == [
        "  a rule has n ≥ 512",
        "    and",
        "    /a/very/long-path/that-is-one-word",
    ]


def test_sentences_stand_on_one_line_if_they_fit():
    assert side_by_side(("One.", "Two."), 9) == ["One. Two."]
    assert side_by_side(("One.", "Two."), 8) == ["One.", "Two."]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (2**30, "1.0 GiB"),
        (5e10, "47 GiB"),
    ],
)
def test_memory_has_two_or_three_digits(size: float, text: str) -> None:
    assert memory_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0001, "< 1 ms"),
        (2.345, "2.3 s"),
        (125, "2 min 5 s"),
        (120, "2 min"),
        (2460, "41 min"),
        (14400, "4 h"),
        (5400, "1 h 30 min"),
        (36000, "10 h"),
        (30 * 86400, "30 days"),
    ],
)
def test_a_rough_length_of_time_has_few_digits(seconds: float, text: str) -> None:
    assert rough_duration(seconds) == text


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((3.0, 2.0, 4.0), "3 (2 to 4)"),
        ((3.0, 2.0, math.inf), "3 (2 or more)"),
        ((3.0, 3.0, 3.0), "3"),
        ((1234.5, 0.0001, 2000.0), "1234 (< 0.001 to 2000)"),
    ],
)
def test_an_interval_is_told_with_its_number(ends, text: str) -> None:
    assert range_text(Range(*ends), number_text) == text
