"""Parts of grids are chosen by values of parameters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace.axes import grid_of
from psyrun.results.where import part_of, where_in_columns

GRID = Param(n=[128, 256, 512]) * Param(a=[0.1, 0.2], name=["x", "y"]) * Param(k=3)


def chosen(space: Any, where: Any) -> list[dict[str, Any]]:
    rows = part_of(grid_of(space), where).rows
    return [space[int(row)] for row in rows if row >= 0]


def test_a_single_value_leaves_an_attribute() -> None:
    part = part_of(grid_of(GRID), {"n": 512})
    assert [each.name for each in part.dimensions] == ["a_name"]
    assert part.attributes == {"n": 512, "k": 3}
    assert part.rows is not None
    assert part.rows.tolist() == [4, 5]


def test_a_list_of_values_leaves_a_dimension_in_the_order_of_the_space() -> None:
    part = part_of(grid_of(GRID), {"n": [512, 128], "name": ["y"]})
    assert part.shape == (2, 1)
    assert part.dimensions[0].values("n").tolist() == [128, 512]
    assert part.rows is not None
    assert part.rows.tolist() == [1, 5]


def test_several_conditions_on_one_dimension_hold_together() -> None:
    assert chosen(GRID, {"a": 0.1, "name": "x", "n": 256}) == [GRID[2]]
    assert chosen(GRID, {"a": 0.1, "name": "y"}) == []


def test_places_without_a_row_stay_without() -> None:
    part = part_of(grid_of(GRID - Param(n=[512], a=[0.1])), {"n": 512})
    assert part.rows is not None
    assert part.rows.tolist() == [-1, 4]


def test_without_conditions_all_is_there() -> None:
    for where in (None, {}):
        assert part_of(grid_of(GRID), where).rows is None


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"n": 500}, "'n' is never 500. The nearest is 512."),
        ({"n": [512, 1]}, "'n' is never 1. The nearest is 128."),
        ({"n": math.nan}, "'n' is never nan. Its values are 128, 256, 512."),
        ({"a": "x"}, "'a' is never 'x'. Its values are 0.1, 0.2."),
        ({"name": "z"}, "'name' is never 'z'. Its values are 'x', 'y'."),
        ({"k": 4}, "'k' is never 4. The nearest is 3."),
        ({"nmae": "x"}, "there is no parameter 'nmae'. Did you mean 'name'? The para"),
        ({"y": 1}, "'y' is a result, not a parameter"),
        ({"n": []}, "the list of 'n' is empty"),
        ("n == 512", "where is of type str; give a dictionary"),
    ],
)
def test_what_there_is_not_is_said_in_one_line(where: Any, said: str) -> None:
    with pytest.raises(PsyrunError) as caught:
        part_of(grid_of(GRID), where, ["y"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_with_a_slip_is_told_with_a_close_one() -> None:
    with pytest.raises(PsyrunError, match=r"'relU'\. Did you mean 'relu'"):
        part_of(grid_of(Param(f=["tanh", "relu"])), {"f": "relU"})


def test_columns_without_axes_are_compared_row_by_row() -> None:
    columns = {"n": [1, 2, 1, 3], "a": np.array([1.0, 1.0, math.nan, 1.0])}
    assert where_in_columns(columns, {"n": 1}).tolist() == [0, 2]
    assert where_in_columns(columns, {"n": [1, 3], "a": 1}).tolist() == [0, 3]
    assert where_in_columns(columns, {"a": math.nan}).tolist() == [2]


one = st.sampled_from
VALUES = st.lists(st.integers(0, 3), min_size=1, max_size=4)


@given(VALUES, VALUES, VALUES, st.data())
def test_rows_are_those_with_the_values(
    n: list[int], a: list[int], more: list[int], data: st.DataObject
) -> None:
    space = Param(n=n) * Param(a=a) + Param(n=more) * Param(a=a)
    space = space - Param(n=[0], a=[0])
    there = {key: sorted({point[key] for point in space}) for key in ("n", "a")}
    where = {
        key: data.draw(one(known) | st.lists(one(known), min_size=1))
        for key, known in there.items()
        if known and data.draw(st.booleans())
    }
    found = part_of(grid_of(space), where).rows
    found = np.arange(len(space)) if found is None else found

    def is_wanted(point: dict[str, Any]) -> bool:
        lists = {k: v if isinstance(v, list) else [v] for k, v in where.items()}
        return all(point[key] in listed for key, listed in lists.items())

    expected = [row for row, point in enumerate(space) if is_wanted(point)]
    assert sorted(found[found >= 0].tolist()) == expected
