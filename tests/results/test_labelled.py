"""Results are arrays whose dimensions are those of the space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import psyrun
from psyrun import Param
from psyrun.errors import PsyrunError
from psyrun.pspace.axes import grid_of
from psyrun.results.known_rows import KnownRows
from psyrun.results.labelled import Cells, dataset
from psyrun.results.where import part_of
from psyrun.workdir.description import Description

SEIR = """\
import numpy as np

from psyrun import Param

pspace = Param(beta=[0.1, 0.2, 0.3]) * Param(gamma=[1, 2]) * Param(seed=7)
max_jobs = 2
store = {store!r}
dims = {{"wave": "t"}}
coords = {{"t": np.arange(4) / 10}}
attrs = {{
    "wave": {{"units": "mV"}},
    "beta": {{"units": "1/d"}},
    "t": {{"units": "s"}},
}}


def execute(beta, gamma, seed):
    if {bad}:
        raise ValueError
    return {{"wave": np.arange(4) * beta, "n": gamma, "name": "x" * gamma}}
"""
H5 = SEIR.replace(', "name": "x" * gamma', "")
STORES = [".pkl", ".npz", ".h5"]


def seir(store: str, bad: str = "False") -> str:
    return (H5 if store == ".h5" else SEIR).format(store=store, bad=bad)


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("partial", [False, True])
def test_a_product_is_a_grid_with_coordinates_and_units(done, store, partial):
    done(seir(store))
    found = psyrun.load("a", partial=partial, as_="xarray")
    assert dict(found.sizes) == {"beta": 3, "gamma": 2, "t": 4}
    assert found.attrs == {"seed": 7}
    assert found["wave"].dims == ("beta", "gamma", "t")
    assert found["wave"].sel(beta=0.3, gamma=2).values == pytest.approx(
        np.arange(4) * 0.3
    )
    assert found["wave"].attrs == {"units": "mV"}
    assert found["beta"].attrs == {"units": "1/d"}
    assert found["t"].attrs == {"units": "s"}
    assert found["t"].values.tolist() == [0, 0.1, 0.2, 0.3]
    assert found["n"].dtype == np.int64
    assert set(found.coords) == {"beta", "gamma", "t"}
    if store != ".h5":
        assert found["name"].values[0].tolist() == ["x", "xx"]


@pytest.mark.parametrize("store", STORES)
def test_what_is_missing_is_told_apart(done, store):
    done(seir(store, "beta == 0.1 and gamma == 2"), "split", "process 0")
    found = psyrun.load("a", partial=True, as_="xarray")
    assert found["status"].values.tolist() == [[0, 2], [0, 1], [1, 1]]
    assert found["status"].attrs["flag_values"].tolist() == [0, 1, 2, 3]
    assert found["status"].attrs["flag_meanings"] == (
        "computed not_computed failed not_in_space"
    )
    nan = np.nan
    np.testing.assert_array_equal(found["n"], [[1, nan], [1, nan], [nan, nan]])
    assert np.isnan(found["wave"].values).sum() == 4 * 4


@pytest.mark.parametrize("store", STORES)
def test_a_result_without_those_that_failed_knows_which_they_are(done, store):
    done(seir(store, "gamma == 2"), accept=True)
    found = psyrun.load("a", as_="xarray")
    assert found["status"].values.tolist() == [[0, 2]] * 3
    assert found["n"].sel(gamma=1).values.tolist() == [1, 1, 1]


MASKED = """\
from psyrun import Param

grid = Param(a=[1, 2, 3]) * Param(b=[0.5, 1.5])
pspace = grid - Param(a=[2], b=[0.5])
max_jobs = 2


def execute(a, b):
    return {"y": a + b, "even": a % 2 == 0, "text": str(a), "thing": {a: b}}
"""


def test_a_difference_is_the_grid_with_places_that_have_no_row(done):
    done(MASKED)
    found = psyrun.load("a", as_="xarray")
    assert found["status"].values.tolist() == [[0, 0], [3, 0], [0, 0]]
    assert found["y"].sel(a=3, b=1.5) == 4.5
    assert found["thing"].sel(a=3, b=1.5).item() == {3: 1.5}
    lacks = [[False, False], [True, False], [False, False]]
    for key in ("y", "even", "text", "thing"):
        assert found[key].isnull().values.tolist() == lacks


ZIPPED = """\
from psyrun import Param

pspace = Param(a=[1, 2], b=["x", "y"]) * Param(c=[[1, 2], [3]])


def execute(a, b, c):
    return {"y": sum(c) * a, "a_b": 0}
"""


def test_zipped_parameters_and_lists_are_coordinates(done):
    done(ZIPPED)
    found = psyrun.load("a", as_="xarray")
    assert found["y"].dims == ("a_b", "c")
    assert found["y"].values.tolist() == [[3, 3], [6, 6]]
    assert found["a"].dims == found["b"].dims == ("a_b",)
    assert found["b"].values.tolist() == ["x", "y"]
    assert found["c"].values.tolist() == [[1, 2], [3]]
    # The name of the result is that of a dimension.
    assert found["a_b_"].values.tolist() == [[0, 0], [0, 0]]
    assert found.swap_dims(a_b="a")["y"].sel(a=2).values.tolist() == [6, 6]


SUM = """\
from psyrun import Param

pspace = Param(a=[1, 2]) + Param(b=["x"])


def execute(a, b):
    return {"y": [a, a]}
"""


def test_what_is_no_grid_has_one_dimension(done):
    done(SUM)
    found = psyrun.load("a", as_="xarray")
    assert found["y"].dims == ("assignment", "y_0")
    assert found["a"].dims == ("assignment",)
    assert found["b"].values[2] == "x"


SINGLE = """\
from psyrun import Param

pspace = Param(a=1, b="x") * Param(c=[[1, 2]])


def execute(a, b, c):
    return {"y": sum(c) * a}
"""


def test_a_single_assignment_has_no_dimension(done):
    done(SINGLE)
    found = psyrun.load("a", as_="xarray")
    assert found["y"].dims == ()
    assert found["y"] == 3
    assert found.attrs == {"a": 1, "b": "x", "c": [1, 2]}


EXTENDED = """\
from psyrun import Param

pspace = Param(a={values})
max_jobs = 2


def execute(a):
    return {{"y": a**2}}
"""


@pytest.mark.parametrize("partial", [False, True])
def test_rows_no_longer_in_the_space_are_left_out_and_said(done, partial):
    done(EXTENDED.format(values=[1, 2, 3]))
    done(EXTENDED.format(values=[3, 4]), keep_going=True)
    with pytest.warns(UserWarning, match="2 rows of assignments that are no longer"):
        found = psyrun.load("a", partial=partial, as_="xarray")
    assert found["y"].values.tolist() == [9, 16]
    assert found["a"].values.tolist() == [3, 4]
    assert "status" not in found
    rows = psyrun.load("a", partial=partial, as_="pandas")
    assert rows["a"].tolist() == [3, 4, 1, 2]


def test_an_extended_sweep_is_one_longer_axis(done):
    done(EXTENDED.format(values=[1, 2, 3]))
    text = EXTENDED.format(values=[1, 2, 3]).replace(
        "\nmax_jobs", " + Param(a=[4, 5])\nmax_jobs"
    )
    done(text, keep_going=True)
    assert psyrun.load("a", as_="xarray")["y"].sel(a=[5, 1]).values.tolist() == [25, 1]


SHADOW = """\
from psyrun import Param

pspace = Param(a=[1, 2]) * Param(b=[3, 4])
exclude_from_result = ["b"]


def execute(a, b):
    return {"a": max(a, b), "y": 1}
"""


@pytest.mark.parametrize("partial", [False, True])
def test_a_result_in_the_place_of_a_parameter_stays(done, partial):
    done(SHADOW)
    found = psyrun.load("a", partial=partial, as_="xarray")
    assert found["a_"].values.tolist() == [[3, 4], [3, 4]]
    assert found["a"].values.tolist() == [1, 2]
    assert found["b"].values.tolist() == [3, 4]


OWN = """\
from psyrun import Param


class Shape:
    def __init__(self, size):
        self.size = size


pspace = Param(shape=[Shape(1), Shape(2)]) * Param(b=[3, 4])


def execute(shape, b):
    return {"y": Shape(shape.size * b)}
"""


@pytest.mark.parametrize("partial", [False, True])
def test_values_of_classes_of_the_task_file(done, partial):
    done(OWN)
    found = psyrun.load("a", partial=partial, as_="xarray")
    assert [[y.size for y in row] for row in found["y"].values] == [[3, 4], [6, 8]]
    assert [shape.size for shape in found["shape"].values] == [1, 2]


def test_before_the_first_row_there_are_coordinates_only(done):
    done(seir(".npz"), "split")
    found = psyrun.load("a", partial=True, as_="xarray")
    assert list(found.data_vars) == []
    assert (found["status"] == 1).all()
    assert found["beta"].size == 3


def test_before_the_space_is_divided_there_is_nothing(done):
    done(seir(".npz"), "split")
    Path("psy-work/a/round-1/space.pkl").unlink()
    assert list(psyrun.load("a", partial=True, as_="xarray").variables) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"t"}', '("t", "u")}', "'wave' has 1 axis, but 2 are named: t, u"),
        ("arange(4) / 10", "arange(3)", "'t' has 3 values, but 'wave' has 4 places"),
        (
            '"wave": "t"}',
            '"wave": "t", "more": "t"}',
            "'t' has 4 places in 'wave', but 2",
        ),
    ],
)
def test_axes_that_do_not_fit_are_said_in_one_line(done, old, new, said):
    text = seir(".npz").replace('"n": gamma', '"n": gamma, "more": [1, 2]')
    done(text.replace(old, new, 1))
    with pytest.raises(PsyrunError, match=said) as caught:
        psyrun.load("a", as_="xarray")
    assert "\n" not in str(caught.value)


def test_names_that_are_changed_after_a_run_hold_with_the_next(done):
    done(seir(".npz"))
    text = seir(".npz").replace('"wave": "t"', '"wave": "time"')
    done(text.replace('{"t": np', '{"time": np'), "split")
    found = psyrun.load("a", as_="xarray")
    assert found["wave"].dims == ("beta", "gamma", "time")
    assert isinstance(found, xr.Dataset)


def test_a_damaged_description_leaves_the_rows_readable(done):
    done(seir(".npz"))
    Path("psy-work/a/description.json").write_text("{")
    with pytest.warns(UserWarning, match=r"description\.json.* no names of axes"):
        found = psyrun.load("a", as_="xarray")
    assert found["wave"].dims == ("beta", "gamma", "wave_0")


AXIS = st.lists(
    st.one_of(st.integers(0, 3), st.sampled_from(["x", None, 0.5, [1], (2,)])),
    min_size=1,
    max_size=3,
)


@st.composite
def spaces(draw):
    """Draw a product, a longer one, or one with points left out; and what has rows."""
    space = Param(a=draw(AXIS)) * Param(b=draw(AXIS)) * Param(c=draw(AXIS))
    change = draw(st.sampled_from(["", "longer", "shorter", "slice"]))
    if change == "longer":
        rest = Param(b=space[0]["b"]) * Param(c=draw(AXIS))
        space = space + Param(a=draw(AXIS)) * rest
    elif change == "shorter":
        space = space - Param(**{k: [v] for k, v in space[0].items()})
    elif change == "slice":
        space = space[1:]
    there = draw(st.lists(st.booleans(), min_size=len(space), max_size=len(space)))
    return space, np.flatnonzero(there)


@given(spaces())
def test_each_row_is_where_its_parameters_are(drawn):
    space, indices = drawn
    grid, known = grid_of(space), KnownRows(space, indices)
    part = part_of(grid, None)
    every = np.arange(len(space)) if part.rows is None else part.rows
    rows = np.where(every < 0, -1, known.rows_of(np.maximum(every, 0)))
    cells = Cells(part, rows)
    columns = {
        "y": 10 * indices[cells.wanted],
        "wave": indices[cells.wanted, None] * 1.5,
    }
    found = dataset(columns, cells, Description({"wave": ("t",)}))
    for row in range(len(space)):
        position = grid.position(row)
        at = found.isel(
            dict(zip([d.name for d in grid.dimensions], position, strict=True))
        )
        for key, value in space[row].items():
            here = found.attrs[key] if key in found.attrs else at[key].item()
            assert here == value or str(here) == str(value) or here != here
        if row in indices:
            assert at["y"] == 10 * row
            assert at["wave"].values.tolist() == [1.5 * row]
        else:
            assert np.isnan(at["y"])
            assert at["status"] == 1
