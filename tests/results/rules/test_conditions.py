"""Conditions on values of all kinds, as they are worded."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from psyrun import Param
from psyrun.pspace import ParameterSpace
from psyrun.results.rules import find_rule
from psyrun.results.rules.conditions import shown

OTHER = Param(other=range(40))


def text_for(space: ParameterSpace, key: str, values: list[Any]) -> str:
    """Return the rule for the points where a parameter has one of some values."""
    there = space.build()[key]
    special = [i for i, v in enumerate(there) if any(v is w or v == w for w in values)]
    rule = find_rule(space, np.array(special))
    return "" if rule is None else rule.text


DAYS = [date(2026, 1, day) for day in range(1, 6)]
TIMES = [time(8), time(9), time(10, 30), time(12)]
WAITS = [timedelta(minutes=minutes) for minutes in (0, 90, 180, 240)]
LENGTHS = np.array(WAITS, "m8[ns]")
STAMPS = np.array(DAYS, "datetime64[D]")


@pytest.mark.parametrize(
    ("levels", "chosen", "text"),
    [
        ([True, False], [True], "x = True"),
        ([1, 2.5, 4, 8.0], [4, 8.0], "x ≥ 4"),
        ([0.5, 1.25, 2.0], [1.25], "x = 1.25"),
        (np.linspace(0, 1, 11), [0.0, 0.1, 0.2, 0.30000000000000004], "x ≤ 0.3"),
        ([-math.inf, 0.0, math.inf], [math.inf], "x = inf"),
        ([Decimal("0.1"), Decimal(2), Decimal(3)], [Decimal(2), Decimal(3)], "x ≥ 2"),
        ([Fraction(1, 3), Fraction(1, 2), 1], [Fraction(1, 2), 1], "x ≥ 1/2"),
        (DAYS, DAYS[3:], "x ≥ 2026-01-04"),
        (STAMPS, list(STAMPS[:2]), "x ≤ 2026-01-02"),
        (TIMES, TIMES[2:], "x ≥ 10:30"),
        (WAITS, WAITS[:2], "x ≤ 1h30m"),
        (LENGTHS, list(LENGTHS[2:]), "x ≥ 3h"),
        (["a", "b", "c"], ["b"], "x = b"),
        (["on", "5", ""], ["5"], "x = '5'"),
        (["on", "off", "two words"], ["two words"], "x = 'two words'"),
        (["on", "None", "nan"], ["None"], "x = 'None'"),
        ([None, 1, 2], [None], "x = None"),
        ([(1, 2), (3, 4), (5,)], [(3, 4)], "x = (3, 4)"),
        ([1j, 2j, 3.0], [2j], "x = 2j"),
        ([2**70, 2**71, 2**72], [2**71, 2**72], f"x ≥ {2**71}"),
        (["🦆", "<b>", "\n"], ["🦆"], "x = '🦆'"),
        (["🦆", "<b>", "\n"], ["\n"], "x = '\\n'"),
    ],
)
def test_values_of_all_kinds_have_conditions(
    levels: Any, chosen: list[Any], text: str | None
) -> None:
    found = text_for(Param(x=levels) * OTHER, "x", chosen)
    if text is None:
        assert found == f"x ≥ {shown(chosen[0])}"
    else:
        assert found == text


def test_arrays_are_compared_by_value() -> None:
    arrays = [np.array([1, 2]), np.array([3, 4]), np.array([1, 2, 3])]
    space = Param(x=arrays) * OTHER
    rule = find_rule(space, np.arange(40, 80))
    assert rule is not None and rule.text == "x = array([3, 4])"


def test_nan_is_a_level_of_its_own() -> None:
    space = Param(x=[1.0, 2.0, math.nan, 3.0]) * OTHER
    nan = find_rule(space, np.arange(80, 120))
    assert nan is not None and nan.text == "x = nan"
    others = find_rule(space, np.concatenate([np.arange(80), np.arange(120, 160)]))
    assert others is not None and others.text == "x ≤ 3.0"


def test_a_parameter_that_is_not_given_is_a_level() -> None:
    space = (Param(w=[1.0, 2.0]) + Param(v=[1.0, 2.0, 3.0])) * OTHER
    rows = np.arange(len(space))
    rule = find_rule(space, rows[80:])
    assert rule is not None and rule.text == "w not given"
    rule = find_rule(space, rows[:80])
    assert rule is not None and rule.text == "w given"


def test_given_as_nan_is_not_left_out() -> None:
    space = (Param(w=[1.0, math.nan]) + Param(v=[1.0, 2.0])) * OTHER
    rule = find_rule(space, np.arange(40, 80))
    assert rule is not None and rule.text == "w = nan"


def test_times_with_and_without_a_zone_have_no_order() -> None:
    times = [datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC)]
    space = Param(x=times) * OTHER
    rule = find_rule(space, np.arange(40))
    assert rule is not None and rule.text == "x = 2026-01-01T00:00"


def test_what_cannot_be_compared_is_not_named() -> None:
    space = Param(x=[object(), object()]) * OTHER
    assert find_rule(space, np.arange(40)) is None


def test_long_values_are_cut() -> None:
    space = Param(x=["a" * 300, "b" * 300]) * OTHER
    rule = find_rule(space, np.arange(40))
    assert rule is not None and rule.text == f"x = {'a' * 39}…"


def test_thresholds_of_drawn_numbers_are_short() -> None:
    x = np.random.default_rng(0).random(1000)
    rule = find_rule(Param(x=x), np.flatnonzero(x >= 0.7))
    assert rule is not None and rule.text == "x ≥ 0.7"
    rule = find_rule(Param(x=x), np.flatnonzero(x <= 0.3))
    assert rule is not None and rule.text == "x ≤ 0.3"


def test_of_very_many_numbers_thresholds_are_about_right() -> None:
    x = np.random.default_rng(0).random(150_000)
    rule = find_rule(Param(x=x, other=x[::-1]), np.flatnonzero(x >= 0.7))
    assert rule is not None
    (condition,) = rule.conditions
    name, _, limit = condition.text.rpartition(" ")
    assert name == "x ≥" and abs(float(limit) - 0.7) < 0.002
    assert rule.n_such == np.count_nonzero(x >= float(limit))
