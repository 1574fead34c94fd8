from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.utils.durations import read_duration, seconds_of_numpy, written_duration


@given(st.integers(0, 10**24), st.integers(0, 18))
def test_what_is_written_is_read(number: int, decimals: int) -> None:
    seconds = Fraction(number, 10**decimals)
    text = written_duration(seconds)
    assert read_duration(text) == seconds
    assert written_duration(-seconds) == (f"-{text}" if number else text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("2 days", 172800),
        ("1.5 hours", 5400),
        ("0.25s", Fraction(1, 4)),
        ("1d 2h 3m 4s", 93784),
    ],
)
def test_lengths_of_time_are_read(text: str, seconds: Fraction) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "1:30", "s", "3 ms", "1m1h", "-3h", "h3"])
def test_other_texts_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        read_duration(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (np.timedelta64(3, "h"), 10800),
        (np.timedelta64(-2, "W"), -1209600),
        (np.timedelta64(10**18, "D"), 86400 * 10**18),
        (np.timedelta64(7, "as"), Fraction(7, 10**18)),
        (np.array([6], "m8[25us]")[0], Fraction(6 * 25, 10**6)),
        (np.timedelta64(1, "Y"), None),
        (np.timedelta64("NaT", "s"), None),
    ],
)
def test_those_of_numpy_are_exact(
    value: np.timedelta64, seconds: Fraction | None
) -> None:
    assert seconds_of_numpy(value) == seconds
