"""What a task file says of its results is read as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.workdir.description import Description
from psyrun.workdir.layout import TaskLayout

COORDS = [
    np.array([0.1, np.nan, np.inf]),
    np.array([1, 2], np.uint8),
    np.array(["a", "bc"]),
    np.array([True, False]),
    np.array(["2020-01-01", "NaT"], "M8[D]"),
    np.array([1, 2], "m8[ms]"),
    np.empty(0),
]


@pytest.mark.parametrize("coords", COORDS, ids=lambda each: each.dtype.str)
def test_coordinates_come_back(tmp_path: Path, coords: np.ndarray) -> None:
    attrs = {"y": {"units": "mV", "n": 1, "x": 0.5}}
    Description({"y": ("t", "u")}, {"t": coords}, attrs).save(TaskLayout(tmp_path))
    found = Description.load(TaskLayout(tmp_path))
    assert (found.dims, found.attrs) == ({"y": ("t", "u")}, attrs)
    assert found.coords["t"].dtype == coords.dtype
    np.testing.assert_array_equal(found.coords["t"], coords)


def test_nothing_leaves_no_file(tmp_path: Path) -> None:
    layout = TaskLayout(tmp_path)
    Description({"y": ("t",)}).save(layout)
    Description().save(layout)
    assert list(tmp_path.iterdir()) == []
    assert Description.load(layout).dims == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"dims": {"y": 1}, "coords": {}, "attrs": {}}',
        '{"dims": {}, "coords": {"t": {"dtype": "O", "values": []}}, "attrs": {}}',
        '{"dims": {}, "coords": {"t": {"dtype": "f8"}}, "attrs": {}}',
        '{"dims": {}, "coords": {"t": {"dtype": 8, "values": ["x"]}}, "attrs": {}}',
        '{"dims": {}, "coords": {}, "attrs": {"y": 1}}',
    ],
)
def test_what_is_damaged_is_said(tmp_path: Path, text: str) -> None:
    layout = TaskLayout(tmp_path)
    layout.description.write_text(text)
    with pytest.raises(StoreError, match=r"description\.json"):
        Description.load(layout)


def test_the_digest_is_that_of_what_is_read_again(tmp_path: Path) -> None:
    layout = TaskLayout(tmp_path)
    coords = {
        "t": np.array([0.1, np.nan], np.float32),
        "d": np.array(["2020"], "M8[D]"),
    }
    attrs = {"y": {"units": "mV", "range": (0, 1)}, "x": {"n": 1}}
    found = Description({"y": ("t",), "a": ("d",)}, coords, attrs)
    found.save(layout)
    assert Description.load(layout).digest == found.digest
    other = Description({"y": ("t",), "a": ("d",)}, coords, {**attrs, "x": {"n": 2}})
    assert other.digest != found.digest
    turned = Description({"a": ("d",), "y": ("t",)}, coords, attrs)
    assert turned.digest == found.digest
    Description().save(layout)
    assert Description.load(layout).digest == Description().digest != found.digest
