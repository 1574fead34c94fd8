"""Reduced numbers are those of pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun.errors import PsyrunError
from psyrun.report.reduction import Band, Reduction, reduced

SHAPE = (3, 4)
rows = st.lists(
    st.tuples(st.integers(0, 11), st.floats(-1e6, 1e6)), min_size=1, max_size=60
)


def by_cell(found, how):
    return how(found.groupby("cell")["value"]).reindex(range(12)).to_numpy()


def assert_equal(found, expected):
    assert found.shape == SHAPE
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-9, atol=1e-6)


@given(rows)
@pytest.mark.parametrize("name", ["mean", "median", "min", "max", "q90", "q2.5"])
def test_reductions_are_those_of_pandas(name, rows):
    frame = pd.DataFrame(rows, columns=["cell", "value"])
    cells, values = frame["cell"].to_numpy(), frame["value"].to_numpy()
    found = reduced(values, cells, SHAPE, Reduction.of(name))

    def how(groups):
        if name.startswith("q"):
            return groups.quantile(float(name[1:]) / 100)
        return getattr(groups, name)()

    assert_equal(found.values, by_cell(frame, how))
    assert found.counts.sum() == len(rows)


@given(rows)
@pytest.mark.parametrize("name", ["std", "sem"])
def test_bands_are_those_of_pandas(name, rows):
    frame = pd.DataFrame(rows, columns=["cell", "value"])
    cells, values = frame["cell"].to_numpy(), frame["value"].to_numpy()
    found = reduced(values, cells, SHAPE, band=Band.of(name))
    width = by_cell(frame, lambda groups: getattr(groups, name)())
    assert_equal(found.high, by_cell(frame, lambda groups: groups.mean()) + width)
    assert_equal(found.low, by_cell(frame, lambda groups: groups.mean()) - width)


def test_bands_of_quantiles():
    values, cells = np.arange(11.0), np.zeros(11, np.int64)
    found = reduced(values, cells, (1,), band=Band.of("q10:q90"))
    assert (found.low.tolist(), found.high.tolist()) == ([1], [9])


@pytest.mark.parametrize("name", ["means", "q", "q101", "", "q-5"])
def test_an_unknown_reduction_names_those_that_there_are(name):
    with pytest.raises(PsyrunError, match="mean, median, min, max, or a quantile"):
        Reduction.of(name)


@pytest.mark.parametrize("name", ["stdev", "q90:q10", "q10", "q10:", "std:sem", ""])
def test_an_unknown_band_names_those_that_there_are(name):
    with pytest.raises(PsyrunError, match="std, sem, or two quantiles"):
        Band.of(name)
