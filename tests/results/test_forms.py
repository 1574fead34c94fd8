"""Only what is asked for is read, from results, rows so far and data files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tables
from projects import Project

import psyrun
from psyrun import H5Store
from psyrun.errors import PsyrunError
from psyrun.results.forms import Request, loaded_as, source_of
from psyrun.results.load import find
from psyrun.store import NpzStore, PickleStore
from psyrun.workdir.consistent_reads import ConcurrentChangeError
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import Lock

GRID = """\
import numpy as np

from psyrun import Param

pspace = Param(n=[128, 256, 512]) * Param(a=[1, 2])
max_jobs = 2
store = {store!r}


def execute(n, a):
    return {{"y": n * a, "wave": np.arange(3) * n}}
"""
STORES = [".pkl", ".npz", ".h5"]


def listed(columns):
    return {key: np.asarray(column).tolist() for key, column in columns.items()}


@pytest.mark.parametrize("store", STORES)
def test_columns_and_rows_that_are_asked_for(done, store):
    done(GRID.format(store=store))
    for partial in (False, True):
        some = psyrun.load("a", partial, columns=["y", "n"], where={"a": 2})
        assert list(some) == ["y", "n"]
        assert listed(some) == {"y": [256, 512, 1024], "n": [128, 256, 512]}
        part = psyrun.load("a", partial, as_="xarray", columns=["y"], where={"n": 512})
        assert list(part.data_vars) == ["y"]
        assert part["y"].dims == ("a",)
        assert part["y"].values.tolist() == [512, 1024]
        assert part.attrs == {"n": 512}
        frame = psyrun.load("a", partial, as_="pandas", where={"n": [512, 128]})
        assert frame["n"].tolist() == [128, 128, 512, 512]
    for form in ("pandas", "polars", "arrow"):
        assert psyrun.load("a", as_=form).shape == (6, 4)


@pytest.mark.parametrize("name", ["a", "psy-work/a", "psy-work/a/result.npz"])
def test_axes_are_known_by_any_name_of_a_task(done, name):
    done(GRID.format(store=".npz"))
    found = psyrun.load(name, as_="xarray")
    assert dict(found.sizes) == {"n": 3, "a": 2, "wave_0": 3}


@pytest.mark.parametrize("partial", [False, True])
def test_what_there_is_not_is_said_in_one_line(done, partial):
    done(GRID.format(store=".npz"))
    cases = [
        ({"columns": ["yy"]}, "there is no column 'yy'. Did you mean 'y'?"),
        ({"columns": "y"}, r"columns: give a list, such as \['y'\]"),
        ({"where": {"y": 1}}, "'y' is a result, not a parameter"),
        ({"where": {"n": 500}}, "'n' is never 500. The nearest is 512"),
        ({"as_": "xaray"}, "as_='xaray': .* Did you mean 'xarray'"),
        ({"tidy": "t"}, "tidy: is for as_='pandas' only"),
        ({"as_": "pandas", "tidy": "t"}, "no result has an axis 't'.* are wave_0"),
    ]
    for arguments, said in cases:
        with pytest.raises(PsyrunError, match=said) as caught:
            psyrun.load("a", partial, **arguments)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("store", [PickleStore(), NpzStore(), H5Store()])
def test_a_data_file_has_rows_without_axes(tmp_path, store):
    path = tmp_path / f"data{store.ext}"
    store.save(path, {"x": [1, 2, 3], "wave": np.arange(6).reshape(3, 2)})
    with pytest.warns(UserWarning, match="its axes are not known") as said:
        found = psyrun.load(path, as_="xarray", where={"x": [3, 2]})
    assert len(said) == 1
    assert found["wave"].dims == ("assignment", "wave_0")
    assert found["x"].values.tolist() == [2, 3]
    assert listed(psyrun.load(path, columns=["x"], where={"x": 3})) == {"x": [3]}
    assert len(psyrun.load(path, as_="pandas")) == 3
    with pytest.raises(PsyrunError, match=r"'x' is never 4\. The nearest is 3"):
        psyrun.load(path, where={"x": 4})


def test_a_result_that_was_changed_has_rows_without_axes(done):
    done(GRID.format(store=".npz"))
    NpzStore().save("psy-work/a/result.npz", {"n": [1], "y": [2]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = psyrun.load("a", as_="xarray")
    texts = [str(each.message) for each in said]
    assert "was changed or damaged" in texts[0]
    assert "its axes are not known" in texts[-1]
    assert {each.filename for each in said} == {__file__}
    assert found["y"].values.tolist() == [2]


def test_only_the_rows_that_are_asked_for_are_read_from_hdf5(done, monkeypatch):
    done(GRID.format(store=".h5"))
    read = []
    get = tables.EArray.__getitem__

    def noted(array, key):
        read.append((array._v_name, key))
        return get(array, key)

    monkeypatch.setattr(tables.EArray, "__getitem__", noted)
    psyrun.load("a", as_="xarray", columns=["wave"], where={"n": 512})
    assert read == [("wave", slice(4, 6, 1))]


def test_a_result_that_is_replaced_meanwhile_is_noticed(done):
    done(GRID.format(store=".npz"))
    request = Request(as_="xarray")
    source = source_of(find("a", None), request, partial=False)
    done(GRID.format(store=".npz").replace("[1, 2]", "[1, 2, 3]"))
    with pytest.raises(ConcurrentChangeError, match=r"result\.npz: changed while"):
        loaded_as(source, request)
    assert psyrun.load("a", as_="xarray").sizes["a"] == 3


def test_a_result_that_is_being_written_is_waited_for(done, monkeypatch):
    monkeypatch.setattr("psyrun.workdir.consistent_reads._PAUSE", 0.0)
    done(GRID.format(store=".npz"))
    layout = TaskLayout.of("psy-work", "a")
    NpzStore().save("psy-work/a/result.npz", {"y": [1]})
    with (
        Lock(layout.round(1).lock("merge"), "the merge"),
        pytest.raises(ConcurrentChangeError, match=r"result\.npz: is being written"),
    ):
        psyrun.load("a", as_="xarray")


def test_names_that_are_given_after_a_run_hold_with_the_next_one(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(GRID.format(store=".npz"))
    project.psy("run")
    project.edit("max_jobs", "dims = {'wave': ['t']}\nmax_jobs")
    project.psy("run")
    lines = project.psy("run").stdout.splitlines()
    assert all(line.startswith("-") for line in lines)
    monkeypatch.chdir(project.folder)
    assert psyrun.load("a", as_="xarray")["wave"].dims == ("n", "a", "t")
    project.edit("dims = {'wave': ['t']}\n", "")
    project.psy("run")
    assert psyrun.load("a", as_="xarray")["wave"].dims == ("n", "a", "wave_0")
    assert not Path("psy-work/a/description.json").exists()
