"""Columns are numbers, or it is said what they are."""

from __future__ import annotations

import numpy as np
import pytest

from psyrun.report.quantity import NoNumberError, label_of, numbers_of


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        ([1, 2], [1, 2]),
        ([True, False], [1, 0]),
        ([1, None, 2.5], [1, np.nan, 2.5]),
        (np.array([1, 2], np.int8), [1, 2]),
        (np.array([1500, "NaT"], "timedelta64[ms]"), [1.5, np.nan]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([[1], [3, 4]], [[1, np.nan], [3, 4]]),
    ],
)
def test_numbers(column, numbers):
    np.testing.assert_array_equal(numbers_of("y", column), numbers)


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["a", "b"], "is text"),
        ([1j, 2], r"complex. Return abs\(\)"),
        ([1j, None], "complex"),
        (np.array(["2024-01-01"], "datetime64[s]"), "is a date"),
        ([{"a": 1}], "of type dict"),
        ([10**400, 1], "beyond the largest"),
        (np.zeros((2, 3, 4)), "an array with 2 axes"),
    ],
)
def test_what_is_no_number_is_told(column, said):
    with pytest.raises(NoNumberError, match=said):
        numbers_of("y", column)


def test_labels_have_the_long_name_and_the_unit():
    assert label_of("v", {}) == "v"
    assert label_of("v", {"units": "mV"}) == "v (mV)"
    known = {"units": "mV", "long_name": "membrane\npotential"}
    assert label_of("v", known) == "membrane potential (mV)"
