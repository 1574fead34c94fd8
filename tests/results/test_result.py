"""A result in a file gives what psyrun.load gives, with or without its task."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results import Result
from psyrun.results.result import Axis

GRID = """\
import numpy as np

from psyrun import Param

pspace = Param(n=[128, 256, 512]) * Param(a=[1, 2], b=[3, 4])
store = ".npz"
attrs = {"wave": {"units": "mV"}}


def execute(n, a, b):
    return {"y": n * a, "wave": np.arange(3) * n}
"""


def test_a_result_tells_what_it_has_and_gives_each_form(done):
    done(GRID)
    for name in ("a", "psy-work/a", "psy-work/a/result.npz"):
        result = Result(name)
        assert result.columns == ["n", "a", "b", "y", "wave"]
        assert result.axes == (Axis("n", ("n",), 3), Axis("a_b", ("a", "b"), 2))
        assert result.attrs == {"wave": {"units": "mV"}}
        assert len(result) == 6
        assert repr(result) == f"Result({name!r})"
        some = {"columns": ["y"], "where": {"a": 2}}
        assert result.to_dict(**some)["y"].tolist() == [256, 512, 1024]
        assert result.to_pandas(**some)["y"].tolist() == [256, 512, 1024]
        assert result.to_polars(**some)["y"].to_list() == [256, 512, 1024]
        assert result.to_arrow(**some)["y"].to_pylist() == [256, 512, 1024]
        assert result.to_xarray(**some)["y"].dims == ("n",)
        assert result.to_xarray().identical(psyrun.load("a", as_="xarray"))
        assert len(result.to_pandas(tidy="wave_0")) == 18


def test_a_file_that_was_sent_has_its_axes(done, tmp_path, monkeypatch):
    done(GRID)
    away = tmp_path / "away"
    away.mkdir()
    shutil.copy("psy-work/a/result.npz", away)
    monkeypatch.chdir(away)
    result = Result("result.npz")
    assert result.axes == (Axis("n", ("n",), 3), Axis("a_b", ("a", "b"), 2))
    assert result.columns == ["n", "a", "b", "y", "wave"]
    assert result.attrs == {"wave": {"units": "mV"}}
    assert isinstance(result.to_pandas(), pd.DataFrame)
    assert result.to_xarray()["wave"].dims == ("n", "a_b", "wave_0")


def test_a_file_of_others_has_no_axes(tmp_path):
    path = tmp_path / "rows.npz"
    psyrun.NpzStore().save(path, {"n": [1, 2], "wave": [[1.0, 2.0], [3.0, 4.0]]})
    result = Result(path)
    assert result.axes == (Axis("assignment", (), 2),)
    assert result.attrs == {}
    with pytest.warns(UserWarning, match="its axes are not known"):
        assert result.to_xarray()["wave"].dims == ("assignment", "wave_0")


def test_no_rows_are_read_before_they_are_asked_for(done, monkeypatch):
    done(GRID)
    result = Result("psy-work/a/result.npz")

    def refuse(*_, **__):
        raise AssertionError("rows are read")

    for method in ("load", "pick", "pieces"):
        monkeypatch.setattr(f"psyrun.store.npz.NpzStore.{method}", refuse)
    assert len(result) == 6
    assert result.columns[0] == "n"
    assert result.axes[0].name == "n"


def test_mistakes_are_told_as_by_load(done):
    done(GRID)
    with pytest.raises(PsyrunError, match="no task, work folder or data file of that"):
        Result("nothing.npz")
    with pytest.raises(PsyrunError, match=r"there is no column 'yy'. Did you mean 'y'"):
        Result("a").to_pandas(["yy"])
    with pytest.raises(PsyrunError, match=r"'n' is never 500. The nearest is 512"):
        Result("a").to_dict(where={"n": 500})
