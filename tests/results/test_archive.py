"""Rows that are no longer in a result are there if they are asked for."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results.added import ROW_STATUS

Done = Callable[..., None]
STORES = pytest.mark.parametrize("store", [".pkl", ".npz", ".h5"])


def task(space: str, result: str = "x**2", store: str = ".npz") -> str:
    return f"""\
from psyrun import Param

pspace = {space}
max_jobs = 2
store = {store!r}


def execute(x):
    return {{"y": {result}}}
"""


def rows(found: dict) -> list[tuple]:
    return list(zip(*(list(found[key]) for key in ("x", "y", ROW_STATUS)), strict=True))


@STORES
def test_rows_that_left_the_result_are_added_and_marked(done: Done, store: str) -> None:
    done(task("Param(x=[1, 2, 3])", store=store))
    done(task("Param(x=[2, 3, 4])", store=store))
    assert list(psyrun.load("a")["x"]) == [2, 3, 4]
    found = psyrun.load("a", former=True)
    assert list(found) == ["x", "y", ROW_STATUS]
    of_space = [(2, 4, "current"), (3, 9, "current"), (4, 16, "current")]
    assert rows(found) == [*of_space, (1, 1, "former")]
    done(task("Param(x=[2, 3, 4])", "x**3", store=store))
    found = psyrun.load("a", former=True)
    assert rows(found)[:3] == [(x, x**3, "current") for x in (2, 3, 4)]
    olds = [(1, 1, "former"), *((x, x**2, "older") for x in (2, 3, 4))]
    assert sorted(rows(found)[3:]) == olds


def test_rows_that_were_kept_are_marked(done: Done) -> None:
    done(task("Param(x=[1, 2, 3])"))
    done(task("Param(x=[2, 3, 4])", "x**3"), keep_going=True)
    old = [(2, 4, "older"), (3, 9, "older"), (4, 64, "current"), (1, 1, "former")]
    assert rows(psyrun.load("a", former=True)) == old
    assert rows(psyrun.load("a", partial=True, former=True)) == old
    # The file itself knows, wherever it is.
    shutil.copy("psy-work/a/result.npz", "mailed.npz")
    assert rows(psyrun.load("mailed.npz", former=True)) == old


def test_costs_and_conditions_go_together_with_former_rows(done: Done) -> None:
    done(task("Param(x=[1, 2, 3])"))
    done(task("Param(x=[3])", "x**3"))
    found = psyrun.load(
        "a", former=True, costs=True, columns=["y"], where={"x": [1, 3]}
    )
    assert found["y"].tolist() == [27, 1, 9]
    assert found[ROW_STATUS].tolist() == ["current", "former", "older"]
    assert len(set(found["cost_version"][1:])) == 1 == len({*found["cost_version"][:1]})
    assert found["cost_version"][0] != found["cost_version"][1]
    older = psyrun.load("a", former=True, where={ROW_STATUS: "older"})
    assert rows(older) == [(3, 9, "older")]


def test_tables_and_datasets_have_them(done: Done) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    done(task("Param(x=[1, 2, 3])"))
    done(task("Param(x=[2, 3])"))
    status = ["current", "current", "former"]
    for form, values in (
        ("pandas", lambda found, key: found[key].tolist()),
        ("polars", lambda found, key: found[key].to_list()),
        ("arrow", lambda found, key: found[key].to_pylist()),
    ):
        found = psyrun.load("a", as_=form, former=True)
        assert values(found, ROW_STATUS) == status
        assert values(found, "x") == [2, 3, 1]
    found = psyrun.load("a", as_="xarray", former=True)
    assert dict(found.sizes) == {"assignment": 3}
    assert found[ROW_STATUS].values.tolist() == status
    assert "current" in found[ROW_STATUS].attrs["long_name"]
    assert found["y"].values.tolist() == [4, 9, 1]


def test_columns_that_rows_of_before_lack_are_nan(done: Done) -> None:
    done(task("Param(x=[1, 2])"))
    done(task("Param(x=[2, 3])", 'x**2, "z": x'))
    found = psyrun.load("a", former=True)
    assert found["x"].tolist() == [2, 3, 1, 2]
    np.testing.assert_array_equal(found["z"], [2, 3, np.nan, np.nan])
    with pytest.raises(PsyrunError, match="no column 'w'"):
        psyrun.load("a", former=True, columns=["w"])


def test_exports_have_former_rows_and_costs(done: Done) -> None:
    done(task("Param(x=[1, 2])"))
    done(task("Param(x=[2, 3])", 'x**2, "z": x'))
    n_rows = psyrun.export("a", "a.csv", former=True, costs=True)
    with Path("a.csv").open() as stream:
        found = list(csv.DictReader(stream))
    assert n_rows == len(found) == 4
    assert [each["x"] for each in found] == ["2", "3", "1", "2"]
    statuses = ["current", "current", "former", "older"]
    assert [each[ROW_STATUS] for each in found] == statuses
    assert [float(each["z"] or "nan") for each in found[:2]] == [2, 3]
    assert [each["z"] for each in found[2:]] == ["", ""]
    assert all(float(each["cost_duration"]) >= 0 for each in found)


@pytest.mark.parametrize("ext", [".parquet", ".nc", ".zarr", ".xlsx"])
def test_other_formats_have_them(done: Done, ext: str) -> None:
    pandas = pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("pyarrow")
    done(task("Param(x=[1, 2])"))
    done(task("Param(x=[2, 3])", 'x**2, "z": x'))
    psyrun.export("a", f"a{ext}", former=True, costs=True)
    if ext in (".nc", ".zarr"):
        found = xarray.open_dataset(f"a{ext}")
        assert dict(found.sizes) == {"assignment": 4}
    else:
        found = (pandas.read_parquet if ext == ".parquet" else pandas.read_excel)(
            f"a{ext}"
        )
    assert found["x"].values.tolist() == [2, 3, 1, 2]
    np.testing.assert_array_equal(found["z"].values, [2, 3, np.nan, np.nan])
    statuses = ["current", "current", "former", "older"]
    assert found[ROW_STATUS].values.tolist() == statuses
    assert len(found["cost_version"].values) == 4


def test_what_is_cleaned_is_gone(done: Done) -> None:
    from psyrun.run.clean import clean_old

    done(task("Param(x=[1, 2, 3])"))
    done(task("Param(x=[2, 3])"))
    clean_old(Path("psy-tasks"), "a")
    found = psyrun.load("a", former=True)
    assert rows(found) == [(2, 4, "current"), (3, 9, "current")]


def test_a_column_of_that_name_is_refused(done: Done) -> None:
    done(task("Param(x=[1, 2])", f'x, "{ROW_STATUS}": 1'))
    with pytest.raises(PsyrunError, match=r"'row_status' of its own, so that former"):
        psyrun.load("a", former=True)
    found = psyrun.load("a", former=True, columns=["x"])
    assert list(found) == ["x", ROW_STATUS]


def test_rows_of_which_nothing_is_known_are_not_marked(tmp_path: Path) -> None:
    psyrun.NpzStore().save(str(tmp_path / "a.npz"), {"x": [1]})
    with pytest.raises(PsyrunError, match="former=True cannot tell"):
        psyrun.load(tmp_path / "a.npz", former=True)
