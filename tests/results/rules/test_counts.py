"""Counts from the shape of a grid are those of its rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace.axes import grid_of
from psyrun.results.rules.counts import FullGrid, Rows, population_of

SPACE = Param(a=range(3)) * Param(b=range(4)) * Param(c=range(2))
GRID = grid_of(SPACE)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.integers(0, 15)), max_size=3))
def test_a_full_grid_counts_as_its_rows_do(choices):
    full, rows = FullGrid(GRID.shape), Rows.of(GRID, None)
    for axis, bits in choices:
        is_in = (bits >> np.arange(GRID.shape[axis])) & 1 > 0
        full, rows = full.within({axis: is_in}), rows.within({axis: is_in})
    assert full.total() == rows.total()
    for axis in range(3):
        levels = np.arange(GRID.shape[axis]) % 2
        counts = [each.at_levels(axis, levels, 2) for each in (full, rows)]
        np.testing.assert_array_equal(*counts)


def test_rows_are_listed_only_where_some_are_missing():
    assert isinstance(population_of(GRID, None), FullGrid)
    assert isinstance(population_of(grid_of(SPACE.shuffle()), None), FullGrid)
    assert isinstance(population_of(GRID, np.arange(5)), Rows)
    assert isinstance(population_of(grid_of(SPACE - Param(a=[1], b=[2])), None), Rows)
