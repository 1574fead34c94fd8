"""A few of the scenarios of `make chaos`: each kind of victim, backend and store."""

import pytest
from scenarios import BACKENDS, STORES, VICTIMS, Scenario
from scripts import expect_no_fault

CHOSEN = (0, 7, 2, 15, 22, 11)


def test_each_kind_is_among_the_scenarios() -> None:
    scenarios = [Scenario(number) for number in CHOSEN]
    assert {one.victim for one in scenarios} == set(VICTIMS)
    assert {one.backend for one in scenarios} == set(BACKENDS)
    assert {one.store for one in scenarios} == set(STORES)
    assert {one.pool_size for one in scenarios} == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("number", CHOSEN, ids=lambda n: Scenario(n).victim)
def test_killed_runs_lose_nothing_and_repeat_little(number: int) -> None:
    expect_no_fault("chaos.py", "--first", str(number), "--runs", "1", "--seed", "1")
