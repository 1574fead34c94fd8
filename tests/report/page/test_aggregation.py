"""Repeats that are put together: numbers are those of pandas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from psyrun.report.page.aggregation import Aggregated, aggregated
from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO, Sweep
from psyrun.report.page.columns import Label, Measured, Parameter
from psyrun.report.page.encoding import script_text
from psyrun.report.page.payload import payload_of
from psyrun.results.failure_rules import TaskFailures

SHAPE = (4, 3, 20)


def sweep_of(shape: tuple[int, int, int] = SHAPE) -> Sweep:
    """A sweep over two parameters and repeats; some rows lack or are odd."""
    n = int(np.prod(shape))
    places = np.unravel_index(np.arange(n), shape)
    rng = np.random.default_rng(0)
    status = rng.choice([DONE, DONE, DONE, FAILED, TO_DO, RUNNING], n).astype(np.int8)
    status[: shape[2]] = FAILED
    status[shape[2] : 2 * shape[2]] = TO_DO
    values = 1e6 + rng.normal(size=n)
    values[::17] = np.nan
    values[::23] = np.inf
    values[status != DONE] = np.nan
    is_repeat = (False, False, True)
    return Sweep(
        name="a",
        n_assignments=n,
        n_of_status={code: int(np.sum(status == code)) for code in range(4)},
        indices=np.arange(n),
        status=status,
        parameters=[
            Parameter(Label(k, k), "number", np.arange(float(size)), codes, repeated)
            for k, size, codes, repeated in zip(
                ("x", "y", "seed"), shape, places, is_repeat, strict=True
            )
        ],
        results=[Measured(Label("z", "z"), values)],
        costs=[Measured(Label("time", "time", "s"), np.abs(values))],
        constants={},
        versions=np.where(status == DONE, 1, 0),
        version_names=["", "old", "new"],
        current_versions={"new"},
        failures=TaskFailures([]),
        origin={},
    )


def put_together(sweep: Sweep) -> Aggregated:
    found = aggregated(sweep)
    assert found is not None
    return found


def test_numbers_of_cells_are_those_of_pandas() -> None:
    sweep = sweep_of()
    cells = put_together(sweep)
    values = sweep.results[0].values
    frame = pd.DataFrame({p.label.name: p.codes for p in sweep.parameters})
    frame["z"] = np.where(np.isfinite(values), values, np.nan)
    groups = frame.groupby(["x", "y"])["z"]
    (mean,), (spread,) = cells.sweep.results, cells.results
    np.testing.assert_array_equal(spread.n, groups.count())
    np.testing.assert_allclose(mean.values, groups.mean(), rtol=1e-14)
    np.testing.assert_allclose(spread.sd, groups.std(), rtol=1e-9)
    np.testing.assert_allclose(spread.median, groups.median(), rtol=1e-14)
    np.testing.assert_array_equal(spread.low, groups.min())
    np.testing.assert_array_equal(spread.high, groups.max())
    assert [each.label.name for each in cells.sweep.parameters] == ["x", "y"]
    assert [each.label.name for each in cells.repeats] == ["seed"]


def test_every_assignment_is_counted_in_its_cell() -> None:
    sweep = sweep_of()
    cells = put_together(sweep)
    status = sweep.status.reshape(-1, SHAPE[2])
    np.testing.assert_array_equal(cells.counts[DONE], (status == DONE).sum(1))
    np.testing.assert_array_equal(cells.counts[FAILED], (status == FAILED).sum(1))
    is_open = (status == TO_DO) | (status == RUNNING)
    np.testing.assert_array_equal(cells.counts[TO_DO], is_open.sum(1))
    assert list(cells.sweep.status[:3]) == [FAILED, TO_DO, DONE]


def test_the_order_of_the_rows_does_not_matter() -> None:
    sweep = sweep_of()
    order = np.random.default_rng(1).permutation(len(sweep))
    mixed = replace(
        sweep,
        indices=sweep.indices[order],
        status=sweep.status[order],
        versions=sweep.versions[order],
        parameters=[replace(p, codes=p.codes[order]) for p in sweep.parameters],
        results=[replace(r, values=r.values[order]) for r in sweep.results],
    )
    one, other = put_together(sweep), put_together(mixed)
    np.testing.assert_array_equal(one.results[0].median, other.results[0].median)
    np.testing.assert_allclose(
        one.sweep.results[0].values, other.sweep.results[0].values, rtol=1e-14
    )


def test_cells_with_a_row_of_an_older_version_are_older() -> None:
    sweep = sweep_of()
    versions = np.where(sweep.status == DONE, 2, 0)
    row = np.flatnonzero(sweep.status == DONE)[0]
    versions[row] = 1
    cells = put_together(replace(sweep, versions=versions))
    assert np.sum(cells.sweep.versions == 1) == 1
    assert cells.sweep.versions[row // SHAPE[2]] == 1


@pytest.mark.parametrize("shape", [(4, 3, 2), (4, 3, 7)])
def test_few_repeats_stay_as_they_are(shape: tuple[int, int, int]) -> None:
    assert aggregated(sweep_of(shape)) is None


def test_without_repeats_nothing_is_put_together() -> None:
    sweep = sweep_of()
    alone = [replace(each, is_repeat=False) for each in sweep.parameters]
    assert aggregated(replace(sweep, parameters=alone)) is None


def test_a_page_that_would_be_too_large_has_cells_and_says_so() -> None:
    sweep = sweep_of((40, 30, 50))
    payload = payload_of(sweep, "done", "", 300_000)
    assert payload["n"] == 1200
    assert payload["repeats"] == "seed (50)"
    assert "Repeats over seed (50) are put together" in payload["notes"][0]
    assert len(script_text(payload)) < 300_000
    assert sum(each["n"] for each in payload["versions"]) == np.sum(
        sweep.status == DONE
    )
    assert "cells" not in payload_of(sweep, "done", "", 3_000_000)
