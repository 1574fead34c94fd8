"""The levels of parameters."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.pspace.axes import grid_of
from psyrun.results.rules.levels import variables_of

values = st.lists(
    st.one_of(st.integers(-5, 5), st.sampled_from([0.5, 2.5, math.nan])), min_size=2
)


@given(values)
def test_each_place_has_the_level_of_its_value(values):
    found = variables_of(grid_of(Param(x=values)))
    if not found:
        assert len(set(map(repr, map(float, values)))) <= 2
        return
    (variable,) = found
    of_place = [variable.values[level] for level in variable.of_place]
    np.testing.assert_array_equal(np.array(of_place, float), np.array(values, float))
    ordered = [float(x) for x in variable.values[: variable.n_ordered]]
    assert ordered == sorted(set(ordered))
    assert all(map(math.isnan, variable.values[variable.n_ordered :]))


def test_text_has_no_order():
    (variable,) = variables_of(grid_of(Param(x=["b", "a", "b"])))
    assert (list(variable.values), variable.n_ordered) == (["a", "b"], 0)


def test_parameters_without_differences_are_left_out():
    space = Param(x=[1, 2], y=[3, 3]) * Param(z=[1, 1.0, True])
    assert [variable.key for variable in variables_of(grid_of(space))] == ["x"]


def test_very_many_numbers_are_ranges_of_equal_size():
    x = np.random.default_rng(0).normal(size=200_000)
    (variable,) = variables_of(grid_of(Param(x=x)))
    assert 1000 < variable.n_levels < 1400
    counts = np.bincount(variable.of_place)
    assert counts.max() < 1000
    highest = variable.highest
    assert np.all(variable.values[1:] > highest[:-1])
    assert np.all(x >= variable.values[variable.of_place])
    assert np.all(x <= highest[variable.of_place])


def test_few_numbers_at_very_many_places_are_levels_each():
    x = np.random.default_rng(0).integers(0, 500, 200_000)
    (variable,) = variables_of(grid_of(Param(x=x, y=x % 2 * 0.5)[:150_000]))[:1]
    assert not variable.is_coarse
    assert list(variable.values) == list(range(500))


def test_text_at_very_many_places_is_text():
    names = ["b", "a", "c c", "ü"]
    space = Param(name=names * 30_000, x=range(120_000))
    variable, _ = variables_of(grid_of(space))
    assert (list(variable.values), variable.n_ordered) == (sorted(names), 0)
    assert [variable.values[level] for level in variable.of_place[:4]] == names
