"""Conditions on parameters, as they are written on the command line."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace import ParameterSpace
from psyrun.pspace.axes import grid_of
from psyrun.pspace.choosing import chosen_at, chosen_by
from psyrun.pspace.conditions import Conditions

PRODUCT = Param(trial=range(10)) * Param(radius=[0.1, 0.2, 0.3], kind=["a", "b", "c"])
SUM = Param(m="svm") * Param(c=[1, 2, 3]) + Param(m="tree") * Param(depth=[2, 3])
DAYS = [datetime.date(2024, 1, day) for day in (1, 2, 3)]

TIMES = Param(at=[datetime.time(hour, 30) for hour in range(8, 20)])
MONEY = Param(x=[Decimal("0.1"), Decimal("0.25"), Decimal(3), Decimal("nan")])
HOUR = datetime.timedelta(hours=1)
WAITS = Param(w=[HOUR * n for n in range(-1, 5)])
NANOSECONDS = Param(w=np.arange(4) * np.timedelta64(1, "h").astype("m8[ns]"))
RATIOS = Param(x=[Fraction(1, 3), Fraction(1, 10), Fraction(7, 2)])

Point = dict[str, Any]

CASES: dict[str, tuple[ParameterSpace, str, Callable[[Point], bool]]] = {
    "a value": (PRODUCT, "trial=3", lambda p: p["trial"] == 3),
    "equal to it": (PRODUCT, "trial=3.0", lambda p: p["trial"] == 3),
    "values": (PRODUCT, "radius=0.1,0.3", lambda p: p["radius"] in (0.1, 0.3)),
    "text": (PRODUCT, "kind=b", lambda p: p["kind"] == "b"),
    "a range": (PRODUCT, "trial=2:5", lambda p: 2 <= p["trial"] < 5),
    "from": (PRODUCT, "trial=7:", lambda p: p["trial"] >= 7),
    "up to": (PRODUCT, "trial=:2", lambda p: p["trial"] < 2),
    "all": (PRODUCT, "trial=:", lambda p: True),
    "floats": (PRODUCT, "radius=0.15:0.3", lambda p: 0.15 <= p["radius"] < 0.3),
    "texts": (PRODUCT, "kind=a:c", lambda p: p["kind"] in "ab"),
    "a term": (SUM, "m=tree", lambda p: p["m"] == "tree"),
    "of one term": (SUM, "c=2:", lambda p: p["c"] >= 2),
    "lacking": (SUM, "depth=nan", lambda p: math.isnan(p["depth"])),
    "dates": (Param(day=DAYS), "day=2024-01-02", lambda p: p["day"].day == 2),
    "a range of dates": (
        Param(day=np.array(DAYS, "M8[D]")) * Param(x=[1, 2]),
        "day=2024-01-02:",
        lambda p: p["day"] > np.datetime64("2024-01-01"),
    ),
    "times": (
        Param(at=[datetime.datetime(2024, 1, 1, hour) for hour in range(9)]),
        "at=2024-01-01T02:00:2024-01-01T04:00",
        lambda p: 2 <= p["at"].hour < 4,
    ),
    "a time": (
        Param(at=[datetime.datetime(2024, 1, 1, 12, minute) for minute in range(9)]),
        "at=2024-01-01T12:05",
        lambda p: p["at"].minute == 5,
    ),
    "a time of day": (TIMES, "at=09:30", lambda p: p["at"].hour == 9),
    "it with seconds": (TIMES, "at=09:30:00", lambda p: p["at"].hour == 9),
    "it in quotes": (TIMES, "at='09:30'", lambda p: p["at"].hour == 9),
    "times of day": (TIMES, "at=09:30,10:30", lambda p: p["at"].hour in (9, 10)),
    "a range of them": (TIMES, "at=09:30:12:00", lambda p: 9 <= p["at"].hour < 12),
    "from a time on": (TIMES, "at=17:00:", lambda p: p["at"].hour >= 17),
    "before a time": (TIMES, "at=:09:30", lambda p: p["at"].hour < 9),
    "a decimal": (MONEY, "x=0.10", lambda p: p["x"] == Decimal("0.1")),
    "decimals": (MONEY, "x=0.1,3", lambda p: p["x"] in (Decimal("0.1"), Decimal(3))),
    "a range of decimals": (MONEY, "x=0.1:0.25", lambda p: p["x"] == Decimal("0.1")),
    "decimals from": (MONEY, "x=0.25:", lambda p: p["x"] in (Decimal("0.25"), 3)),
    "decimals of any size": (MONEY, "x=1:1e999999999", lambda p: p["x"] == 3),
    "a fraction": (RATIOS, "x=1/3", lambda p: p["x"] == Fraction(1, 3)),
    "as a decimal": (RATIOS, "x=0.1", lambda p: p["x"] == Fraction(1, 10)),
    "a range of fractions": (RATIOS, "x=0.1:1/3", lambda p: p["x"] == Fraction(1, 10)),
    "fractions up to": (RATIOS, "x=:7/2", lambda p: p["x"] < 1),
    "fractions of any size": (RATIOS, "x=1:1e999999999", lambda p: p["x"] > 1),
    "a length of time": (WAITS, "w=2h", lambda p: p["w"] == HOUR * 2),
    "lengths of time": (WAITS, "w=60m,3h", lambda p: p["w"] in (HOUR, HOUR * 3)),
    "a range of lengths": (WAITS, "w=0s:1h30m", lambda p: HOUR * 0 <= p["w"] <= HOUR),
    "a negative one": (WAITS, "w=-1h", lambda p: p["w"] < HOUR * 0),
    "those of NumPy": (
        NANOSECONDS,
        "w=1h,2h",
        lambda p: p["w"] / np.timedelta64(1, "h") in (1, 2),
    ),
    "fine ones": (
        NANOSECONDS,
        "w=0.000000001s:2h",
        lambda p: np.timedelta64(0, "ns") < p["w"] < np.timedelta64(2, "h"),
    ),
    "numbers of several types": (
        Param(x=[0.1, Decimal("0.1"), Fraction(1, 2)]),
        "x=0.1:0.3",
        lambda p: p["x"] != Fraction(1, 2),
    ),
    "up to more than floats": (
        PRODUCT,
        f"radius=0.15:{10**400}",
        lambda p: p["radius"] > 0.15,
    ),
    "truth values": (
        Param(x=[True, False]),
        f"x=1:{2**70}",
        lambda p: p["x"],
    ),
    "selected": (PRODUCT[5:70:3], "trial=2:5", lambda p: 2 <= p["trial"] < 5),
    "digits that are text": (
        Param(name=["1", "2", "3"]),
        "name=2:",
        lambda p: p["name"] >= "2",
    ),
}


def points(space: ParameterSpace) -> list[str]:
    return [str(sorted(point.items())) for point in space]


@pytest.mark.parametrize(("space", "text", "is_meant"), CASES.values(), ids=CASES)
def test_points_are_chosen_by_their_values(
    space: ParameterSpace, text: str, is_meant: Callable[[Point], bool]
) -> None:
    wanted = [i for i, point in enumerate(space) if is_meant(point)]
    conditions = Conditions([text])
    assert np.flatnonzero(conditions.mask(space)).tolist() == wanted
    of_whole = points(space)
    assert points(conditions.of(space)) == [of_whole[i] for i in wanted]


def test_conditions_are_joined_by_and() -> None:
    conditions = Conditions(["radius=0.1,0.2", "trial=0:5"])
    assert len(conditions.of(PRODUCT)) == 10
    assert conditions.mask(PRODUCT).sum() == 10


WRONG = {
    "trail=1": "no parameter 'trail'. Did you mean 'trial'? The parameters are trial,",
    "trial=12": "'trial' is never 12. The nearest is 9.",
    f"trial={10**400}": "'trial' is never 10000",
    "radius=0.1,0.25": "'radius' is never 0.25. The nearest is 0.",
    "kind=d": "'kind' is never 'd'",
    "trial=20:30": "'trial' has no value in 20:30. Its values are from 0 to 9.",
    "trial=5:5": "'trial' has no value in 5:5.",
    "trial=a:b": "'trial' has no value in a:b. Its values are from 0 to 9.",
    "kind=d:": "'kind' has no value in d:. Its values are 'a', 'b', 'c'.",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_what_is_not_there_is_refused(text: str, message: str) -> None:
    with pytest.raises(PsyrunError) as caught:
        Conditions([text]).of(PRODUCT)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("space", "text", "message"),
    [
        (Param(day=DAYS), "day=2025-01-01:", "Its values are 2024-01-01, 2024-01-02, "),
        (TIMES, "at=09:00", "'at' has no value in 09:00. Its values are "),
        (TIMES, "at=9:12", "'at' has no value in 9:12. Its values are "),
        (TIMES, "at=20:00:", "'at' has no value in 20:00:. Its values are "),
        (TIMES, "at=09:30:12:00,10:30", "'at' is never '09:30:12:00'. Its values are "),
        (TIMES, "at=noon", "'at' is never 'noon'. Its values are "),
        (MONEY, "x=0.2", "'x' is never 0.2. Its values are 0.1, 0.25, 3"),
        (MONEY, "x=a:b", "'x' has no value in a:b. Its values are 0.1, 0.25, 3"),
        (MONEY, "x=nan:", "'x' has no value in nan:. Its values are 0.1, 0.25, 3"),
        (RATIOS, "x=1/0:", "'x' has no value in 1/0:. Its values are 1/3, 1/10, 7/2"),
        (RATIOS, "x=2/3", "'x' is never '2/3'. Its values are 1/3, 1/10, 7/2"),
    ],
)
def test_what_is_not_there_of_other_types_is_refused(
    space: ParameterSpace, text: str, message: str
) -> None:
    with pytest.raises(PsyrunError) as caught:
        Conditions([text]).of(space)
    assert message in str(caught.value)


def test_a_combination_that_no_point_has_is_refused() -> None:
    with pytest.raises(PsyrunError, match=r"no assignment has all of this: m=svm, d"):
        Conditions(["m=svm", "depth=2"]).of(SUM)


def test_a_factor_of_a_huge_space_is_looked_at_alone() -> None:
    space = Param(a=range(10**6)) * Param(b=range(10**6))
    found = Conditions(["a=10:20", "b=999999"]).of(space)
    assert found.build()["a"] == list(range(10, 20))


@given(st.data())
def test_a_mask_chooses_points_in_their_order(
    data: st.DataObject,
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    space: ParameterSpace = Param()
    for axis, size in enumerate(sizes):
        space = space * Param(**{f"p{axis}": range(size)})
    n_points = len(space)
    is_chosen = np.array(
        data.draw(st.lists(st.booleans(), min_size=n_points, max_size=n_points))
    )
    numbers = np.flatnonzero(is_chosen)
    of_whole = points(space)
    for found in (chosen_by(space, is_chosen), chosen_at(space, numbers)):
        assert points(found) == [of_whole[i] for i in numbers]


def test_of_a_product_only_the_axes_that_are_used_stay() -> None:
    space = Param(a=range(4)) * Param(b=range(5)) * Param(c=range(6))
    is_box = np.zeros((4, 5, 6), np.bool_)
    is_box[1:3, 4, ::2] = True
    is_part = is_box.copy()
    is_part[1, 4, 2] = False
    for mask in (is_box.reshape(-1), is_part.reshape(-1)):
        for found in (chosen_by(space, mask), chosen_at(space, np.flatnonzero(mask))):
            assert grid_of(found).shape == (2, 3)
            assert len(found) == mask.sum()
