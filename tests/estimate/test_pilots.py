"""Which assignments are evaluated beforehand."""

from typing import Any

import numpy as np
import pytest

from psyrun import Param
from psyrun.estimate import (
    FAILED,
    Estimate,
    Evaluated,
    affordable,
    estimate,
    first_pilots,
    next_pilots,
)
from psyrun.pspace.order import order_of
from psyrun.pspace.space import ParameterSpace

SPACES = {
    "grid": Param(n=range(1, 41)) * Param(mode=list("abcde")) * Param(seed=range(10)),
    "random": Param(x=np.random.default_rng(0).random(300)),
    "sum": Param(a=range(50), kind="a") + Param(b=range(30), kind="b"),
    "holes": Param(x=range(20)) * Param(y=range(20)) - Param(x=[3, 4, 5]),
    "large": Param(x=range(10**6)) * Param(y=range(10**6)),
}


def values(space: ParameterSpace, rows: Any, key: str) -> set[Any]:
    return {space[row][key] for row in rows.tolist()}


def test_the_first_pilots_have_each_level_and_both_ends() -> None:
    rows = first_pilots(SPACES["grid"], 16)
    assert values(SPACES["grid"], rows, "mode") == set("abcde")
    assert {1, 40} <= values(SPACES["grid"], rows, "n")
    assert {0, 9} <= values(SPACES["grid"], rows, "seed")


def test_half_of_them_are_the_head_of_the_even_order() -> None:
    order = order_of(SPACES["grid"], "even")
    assert order is not None
    rows = first_pilots(SPACES["grid"], 16)
    assert rows[:8].tolist() == order.points(np.arange(8)).tolist()


def test_few_pilots_have_as_many_levels_as_they_can() -> None:
    space = Param(file=[f"f{i}" for i in range(1000)]) * Param(n=[1, 2, 3])
    rows = first_pilots(space, 10)
    assert len(values(space, rows, "file")) == 10


@pytest.mark.parametrize("name", list(SPACES))
@pytest.mark.parametrize("n", [1, 7, 20])
def test_pilots_are_different_points_of_the_space(name: str, n: int) -> None:
    space = SPACES[name]
    rows = first_pilots(space, n)
    assert len(set(rows.tolist())) == n
    known = Evaluated.of(rows, 1.0 + rows % 5)
    more = next_pilots(space, known, 5)
    both = {*rows.tolist(), *more.tolist()}
    assert len(both) == n + 5
    assert min(both) >= 0
    assert max(both) < len(space)


def test_no_more_pilots_than_points() -> None:
    space = Param(x=range(6))
    assert sorted(first_pilots(space, 20).tolist()) == list(range(6))
    known = Evaluated.of(range(6), np.ones(6))
    assert len(next_pilots(space, known, 3)) == 0
    part = Evaluated.of(range(4), np.ones(4))
    assert sorted(next_pilots(space, part, 8).tolist()) == [4, 5]


def test_the_next_pilots_are_where_most_of_the_cost_is() -> None:
    space = Param(n=np.geomspace(1, 1000, 60)) * Param(m=range(1, 11))
    rows = first_pilots(space, 8)
    rng = np.random.default_rng(0)
    n = np.array([space[row]["n"] for row in rows.tolist()])
    known = Evaluated.of(rows, 0.01 * n**2 * rng.lognormal(0, 0.3, len(n)))
    more = next_pilots(space, known, 4)
    assert max(values(space, more, "n")) > 300


def test_a_level_that_only_failed_is_not_asked_for_again_and_again() -> None:
    space = Param(n=range(1, 21)) * Param(mode=list("abc"))
    rows = first_pilots(space, 9)
    outcomes = [FAILED * (space[row]["mode"] == "c") for row in rows.tolist()]
    known = Evaluated.of(rows, np.ones(9), None, outcomes)
    more = next_pilots(space, known, 6)
    assert not set(more.tolist()) & set(rows.tolist())
    assert values(space, more, "mode") & {"a", "b"}


def test_without_a_success_the_next_ones_are_of_the_even_order() -> None:
    space = SPACES["grid"]
    rows = first_pilots(space, 8)
    known = Evaluated.of(rows, np.ones(8), None, np.full(8, FAILED))
    more = next_pilots(space, known, 4)
    assert len(set(more.tolist()) - set(rows.tolist())) == 4


def test_pilots_that_a_budget_does_not_pay_for_are_left_out() -> None:
    space = Param(n=range(1, 101))
    rows = first_pilots(space, 10)
    found = estimate(space, Evaluated.of(rows, 1.0 + rows))
    assert isinstance(found, Estimate)
    wanted = np.array([50, 98, 9, 19])
    assert affordable(wanted, found.time, 90.0).tolist() == [50, 9, 19]
    assert affordable(wanted, found.time, 0.5).tolist() == []
    assert affordable(wanted, found.time, 1e6).tolist() == wanted.tolist()
