"""Rules that are there are found, and no others."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace import ParameterSpace
from psyrun.results.rules import Rule, find_rule
from psyrun.results.rules.search import log_chance

SOLVERS = ["euler", "rk2", "rk4", "rk45"]
SIZES = [64, 128, 256, 512, 1024]
SPACE = (
    Param(solver=SOLVERS)
    * Param(n=SIZES)
    * Param(dt=[0.1, 0.2, 0.3])
    * Param(seed=range(16))
)


def column(space: ParameterSpace, key: str) -> np.ndarray:
    return np.array(space.build()[key])


SOLVER, N = column(SPACE, "solver"), column(SPACE, "n")
SEED = column(SPACE, "seed")
PLANTED = {
    "solver = rk4 and n ≥ 512": (SOLVER == "rk4") & (N >= 512),
    "solver = rk4 and n ≤ 128": (SOLVER == "rk4") & (N <= 128),
    "solver = euler and seed = 7": (SOLVER == "euler") & (SEED == 7),
    "n = 256 and seed ≥ 10": (N == 256) & (SEED >= 10),
    "n ≥ 512 and seed ≤ 4": (N >= 512) & (SEED <= 4),
    "n ≥ 128 and n ≤ 512 and seed ≥ 12": (N >= 128) & (N <= 512) & (SEED >= 12),
    "solver = rk45": SOLVER == "rk45",
}


def rule_of(space: ParameterSpace, is_special: np.ndarray) -> Rule | None:
    return find_rule(space, np.flatnonzero(is_special))


def text_of(space: ParameterSpace, is_special: np.ndarray) -> str:
    rule = rule_of(space, is_special)
    return "" if rule is None else rule.text


@pytest.mark.parametrize("text", PLANTED)
def test_planted_conditions_are_found(text: str) -> None:
    rule = rule_of(SPACE, PLANTED[text])
    assert rule is not None and rule.text == text
    assert rule.n_found == rule.n_special == rule.n_such == PLANTED[text].sum()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("text", PLANTED)
def test_they_are_found_with_survivors_and_noise(text: str, seed: int) -> None:
    random = np.random.default_rng(seed).random(len(SPACE))
    is_special = np.where(PLANTED[text], random >= 0.2, random < 0.01)
    assert text_of(SPACE, is_special) == text


def test_a_rule_is_told_in_a_sentence() -> None:
    planted = PLANTED["solver = rk4 and n ≥ 512"].copy()
    planted[np.flatnonzero(planted)[::6]] = False
    rule = rule_of(SPACE, planted)
    assert rule is not None and rule.sentence() == (
        "all 80 of 80 failures have solver = rk4 and n ≥ 512 (of 96 such assignments)"
    )
    planted[:8] = True
    rule = rule_of(SPACE, planted)
    assert rule is not None and rule.sentence("of them") == (
        "80 of 88 of them have solver = rk4 and n ≥ 512 (of 96 such assignments)"
    )


def test_random_failures_have_no_rule() -> None:
    found = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        share = random.choice([0.003, 0.01, 0.05, 0.1, 0.3, 0.6, 0.9])
        found += rule_of(SPACE, random.random(len(SPACE)) < share) is not None
    assert found == 0


def test_random_failures_of_drawn_points_have_no_rule() -> None:
    for seed in range(50):
        random = np.random.default_rng(seed)
        space = Param(**{key: random.random(200) for key in "abcde"})
        assert rule_of(space, random.random(200) < 0.1) is None


def test_fifty_axes_of_noise_have_no_rule() -> None:
    random = np.random.default_rng(1)
    columns = {f"p{i}": random.integers(0, 4, 500) for i in range(50)}
    space = Param(**columns)
    assert rule_of(space, random.random(500) < 0.1) is None
    planted = (columns["p7"] == 2) & (columns["p33"] >= 2)
    assert text_of(space, planted) == "p7 = 2 and p33 ≥ 2"


def test_one_of_ten_thousand_levels_is_found() -> None:
    space = Param(subject=[f"s{i}" for i in range(10_000)]) * Param(x=range(5))
    assert text_of(space, column(space, "subject") == "s77") == "subject = s77"


def test_a_space_of_any_size_takes_no_longer() -> None:
    space = Param(a=range(10**6)) * Param(b=range(100)) * Param(c=range(10**4))
    random = np.random.default_rng(0)
    rows = random.integers(0, 10**8, 500) * 10**4 + random.integers(0, 9, 500)
    rule = find_rule(space, np.unique(rows))
    assert rule is not None and rule.text == "c ≤ 8"


def test_all_or_none_have_no_rule() -> None:
    assert rule_of(SPACE, np.ones(len(SPACE), bool)) is None
    assert rule_of(SPACE, np.zeros(len(SPACE), bool)) is None


def test_a_few_failures_are_no_pattern() -> None:
    space = Param(a=range(3)) * Param(b=range(3))
    for rows in ([0], [0, 1], [0, 1, 2], [4]):
        assert find_rule(space, np.array(rows)) is None


def test_what_is_everywhere_the_same_is_not_named() -> None:
    space = Param(x=range(40), unit="mV") * Param(mode=["only"])
    assert text_of(space, column(space, "x") >= 20) == "x ≥ 20"


def test_of_what_is_not_known_nothing_is_counted() -> None:
    known = np.flatnonzero((SOLVER == "rk4") | (SEED < 8))
    special = np.flatnonzero((SOLVER == "rk4") & (N >= 512) & (SEED < 8))
    rule = find_rule(SPACE, special, np.intersect1d(known, np.flatnonzero(SEED < 8)))
    assert rule is not None
    assert (rule.text, rule.n_such) == ("solver = rk4 and n ≥ 512", 48)


@pytest.mark.parametrize("text", PLANTED)
def test_rows_may_have_any_order(text: str) -> None:
    shuffled = SPACE.shuffle(seed=1)
    columns = shuffled.build()
    listed = Param(**columns)
    planted = {tuple(SPACE[i].items()) for i in np.flatnonzero(PLANTED[text])}
    is_special = np.array([tuple(point.items()) in planted for point in listed])
    assert text_of(shuffled, is_special) == text_of(listed, is_special) == text


def test_a_grid_with_holes_is_counted_as_it_is() -> None:
    space = SPACE - Param(solver=["rk4"]) * Param(n=[1024])
    is_special = (column(space, "solver") == "rk4") & (column(space, "n") >= 256)
    rule = rule_of(space, is_special)
    assert rule is not None
    assert (rule.text, rule.n_such) == ("solver = rk4 and n ≥ 256", 96)


def test_parameters_side_by_side_are_told_by_the_first() -> None:
    space = Param(a=range(30), b=range(30, 60)) * Param(c=range(5))
    assert text_of(space, column(space, "b") >= 45) == "a ≥ 15"


def test_repeats_are_no_condition() -> None:
    space = (Param(a=range(10)) * Param(b=["u", "v"])).repeat(6)
    assert text_of(space, column(space, "a") == 3) == "a = 3"


names = st.permutations(["w", "x", "y", "z", "v"])


@settings(max_examples=25, deadline=None)
@given(names, st.permutations(range(300)), st.integers(0, 20))
def test_names_of_levels_and_order_of_rows_do_not_matter(
    names: list[str], order: list[int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    levels = random.integers(0, 5, 300)
    numbers = random.integers(0, 6, 300)
    is_special = (levels == 2) & (numbers >= 3)
    is_special ^= random.random(300) < 0.02
    plain = Param(text=["vwxyz"[i] for i in levels], number=numbers)
    other = Param(
        text=[names[i] for i in levels[order]], number=10 * numbers[order] - 7
    )
    first, second = rule_of(plain, is_special), rule_of(other, is_special[order])
    if first is None or second is None:
        assert first is second
    else:
        counts = [(r.n_found, r.n_special, r.n_such) for r in (first, second)]
        assert counts[0] == counts[1]


def test_the_limit_of_a_chance_is_one_and_a_close_one() -> None:
    for n_all, n_special, n_drawn in product((5, 12, 30), (2, 5), (1, 4)):
        for n_found in range(min(n_special, n_drawn) + 1):
            exact = sum(
                math.comb(n_special, k)
                * math.comb(n_all - n_special, n_drawn - k)
                / math.comb(n_all, n_drawn)
                for k in range(n_found, min(n_special, n_drawn) + 1)
            )
            limit = math.exp(log_chance(n_all, n_special, n_drawn, n_found))
            assert exact * (1 - 1e-9) <= limit
            is_unlikely = n_found * n_all > 2 * n_drawn * n_special
            assert not is_unlikely or limit <= 2 * exact
