"""Plots show the numbers that pandas computes, and say what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeps import LIMITS, RowsInMemory, drawn, sweep_of

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.report.picture import picture_of
from psyrun.report.plot import wanted_of
from psyrun.report.sweep import Sweep
from psyrun.results.known_rows import KnownRows
from psyrun.workdir.description import Description

GRID = (
    Param(beta=[0.4, 0.1, 0.2])
    * Param(solver=["rk4", "euler"])
    * Param(n=[1, 2, 3, 4])
    * Param(trial=range(3))
)


def values(space, seed=1):
    return np.random.default_rng(seed).normal(size=len(space))


def table(space, y, gone):
    frame = pd.DataFrame(space.build())
    frame["y"] = y
    return frame.drop(index=sorted(gone))


@given(
    st.permutations(["beta", "solver", "n", "trial"]),
    st.sets(st.integers(0, len(GRID) - 1), max_size=60),
    st.sampled_from(["mean", "median", "min", "max"]),
)
def test_values_are_those_of_a_group_in_pandas(names, gone, how):
    y = values(GRID)
    x, by, *_ = names
    found = drawn(sweep_of(GRID, {"y": y}, missing=gone), over=x, by=by, reduce=how)
    frame = table(GRID, y, gone)
    expected = getattr(frame.groupby([x, by], sort=False)["y"], how)()
    n_found = 0
    for place, level in enumerate(found.x.values.tolist()):
        for series, other in enumerate(found.by.values.tolist()):
            value = found.cells.values[place, series]
            assert value == pytest.approx(
                expected.get((level, other), np.nan), nan_ok=True
            )
            n_found += not np.isnan(value)
    assert n_found == len(expected)


@given(
    st.sets(st.integers(0, len(GRID) - 1), max_size=30),
    st.sets(st.integers(0, len(GRID) - 1), max_size=30),
)
def test_the_share_of_failures_is_that_of_what_ended(missing, failed):
    missing = missing - failed
    sweep = sweep_of(
        GRID, {"y": values(GRID)}, missing=missing, failed=failed, cost="failed"
    )
    found = drawn(sweep, over="n,solver", cost="failed")
    frame = pd.DataFrame(GRID.build())
    frame["failed"] = [i in failed for i in range(len(GRID))]
    expected = frame.drop(index=sorted(missing)).groupby(["n", "solver"])["failed"]
    shares = expected.mean()
    for place, n in enumerate(found.x.values.tolist()):
        for line, solver in enumerate(found.y.texts):
            assert found.cells.values[place, line] == pytest.approx(
                shares.get((n, solver), np.nan), nan_ok=True
            )


def test_the_title_says_how_many_are_reduced_over_what():
    sweep = sweep_of(GRID, {"y": values(GRID)})
    assert drawn(sweep).title == "y over n, by solver: mean of 9 over beta, trial"
    sweep = sweep_of(GRID, {"y": values(GRID)}, missing=[0])
    found = drawn(sweep, over="n", by="beta", reduce="q90", band="q10:q90")
    assert found.title == (
        "y over n, by beta: q90 of 5 to 6 over solver, trial, band q10:q90"
    )


def test_what_is_missing_is_counted():
    space = Param(n=[1, 2, 3]) * Param(kind=["a", "b"])
    sweep = sweep_of(space, {"y": values(space)}, missing=[1, 2], failed=[5])
    found = drawn(sweep)
    assert "2 of 6 cells are not computed yet" in found.notes
    assert "1 of 6 cells failed" in found.notes
    assert not any("blank" in note for note in found.notes), "all of these are told"
    sweep = sweep_of(GRID, {"y": values(GRID)}, missing=range(40, 72))
    found = drawn(sweep, over="beta")
    assert "32 of 72 assignments are not computed yet" in found.notes
    assert any("cells are blank" in note for note in found.notes)


def test_nan_and_infinite_results_are_left_out_and_counted():
    space = Param(n=[1, 2, 3]) * Param(trial=[0, 1])
    y = np.array([1.0, np.nan, np.inf, -np.inf, 2.0, 4.0])
    found = drawn(sweep_of(space, {"y": y}))
    assert found.cells.values[:, 0].tolist()[::2] == [1.0, 3.0]
    assert np.isnan(found.cells.values[1, 0])
    assert "3 of 6 values are nan or inf, and left out" in found.notes
    with pytest.raises(PsyrunError, match="no value of 'y' is a finite number"):
        drawn(sweep_of(space, {"y": np.full(6, np.nan)}))


def test_levels_that_are_nan_have_no_place():
    space = Param(x=[1.0, 2.0, np.nan, np.inf])
    found = drawn(sweep_of(space, {"y": [1, 2, 3, 4]}))
    assert found.x.values.tolist() == [1, 2]
    assert "2 levels of x without a place (nan, inf)" in found.notes


def test_the_first_number_is_chosen_and_others_are_named():
    space = Param(n=[1, 2])
    results = {"name": ["a", "b"], "y": [1, 2], "z": [3.0, 4.0]}
    found = drawn(sweep_of(space, results))
    assert found.label == "y"
    assert found.notes == ["y is the first result that is a number; others: name, z"]
    with pytest.raises(PsyrunError, match="no result is a number"):
        drawn(sweep_of(space, {"name": ["a", "b"]}))
    with pytest.raises(PsyrunError, match="'name' is text, and no number"):
        drawn(sweep_of(space, results), "name")


def test_truth_values_are_shares():
    space = Param(n=[1, 2]) * Param(trial=range(4))
    ok = [True, True, False, False, True, True, True, True]
    assert drawn(sweep_of(space, {"ok": ok})).cells.values.tolist() == [[0.5], [1.0]]


def test_arrays_are_drawn_along_their_own_axis():
    space = Param(n=[1, 2]) * Param(trial=[0, 1])
    wave = np.arange(12.0).reshape(4, 3)
    sweep = sweep_of(
        space,
        {"wave": wave},
        dims={"wave": ("t",)},
        coords={"t": np.array([0.0, 0.5, 1.0])},
        attrs={"t": {"units": "s"}, "wave": {"units": "mV"}},
    )
    found = drawn(sweep)
    assert (found.shape, found.x.label, found.label) == ("line", "t (s)", "wave (mV)")
    assert found.title == "wave over t, by n: mean of 2 over trial"
    means = wave.reshape(2, 2, 3).mean(axis=1).T
    np.testing.assert_allclose(found.cells.values, means)
    both = drawn(sweep, over="t,n")
    assert both.shape == "heat"
    np.testing.assert_allclose(both.cells.values, means)
    over_n = drawn(sweep, over="n").cells.values[:, 0]
    np.testing.assert_allclose(over_n, wave.reshape(2, -1).mean(axis=1))


def test_many_levels_are_put_together_or_left_out():
    space = Param(x=range(10_000)) * Param(seed=[1, 2])
    y = np.repeat(np.arange(10_000.0), 2)
    found = drawn(sweep_of(space, {"y": y}), over="x,seed")
    assert found.cells.values.shape == (62, 2)
    assert "10000 levels of x in 62 intervals" in found.notes
    groups = pd.Series(np.arange(10_000.0)).groupby(found.x.codes[::2]).mean()
    np.testing.assert_allclose(found.cells.values[:, 0], groups)
    found = drawn(sweep_of(space, {"y": y}), over="seed", by="x")
    assert found.n_series == 7
    assert "7 of 10000 levels of x are shown" in found.notes


def test_of_many_texts_the_first_are_shown():
    space = Param(name=[f"n{i}" for i in range(10_000)])
    found = drawn(sweep_of(space, {"y": np.arange(10_000.0)}))
    assert found.shape == "bars"
    assert len(found.x) == 40
    assert "the first 40 of 10000 levels of name are shown" in found.notes


def test_many_axes_have_a_short_title():
    space = Param(kind=["a", "b"])
    for key in "bcdefghijk":
        space = space * Param(**{key * 40: [1, 2]})
    found = drawn(sweep_of(space, {"y": values(space)}), over="kind")
    rest = ", ".join(f"{key * 29}…" for key in "cde")
    assert found.title.endswith(f"mean of 512 over {rest} and 6 more")


def test_a_few_rows_of_fifty_axes_are_drawn_at_once():
    space = Param(a0=[0, 1])
    for number in range(1, 50):
        space = space * Param(**{f"a{number}": [0, 1]})
    rows = np.arange(20) * (2**50 // 19 - 1)
    source = RowsInMemory({"y": rows % 7}, KnownRows(space, rows), Description())
    found = picture_of(Sweep("a", source), wanted_of(over="a49"), LIMITS)
    odd = rows % 2 == 1
    expected = [np.mean(rows[~odd] % 7), np.mean(rows[odd] % 7)]
    np.testing.assert_allclose(found.cells.values[:, 0].tolist()[:2], expected)
    assert f"{2**50 - 20} of {2**50} assignments are not computed yet" in found.notes


@pytest.mark.parametrize("name", ["it's", '"q"', "<b>", "😀", "a,b", "a b", "$x$"])
def test_parameters_and_results_may_have_any_name(name):
    space = Param(**{name: [1, 2], "n": [3, 4]}) * Param(k=["u", "v"])
    sweep = sweep_of(space, {f"{name}!": values(space)})
    found = drawn(sweep, f"{name}!", over=name, by="k")
    assert (found.x.name, found.title) == (name, f"{name}! over {name}, by k")
    assert drawn(sweep, over=f"{name},k").shape == "heat"
    with pytest.raises(PsyrunError) as caught:
        drawn(sweep, over=f"{name}?")
    assert name in str(caught.value)


def test_costs_are_seconds_and_mebibytes():
    space = Param(n=[1, 2])
    columns = {
        "y": [0, 0],
        "cost_duration": np.array([1.5, 2.0]),
        "cost_peak_memory": np.array([2.0**20, 2.0**21]),
    }
    added = ("cost_duration", "cost_peak_memory")
    for cost, expected, unit in (
        ("time", [1.5, 2], "(s)"),
        ("memory", [1, 2], "(MiB)"),
    ):
        found = drawn(sweep_of(space, columns, cost=cost, added=added), cost=cost)
        assert found.cells.values[:, 0].tolist() == expected
        assert found.label.endswith(unit)
    columns["cost_duration"] = np.array([np.nan, np.nan])
    with pytest.raises(PsyrunError, match="the time of these rows is not known"):
        drawn(sweep_of(space, columns, cost="time", added=added), cost="time")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_histograms_count_each_value_once(numbers):
    space = Param(trial=range(len(numbers)))
    found = drawn(sweep_of(space, {"y": np.array(numbers)}))
    assert found.shape == "histogram"
    assert found.cells.counts.sum() == len(numbers)
    assert found.edges[0] <= min(numbers) and found.edges[-1] >= max(numbers)
    assert len(found.edges) <= 21


def test_a_million_rows_make_one_plot():
    space = Param(a=range(100)) * Param(b=range(100)) * Param(trial=range(100))
    source = RowsInMemory({"y": values(space)}, KnownRows(space), Description())
    found = picture_of(Sweep("a", source), wanted_of(over="a,b"), LIMITS)
    assert found.cells.counts.sum() == 10**6
