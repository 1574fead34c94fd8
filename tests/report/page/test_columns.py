"""Columns of parameters and results as numbers and levels."""

from __future__ import annotations

from datetime import time
from typing import Any

import numpy as np
import pytest

from psyrun.pspace.columns import as_objects
from psyrun.report.page.columns import (
    Label,
    are_too_many,
    levels_of,
)


def test_numbers_ascend_whatever_their_order_and_type() -> None:
    kind, levels, of_place = levels_of(np.array([3, 1, 1, 2]))
    assert (kind, list(levels), list(of_place)) == ("number", [1, 2, 3], [2, 0, 0, 1])
    kind, levels, of_place = levels_of(as_objects([2.5, 1, np.inf, np.nan]))
    assert kind == "number"
    np.testing.assert_array_equal(levels[of_place], [2.5, 1, np.inf, np.nan])


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (np.array(["b", "a", "b"]), ["b", "a", "b"]),
        (np.array([True, False]), ["True", "False"]),
        (as_objects([1, "1", None]), ["1", "1", "None"]),
        (as_objects([(1, 2), [3]]), ["(1, 2)", "[3]"]),
        (np.array(["x\ny\x1b[1m"]), ["x y\\x1b[1m"]),
        (np.array([1 + 2j]), ["(1+2j)"]),
    ],
)
def test_anything_else_is_text_in_its_order(values: Any, texts: list[str]) -> None:
    kind, levels, of_place = levels_of(values)
    assert kind == "text"
    # Of equal texts there is one level.
    assert [levels[i] for i in of_place] == texts
    assert levels == list(dict.fromkeys(texts))


def test_dates_are_milliseconds_and_may_lack() -> None:
    dates = np.array(["1970-01-02", "NaT", "1970-01-01T00:00:00.5"], "datetime64[ms]")
    kind, levels, of_place = levels_of(dates)
    assert kind == "date"
    np.testing.assert_array_equal(levels[of_place], [86400e3, np.nan, 500])


def test_times_of_day_are_milliseconds_since_midnight() -> None:
    times = as_objects([time(9, 30), time(0, 0, 0, 500)])
    kind, levels, of_place = levels_of(times)
    assert kind == "time"
    np.testing.assert_array_equal(levels[of_place], [9.5 * 3600e3, 0.5])


def test_long_texts_are_cut_and_many_are_refused() -> None:
    kind, levels, _ = levels_of(np.array(["long " * 100]))
    assert len(levels[0]) == 300
    assert not are_too_many(kind, levels)
    kind, levels, _ = levels_of(np.arange(20_001).astype(str))
    assert are_too_many(kind, levels)
    assert not are_too_many("number", np.arange(20_001.0))


def test_labels_are_on_one_line() -> None:
    label = Label.of("v", {"long_name": "a\nb", "units": "m/s"})
    assert (label.name, label.title, label.unit) == ("v", "a b", "m/s")
    assert Label.of("v", {}, "s") == Label("v", "v", "s")


def test_dates_may_be_after_those_of_nanoseconds_and_microseconds() -> None:
    years = np.array([2500, 300_000, 10**9]) - 1970
    _, levels, _ = levels_of(years.astype("datetime64[Y]"))
    days = years[:2].astype("datetime64[Y]").astype("datetime64[D]").astype(float)
    assert levels[:2].tolist() == (days * 86400e3).tolist()
    assert levels[2] == pytest.approx(1e9 * 365.2425 * 86400e3, rel=1e-5)
