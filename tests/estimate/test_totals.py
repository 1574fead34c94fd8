"""The costs of a whole space, predicted from pilots."""

import datetime as dt
import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from known_costs import TASKS

from psyrun import Param
from psyrun.estimate import (
    FAILED,
    OK,
    TIMED_OUT,
    Estimate,
    Evaluated,
    NoEstimate,
    Range,
    estimate,
    first_pilots,
    next_pilots,
    predicted_times,
)
from psyrun.estimate.bounds import fewer, fitted_times
from psyrun.estimate.columns import Columns
from psyrun.pspace.space import ParameterSpace


def predicted(space: ParameterSpace, *args: Any) -> Estimate:
    found = estimate(space, Evaluated.of(*args))
    assert isinstance(found, Estimate)
    return found


def from_pilots(space: ParameterSpace, costs: Any, n: int = 16) -> Estimate:
    """Return the estimate from pilots of a space that cost what a function says."""
    rows = first_pilots(space, n)
    return predicted(space, rows, [costs(**space[row]) for row in rows.tolist()])


def repeated(name: str, n: int, n_repeats: int) -> tuple[Any, Any, Any, Any]:
    """Return errors of total and peak, and whether intervals hold them."""
    answers = []
    for seed in range(n_repeats):
        space = TASKS[name].space(seed)
        seconds, memory = TASKS[name].costs(space, seed)
        rows = first_pilots(space, 8)
        known = Evaluated.of(rows, seconds[rows], memory[rows])
        rows = np.append(rows, next_pilots(space, known, n - 8, seed))
        found = estimate(space, Evaluated.of(rows, seconds[rows], memory[rows]), seed)
        assert isinstance(found, Estimate)
        assert found.memory is not None
        peak = found.memory.largest.cost
        answers.append(
            (
                abs(found.time.total.value / seconds.sum() - 1),
                abs(peak.value / memory.max() - 1),
                is_in(found.time.total, float(seconds.sum())),
                is_in(peak, float(memory.max())),
            )
        )
    errors, peaks, hits, peak_hits = zip(*answers, strict=True)
    return errors, peaks, hits, peak_hits


def is_in(interval: Range, value: float) -> bool:
    return interval.low <= value <= interval.high


@pytest.mark.parametrize(
    ("name", "error", "of_peak"),
    [
        ("n², solver", 0.08, 0.06),
        ("a + b·n·m", 0.10, 0.05),
        ("one of six levels 30-fold", 0.10, 0.05),
        ("a·n + b·m²", 0.15, 0.06),
        ("random space", 0.08, 0.05),
    ],
)
def test_sixteen_pilots_tell_the_costs_of_known_tasks(
    name: str, error: float, of_peak: float
) -> None:
    errors, peaks, hits, peak_hits = repeated(name, 16, 4)
    assert np.median(errors) < error
    assert np.median(peaks) < of_peak
    assert sum(hits) >= 2
    assert sum(peak_hits) >= 2


def test_a_power_law_is_continued_to_the_largest_assignment() -> None:
    space = Param(n=[10, 30, 100, 300, 1000]) * Param(m=[1, 2, 4, 8])
    found = from_pilots(space, lambda n, m: 1e-4 * n**2 * m, 10)
    truth = sum(1e-4 * p["n"] ** 2 * p["m"] for p in space)
    assert found.time.fits
    assert found.time.total.value == pytest.approx(truth, rel=0.15)
    assert found.time.largest.parameters == {"n": 1000, "m": 8}
    assert space[found.time.largest.index] == {"n": 1000, "m": 8}
    assert found.time.largest.cost.value == pytest.approx(800, rel=0.3)
    assert found.time.error < 1.5


def test_means_of_assignments_and_known_costs_add_up_to_the_total() -> None:
    space = Param(n=range(10, 100)) * Param(kind=["a", "b"])
    rows = first_pilots(space, 12)
    rng = np.random.default_rng(0)
    seconds = [space[r]["n"] * rng.lognormal(0, 0.3) for r in rows.tolist()]
    time = predicted(space, rows, seconds).time
    rest = np.setdiff1d(np.arange(len(space)), rows)
    assert time.means(rest).sum() + sum(seconds) == pytest.approx(time.total.value)
    assert (time.means(rest) > 0.9 * time.medians(rest)).all()


def test_memory_has_a_base() -> None:
    space = Param(n=range(10, 1010, 10))
    rows = first_pilots(space, 10)
    memory = [1e8 + 1e3 * space[r]["n"] ** 2 for r in rows.tolist()]
    found = predicted(space, rows, np.ones(10), memory).memory
    assert found is not None
    assert found.smallest == pytest.approx(1e8, rel=0.05)
    assert found.largest.cost.value == pytest.approx(1.1e9, rel=0.1)
    assert found.largest.parameters == {"n": 1000}


def test_without_a_success_nothing_is_predicted() -> None:
    space = Param(x=range(5))
    found = estimate(space, Evaluated.of([1, 3], [2.0, 9.0], None, [FAILED, TIMED_OUT]))
    assert isinstance(found, NoEstimate)
    assert [each.parameters for each in found.failures] == [{"x": 1}, {"x": 3}]
    assert [each.timed_out for each in found.failures] == [False, True]
    assert isinstance(estimate(space, Evaluated.of([], [])), NoEstimate)


def test_a_single_assignment_costs_what_it_has_cost() -> None:
    found = predicted(Param(x=1), [0], [3.0], [1e8])
    assert found.time.total == Range(3.0, 3.0, 3.0)
    assert found.time.largest.cost == Range(3.0, 3.0, 3.0)
    assert found.memory is not None
    assert found.memory.fits


def test_when_all_are_known_nothing_is_uncertain() -> None:
    found = predicted(Param(x=range(4)), [3, 1, 0, 2], [4.0, 2.0, 1.0, 3.0])
    assert found.time.total == Range(10.0, 10.0, 10.0)
    assert found.time.largest.parameters == {"x": 3}
    assert found.time.largest.cost.value == 4.0


def test_two_pilots_are_too_few_to_bound_the_total() -> None:
    found = predicted(Param(x=range(100)), [10, 80], [1.0, 3.0])
    assert not found.time.fits
    assert found.time.reason.startswith("2 pilots")
    assert found.time.total.high == math.inf
    assert found.time.total.value == pytest.approx(200, rel=0.2)


def test_equal_costs_are_predicted_to_be_equal() -> None:
    space = Param(x=range(50)) * Param(y=list("ab"))
    found = from_pilots(space, lambda **_: 2.0)
    assert found.time.fits
    assert found.time.total.value == pytest.approx(200, rel=0.02)
    assert found.time.total.high < 240


def test_costs_that_no_parameter_explains_are_those_of_the_pilots() -> None:
    space = Param(x=range(1000))
    rng = np.random.default_rng(1)
    rows = first_pilots(space, 20)
    seconds = np.exp(rng.normal(0, 1.5, 20))
    time = predicted(space, rows, seconds).time
    assert not time.fits
    assert "do not explain" in time.reason
    assert seconds.min() <= time.quantiles[0.5] <= seconds.max()
    assert time.total.value == pytest.approx(1000 * seconds.mean(), rel=0.5)
    assert time.largest.cost.high == math.inf


def test_times_of_failed_pilots_are_not_used() -> None:
    space = Param(n=range(1, 101))
    rows = first_pilots(space, 12)
    seconds = 0.1 * (1.0 + rows)
    outcomes = np.where(np.arange(12) % 4 == 3, FAILED, OK)
    seconds[outcomes == FAILED] = 1e-3
    found = predicted(space, rows, seconds, None, outcomes)
    assert found.n_pilots == 9
    assert len(found.failures) == 3
    assert found.time.total.value == pytest.approx(505, rel=0.15)


def test_a_timeout_is_a_lower_bound() -> None:
    space = Param(n=np.linspace(1, 10, 50)) * Param(mode=["fast", "slow"])
    rows = first_pilots(space, 12)
    slow = np.array([space[r]["mode"] == "slow" for r in rows.tolist()])
    seconds = np.where(slow, 60.0, 1.0)
    outcomes = np.where(slow, TIMED_OUT, OK)
    without = predicted(space, rows[~slow], seconds[~slow])
    found = predicted(space, rows, seconds, None, outcomes)
    assert found.unseen == {"mode": 1}
    assert found.time.total.value > 50 * 60
    assert found.time.total.value > 2 * without.time.total.value
    assert found.time.largest.parameters["mode"] == "slow"


def test_bounds_below_what_is_predicted_change_little() -> None:
    space = Param(n=range(1, 101))
    rows = first_pilots(space, 12)
    seconds, outcomes = 0.1 * (1.0 + rows), np.full(12, OK)
    last = int(np.argmax(rows))
    seconds[last], outcomes[last] = 1.0, TIMED_OUT
    found = predicted(space, rows, seconds, None, outcomes)
    assert found.time.total.value == pytest.approx(505, rel=0.2)


def test_dates_booleans_and_absent_parameters_are_axes() -> None:
    days = [dt.datetime(2026, 1, day) for day in range(1, 31)]
    space = Param(day=np.array(days, "datetime64[s]")) * (
        Param(is_fast=[True, False]) + Param(depth=range(1, 6), is_fast=False)
    )

    def cost(day: Any, is_fast: bool, depth: Any) -> float:
        days = (np.datetime64(day) - np.datetime64("2026-01-01")) / np.timedelta64(
            1, "D"
        )
        extra = 0.0 if math.isnan(depth) else float(depth)
        return float((1.0 + 0.1 * days) * (1.0 if is_fast else 5.0) + extra)

    found = from_pilots(space, cost, 24)
    truth = sum(cost(**point) for point in space)
    assert found.time.fits
    assert found.time.total.value == pytest.approx(truth, rel=0.15)


def test_values_without_an_order_may_be_of_any_type() -> None:
    space = Param(f=[(1, 2), None, "x", [3]]) * Param(n=range(1, 21))
    found = from_pilots(space, lambda f, n: 7.0 if f is None else 1.0, 16)
    assert found.time.total.value == pytest.approx(20 * 10, rel=0.1)


def test_huge_spaces_cost_no_more_than_a_sample_of_them() -> None:
    space = Param(n=range(1, 10_001)) * Param(m=range(1, 10_001))
    found = from_pilots(space, lambda n, m: n * m * 1e-6, 12)
    assert found.time.fits
    assert found.time.largest.parameters == {"n": 10_000, "m": 10_000}
    assert found.time.total.value == pytest.approx(1e-6 * 50_005_000**2, rel=0.15)


def test_levels_without_a_pilot_are_counted() -> None:
    space = Param(file=[f"f{i}" for i in range(100)]) * Param(n=[1, 2])
    found = from_pilots(space, lambda file, n: float(n), 12)
    assert found.unseen == {
        "file": 100 - len({space[r]["file"] for r in first_pilots(space, 12).tolist()})
    }


def test_the_same_pilots_give_the_same_answer() -> None:
    space = Param(n=range(1, 101))
    one, other = (from_pilots(space, lambda n: n**1.5) for _ in range(2))
    assert one == other


def test_many_rows_are_used_as_few_for_the_form_and_all_for_the_total() -> None:
    space = Param(n=range(1, 2001))
    rows = np.arange(0, 2000, 2)
    found = predicted(space, rows, 1e-3 * (1 + rows), 1e8 + 1e5 * rows)
    assert found.n_pilots == 1000
    assert found.time.total.value == pytest.approx(2001, rel=0.02)
    assert found.memory is not None
    assert found.memory.largest.cost.value == pytest.approx(3e8, rel=0.05)


def test_the_peak_is_not_bounded_if_most_levels_are_unknown_and_others_differ() -> None:
    space = Param(file=[f"f{i}" for i in range(500)]) * Param(n=[1, 2, 4])
    rows = first_pilots(space, 24)
    names = sorted({space[row]["file"] for row in rows.tolist()})
    sizes = dict(zip(names, np.geomspace(1, 100, len(names)), strict=True))
    seconds = np.array([sizes[space[row]["file"]] for row in rows.tolist()])
    assert predicted(space, rows, seconds).time.largest.cost.high == math.inf
    alike = predicted(space, rows, np.array([space[r]["n"] for r in rows.tolist()]))
    assert alike.time.largest.cost.high < 8


def test_a_narrow_interval_has_a_ratio_of_about_one() -> None:
    assert Range(2.0, 1.0, 3.0).ratio == 3.0
    assert Range(2.0, 0.0, 3.0).ratio == math.inf


@pytest.mark.parametrize(
    "space",
    [
        Param(a=np.arange(12).reshape(6, 2)) * Param(n=range(10)),
        Param(x=[1.0, math.inf, math.nan]) * Param(n=range(1, 9)),
        Param(x=[10**30, 5]) * Param(n=range(5)),
        Param(x=range(1, 20)).repeat(5),
        (Param(x=range(30)) * Param(y=range(30))).where(lambda x, y: (x + y) % 3 == 0),
        Param(a=range(1, 30)).zip(Param(b=range(29))) * Param(m=["u", "v"]),
        Param(v=[1, "a", 2.5, None]) * Param(n=range(1, 9)),
        Param(v=np.array([1j, 2, 3])) * Param(n=range(5)),
        Param(x=[1, 2]),
        Param(x=[1, 1, 1, 1]),
    ],
    ids=repr,
)
def test_any_space_has_an_estimate(space: ParameterSpace) -> None:
    rng = np.random.default_rng(1)
    rows = first_pilots(space, 8)
    outcomes = np.where(rng.random(len(rows)) < 0.2, TIMED_OUT, OK)
    outcomes[0] = OK
    found = predicted(space, rows, rng.lognormal(0, 0.5, len(rows)), None, outcomes)
    total = found.time.total
    assert 0 < total.low <= total.value <= total.high
    assert (found.time.means(np.arange(len(space))) > 0).all()


def test_times_alone_are_those_of_the_estimate() -> None:
    space = Param(n=range(1, 51)) * Param(solver=["a", "b"])
    rows = first_pilots(space, 12)
    known = Evaluated.of(rows, [(1.0 + row // 2) ** 2 for row in rows.tolist()])
    times_of, found = predicted_times(space, known), estimate(space, known)
    assert times_of is not None
    assert isinstance(found, Estimate)
    places = np.arange(100)
    np.testing.assert_allclose(times_of(places), found.time.medians(places))


def test_times_are_not_predicted_if_no_model_fits() -> None:
    space, rng = Param(n=range(100)), np.random.default_rng(5)
    rows = np.arange(0, 100, 5)
    assert predicted_times(space, Evaluated.of(rows, rng.lognormal(0, 2, 20))) is None
    assert predicted_times(space, Evaluated.of(rows[:2], [1.0, 2.0])) is None


def test_pilots_are_taken_of_any_number_of_rows() -> None:
    some = fewer(10**12)
    assert len(np.unique(some)) == len(some) == 200
    assert 0 <= some.min() < some.max() < 10**12


def test_a_model_can_be_fitted_to_few_of_many_rows() -> None:
    known = Evaluated.of(np.arange(100), np.arange(1.0, 101))
    columns = Columns(Param(n=range(1, 101)))
    assert len(fitted_times(columns, known, most=16).costs) == 16
    found = estimate(columns.space, known, most=16)
    assert isinstance(found, Estimate)
    # All that is known counts, whatever the model is fitted to.
    assert found.n_pilots == 100
    assert found.time.total.value == pytest.approx(5050)


def test_levels_of_all_of_many_rows_are_seen() -> None:
    space = Param(mode=["a", "b", "c"]) * Param(n=range(70_000))
    rows = np.r_[:70_000, 139_999]
    assert predicted(space, rows, np.ones(len(rows))).unseen == {"mode": 1}


@pytest.mark.parametrize("n_ok", [1, 2, 5, 12])
@pytest.mark.parametrize("varies", [False, True], ids=["fits", "does not fit"])
def test_nothing_is_said_to_take_less_than_it_had_when_it_was_ended(
    n_ok: int, varies: bool
) -> None:
    space = Param(n=range(40))
    rng = np.random.default_rng(3)
    rows = rng.permutation(40)[: n_ok + 3]
    seconds = np.full(len(rows), 0.2)
    if varies:
        seconds = rng.lognormal(-3, 2, len(rows))
    seconds[-3:] = [0.5, 0.7, 0.6]
    outcomes = [OK] * n_ok + [TIMED_OUT] * 3
    time = predicted(space, rows, seconds, None, outcomes).time
    largest = time.largest
    cost = max(0.7, seconds.max())
    assert min(largest.cost.low, largest.cost.value) >= cost
    assert largest.cost.high > cost
    if seconds.max() == 0.7 and not time.fits:
        assert largest.index == rows[-2]
    assert (time.means(rows[-3:]) >= seconds[-3:] * (1 - 1e-12)).all()
    assert min(time.total.low, time.total.value) >= seconds.sum() * (1 - 1e-12)
    if not time.fits:
        assert time.total.high == math.inf


def test_no_assignment_takes_longer_than_it_is_let() -> None:
    space = Param(n=range(40))
    rows, outcomes = [3, 20, 30], [OK, OK, TIMED_OUT]
    known = Evaluated.of(rows, [0.1, 0.2, 0.5], None, outcomes)
    found = estimate(space, known, limit=0.5)
    assert isinstance(found, Estimate)
    assert found.time.largest.cost == Range(0.5, 0.5, 0.5)
    assert found.time.largest.parameters == {"n": 30}
    assert found.time.total.high == pytest.approx(0.3 + 38 * 0.5)


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_what_is_far_beyond_the_evaluated_is_less_sure(exponent: int) -> None:
    space = Param(n=range(1, 201))
    noise = np.random.default_rng(1).lognormal(0, 0.05, 200)
    seconds = np.arange(1, 201.0) ** exponent * noise
    first, spread = np.arange(20), np.linspace(0, 199, 20).astype(np.int64)
    beyond = predicted(space, first, seconds[first]).time
    between = predicted(space, spread, seconds[spread]).time
    assert is_in(beyond.total, float(seconds.sum()))
    assert beyond.total.ratio > 1.3**exponent > between.total.ratio
    assert beyond.largest.cost.ratio > 1.3**exponent


def test_an_axis_that_costs_do_not_depend_on_is_continued_surely() -> None:
    space = Param(trial=range(100)) * Param(n=range(1, 11))
    noise = np.random.default_rng(1).lognormal(0, 0.05, 1000)
    seconds = np.tile(np.arange(1, 11.0) ** 2, 100) * noise
    rows = np.arange(100)
    time = predicted(space, rows, seconds[rows]).time
    assert is_in(time.total, float(seconds.sum()))
    assert time.total.ratio < 1.8


def test_a_million_assignments_take_little_memory() -> None:
    n = 1_000_000
    rows = np.arange(n - 100_000)
    evaluated = Evaluated.of(rows, np.full(len(rows), 1e-3))
    space = Param(x=range(n))
    tracemalloc.start()
    found = estimate(space, evaluated)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(found, Estimate)
    assert found.time.total.value == pytest.approx(1e-3 * n, rel=0.01)
    assert peak < 50e6
