"""Results are tables of pandas, polars and Arrow, the same for all stores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from psyrun.errors import PsyrunError
from psyrun.results.frames import to_arrow, to_pandas, to_polars
from psyrun.workdir.description import Description

ARRAYS = {
    "x": np.array([1, 2]),
    "wave": np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]),
    "map": np.arange(12).reshape(2, 3, 2),
    "name": np.array(["a", "b"]),
}
LISTS = {key: list(column) for key, column in ARRAYS.items()}
DESCRIPTION = Description(
    {"wave": ("t",), "map": ("t", "channel")},
    {"t": np.array([0.0, 0.5, 1.0])},
    {"wave": {"units": "mV"}},
)
STORED = pytest.mark.parametrize("columns", [ARRAYS, LISTS], ids=["arrays", "lists"])


@STORED
def test_arrays_are_objects_of_pandas(columns):
    frame = to_pandas(columns, DESCRIPTION)
    assert frame["x"].dtype == np.int64
    assert [list(wave) for wave in frame["wave"]] == ARRAYS["wave"].tolist()
    assert frame["map"][1].tolist() == ARRAYS["map"][1].tolist()
    assert frame["name"].tolist() == ["a", "b"]
    assert frame.attrs == {"wave": {"units": "mV"}}


@STORED
def test_tidy_frames_have_a_row_for_each_place_along_an_axis(columns):
    frame = to_pandas(columns, DESCRIPTION, "t")
    assert list(frame) == ["x", "wave", "map", "t", "name"]
    assert frame["x"].tolist() == [1, 1, 1, 2, 2, 2]
    assert frame["t"].tolist() == [0.0, 0.5, 1.0] * 2
    assert frame["wave"].tolist() == ARRAYS["wave"].ravel().tolist()
    assert [each.tolist() for each in frame["map"]] == (
        ARRAYS["map"].reshape(6, 2).tolist()
    )
    other = to_pandas(
        {"x": columns["x"], "map": columns["map"]}, DESCRIPTION, "channel"
    )
    assert other["channel"].tolist() == [0, 1, 0, 1]
    assert other["map"][1].tolist() == [1, 3, 5]


def test_axes_without_names_are_numbered():
    frame = to_pandas({"wave": ARRAYS["wave"]}, Description(), "wave_0")
    assert frame["wave_0"].tolist() == [0, 1, 2] * 2


def test_lists_of_different_lengths_stay_as_they_are():
    columns = {"x": [1, 2], "wave": [[1.0, 2.0], [3.0]], "any": [None, {"a": 1}]}
    frame = to_pandas(columns, Description())
    assert frame["wave"].tolist() == [[1.0, 2.0], [3.0]]
    assert frame["any"].tolist() == [None, {"a": 1}]
    assert to_polars(columns, Description())["wave"].to_list() == [[1.0, 2.0], [3.0]]
    long = to_pandas({"wave": columns["wave"]}, Description(), "wave_0")
    assert np.isnan(long["wave"][3])


@pytest.mark.parametrize(
    ("tidy", "description", "said"),
    [
        ("channels", DESCRIPTION, "no result has an axis 'channels'. Did you mean 'ch"),
        ("x", Description({"wave": ("x",)}), "there is a column 'x' already"),
        ("t", Description({"wave": ("t",), "map": ("a", "t")}), "has 3 and 2 places"),
        ("t", Description({"wave": ("t", "u")}), "'wave' has 1 axis, but 2 are named"),
        (
            "t",
            Description({"wave": ("t",)}, {"t": np.arange(2)}),
            "'t' has 2 values, but 'wave' has 3 places",
        ),
    ],
)
def test_axes_that_do_not_fit_are_said_in_one_line(tidy, description, said):
    with pytest.raises(PsyrunError, match=said) as caught:
        to_pandas(ARRAYS, description, tidy)
    assert "\n" not in str(caught.value)


def test_without_arrays_no_frame_is_tidy():
    with pytest.raises(PsyrunError, match="No result is an array"):
        to_pandas({"x": [1]}, Description(), "t")


@STORED
def test_arrays_are_lists_of_polars(columns):
    frame = to_polars(columns, DESCRIPTION)
    assert frame["wave"].to_list() == ARRAYS["wave"].tolist()
    assert frame["map"].to_list() == ARRAYS["map"].tolist()
    assert frame["name"].to_list() == ["a", "b"]


def test_objects_are_objects_of_polars():
    values = [None, {1, 2}, 3 + 1j]
    assert to_polars({"x": values}, Description())["x"].to_list() == values


@STORED
def test_arrays_are_lists_of_arrow_and_units_its_metadata(columns):
    table = to_arrow(columns, DESCRIPTION)
    assert table["wave"].to_pylist() == ARRAYS["wave"].tolist()
    assert table["map"].to_pylist() == ARRAYS["map"].tolist()
    assert table.schema.field("wave").metadata == {b"units": b"mV"}
    assert table.schema.field("x").metadata is None


@pytest.mark.parametrize("values", [[{1, 2}, 3], np.array([1j])])
def test_what_arrow_cannot_hold_is_named(values):
    with pytest.raises(PsyrunError, match="'x' has values of type") as caught:
        to_arrow({"x": values}, Description())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", [to_pandas, to_polars, to_arrow])
def test_a_result_without_rows_is_an_empty_table(form):
    assert len(form({}, Description())) == 0
    assert len(form({"x": np.empty(0), "y": []}, Description())) == 0


def test_frames_are_those_of_pandas():
    assert isinstance(to_pandas({"x": [1]}, Description()), pd.DataFrame)
