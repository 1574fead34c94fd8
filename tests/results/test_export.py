"""Results in files of other programs hold what psyrun.load gives."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xarray

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results.export import FORMATS
from psyrun.store import H5Store, NpzStore, PickleStore

TEXTS = (
    ', "name": "t" * a, '
    '"when": np.datetime64("2024-01-01T00:00:00") + np.timedelta64(n, "s")'
)
GRID = """\
import numpy as np

from psyrun import Param

pspace = Param(n=[128, 256, 512]) * Param(a=[1, 2], label=["x", "y"]) * Param(kind="k")
max_jobs = 2
store = {store!r}
dims = {{"wave": ("t",)}}
coords = {{"t": [0.0, 0.5, 1.0]}}
attrs = {{"wave": {{"units": "mV"}}, "n": {{"units": "cells", "sorted": True}}}}


def execute(n, a, label, kind):
    return {{"y": n * a, "wave": np.arange(3.0) * n, "ok": a == 1{more}}}
"""
FAILING = """\
from psyrun import Param

grid = Param(x=[0, 1, 2]) * Param(a=[1, 2, 3])
pspace = grid - Param(x=[2], a=[2])
max_jobs = 1


def execute(x, a):
    if (x, a) == (1, 1):
        raise ValueError("bad")
    return {"y": 10 * x + a, "ok": a == 1, "name": "n" * a}
"""
TABLES = [".csv", ".parquet", ".arrow", ".xlsx"]
GRIDS = [".nc", ".zarr"]
READ = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".arrow": pd.read_feather,
    ".xlsx": pd.read_excel,
    ".nc": xarray.open_dataset,
    ".zarr": xarray.open_zarr,
}
# HDF5 holds neither text nor parameters of text.
STORES = [".pkl", ".npz"]


def opened(path: str) -> xarray.Dataset:
    read = xarray.open_dataset if path.endswith(".nc") else xarray.open_zarr
    options = {} if path.endswith(".nc") else {"chunks": None}
    with read(path, **options) as found:
        return found.load()


def assert_same(found: xarray.Dataset, expected: xarray.Dataset) -> None:
    assert list(found.sizes) and dict(found.sizes) == dict(expected.sizes)
    assert set(found.variables) == set(expected.variables)
    assert set(found.coords) == set(expected.coords)
    for key, variable in expected.variables.items():
        assert found[key].dims == variable.dims
        kinds = {found[key].dtype.kind, variable.dtype.kind}
        assert kinds <= set("TUO") or len(kinds) == 1, (key, kinds)
        assert found[key].values.tolist() == variable.values.tolist() or (
            kinds <= set("mM") and (found[key].values == variable.values).all()
        )


@pytest.mark.parametrize("store", STORES)
def test_files_have_the_rows_of_a_table(done, store):
    done(GRID.format(store=store, more=TEXTS))
    frame = psyrun.load("a", as_="pandas")
    for ext in TABLES:
        assert psyrun.export("a", f"out{ext}") == 6
        found = READ[ext](f"out{ext}")
        assert list(found) == list(frame)
        for key in ("n", "a", "label", "kind", "y", "ok", "name"):
            assert found[key].tolist() == frame[key].tolist()
        assert pd.to_datetime(found["when"]).tolist() == frame["when"].tolist()
        read = json.loads if ext in (".csv", ".xlsx") else list
        assert [read(wave) for wave in found["wave"]] == [*map(list, frame["wave"])]


OF_DATES = """\
import datetime

from psyrun import Param

days = [datetime.date(2024, 3, day) for day in (1, 8, 15)]
pspace = Param(day=days) * Param(hour=[6, 18])
max_jobs = 2


def execute(day, hour):
    if day.day == 8 and hour == 18:
        raise ValueError("cloudy")
    return {"at": datetime.datetime(day.year, day.month, day.day, hour)}
"""


@pytest.mark.parametrize("ext", GRIDS)
def test_dates_of_python_are_dates_in_the_file(done, ext):
    done(OF_DATES, accept=True)
    psyrun.export("a", f"out{ext}")
    found = opened(f"out{ext}")
    days = np.array(["2024-03-01", "2024-03-08", "2024-03-15"], "M8[ns]")
    assert (found["day"].values == days).all()
    at = found["at"].sel(hour=6).values
    assert (at == days + np.timedelta64(6, "h")).all()
    assert np.isnat(found["at"].sel(day="2024-03-08", hour=18).values)


@pytest.mark.parametrize("store", [*STORES, ".h5"])
@pytest.mark.parametrize("ext", GRIDS)
def test_files_have_the_dimensions_of_the_space(done, store, ext):
    text = GRID.format(store=store, more="" if store == ".h5" else TEXTS)
    if store == ".h5":
        for of_text in (', label=["x", "y"]', ' * Param(kind="k")', ", label, kind"):
            text = text.replace(of_text, "")
    done(text)
    expected = psyrun.load("a", as_="xarray")
    psyrun.export("a", f"out{ext}")
    found = opened(f"out{ext}")
    assert_same(found, expected)
    assert found["wave"].attrs == {"units": "mV"}
    assert found["n"].attrs == {"units": "cells", "sorted": 1}
    assert json.loads(found.attrs.pop("psyrun"))["origin"]["task"] == "a"
    assert found.attrs == expected.attrs


@pytest.mark.parametrize("ext", GRIDS)
def test_what_is_missing_has_a_status(done, ext):
    done(FAILING, "split", "process 0")
    psyrun.export("a", f"out{ext}", partial=True)
    found, expected = opened(f"out{ext}"), psyrun.load("a", True, as_="xarray")
    assert found["status"].dims == ("x", "a")
    assert found["status"].values.tolist() == expected["status"].values.tolist()
    assert np.array_equal(found["y"], expected["y"], equal_nan=True)
    assert found["ok"].values[0].tolist()[::2] == [1, 0]
    assert np.isnan(found["ok"].values).sum() == 2
    assert found["name"].values.tolist()[2] == ["n", "", "nnn"]


DERIVED = """\
import numpy as np

from psyrun import Param

pspace = Param(n=[0, 1, 2]) * Param(m=[0, 1])
pspace = pspace.derive(inv=lambda n: 1 / n, r=lambda n: np.int64(2 // n))
pspace = pspace.where(lambda n, m: n > m)
pspace = pspace.derive(even=lambda inv: inv < 1, t=lambda inv: f"{inv}")
max_jobs = 1


def execute(n, m, inv, r, even, t):
    return {"y": n * inv + m}
"""


@pytest.mark.parametrize("ext", GRIDS)
def test_derived_coordinates_may_lack_values_where_no_row_is(done, ext):
    done(DERIVED)
    psyrun.export("a", f"out{ext}")
    found = opened(f"out{ext}")
    assert found["y"].values[1:].tolist()[1] == [1, 2]
    assert found["t"].values.tolist() == ["", "1.0", "0.5"]
    for key, values in {"inv": [1, 0.5], "r": [2, 1], "even": [0, 1]}.items():
        assert np.isnan(found[key].values[0])
        assert found[key].values[1:].tolist() == values


def test_only_what_is_asked_for_is_written(done):
    done(GRID.format(store=".npz", more=""))
    psyrun.export("a", "out.csv", columns=["y", "n"], where={"a": 2})
    assert Path("out.csv").read_text() == "y,n\n256,128\n512,256\n1024,512\n"
    psyrun.export("a", "out.nc", columns=["y"], where={"n": [512, 128], "a": 1})
    found = opened("out.nc")
    assert dict(found.sizes) == {"n": 2}
    assert found["y"].values.tolist() == [128, 512]
    assert set(found.attrs) == {"kind", "a", "label", "psyrun"}


def test_tables_tell_axes_units_and_origin(done):
    done(GRID.format(store=".npz", more=""))
    for ext in (".parquet", ".arrow"):
        psyrun.export("a", f"out{ext}")
    for table in (
        pyarrow.parquet.read_table("out.parquet"),
        pyarrow.ipc.open_file("out.arrow").read_all(),
    ):
        about = json.loads(table.schema.metadata[b"psyrun"])
        assert about["axes"] == [
            {"name": "n", "parameters": ["n"], "size": 3},
            {"name": "a_label", "parameters": ["a", "label"], "size": 2},
        ]
        assert about["constants"] == {"kind": "k"}
        assert about["coords"] == {"t": [0.0, 0.5, 1.0]}
        assert about["origin"]["psyrun"]
        assert about["origin"]["versions"] == psyrun.provenance("a")
        (version,) = about["origin"]["versions"].values()
        assert "def execute" in version["source"]["psy-tasks/task_a.py"]
        assert table.schema.field("wave").metadata == {b"units": b"mV"}
    assert pd.read_parquet("out.parquet").attrs["wave"] == {"units": "mV"}
    psyrun.export("a", "out.xlsx")
    about = pd.read_excel("out.xlsx", "psyrun", header=None, index_col=0)[1]
    assert json.loads(about["attrs"])["wave"] == {"units": "mV"}
    assert json.loads(about["origin"])["versions"] == psyrun.provenance("a")


def test_missing_and_odd_values_in_cells(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {
        "x": [0.1, float("nan"), float("inf")],
        "text": ['a,"b"\n', "=1+1", None],
        "any": [{"k": [1, None]}, (1, "é"), np.array([1.5, np.nan])],
        "z": [1 + 2j, np.float32(0.1), True],
    }
    PickleStore().save("in.pkl", rows)
    psyrun.export("in.pkl", "out.csv")
    with Path("out.csv").open(newline="", encoding="utf-8") as stream:
        assert [*csv.reader(stream)] == [
            ["x", "text", "any", "z"],
            ["0.1", 'a,"b"\n', '{"k": [1, null]}', "(1+2j)"],
            ["", "=1+1", '[1, "é"]', "0.1"],
            ["inf", "", "[1.5, NaN]", "True"],
        ]
    psyrun.export("in.pkl", "out.xlsx")
    sheet = pd.read_excel("out.xlsx")
    assert sheet["text"].tolist()[:2] == ['a,"b"\n', "=1+1"]
    assert sheet["x"].tolist() == [0.1, pytest.approx(np.nan, nan_ok=True), np.inf]


@pytest.mark.parametrize("ext", FORMATS)
def test_a_file_without_rows(tmp_path, monkeypatch, ext):
    monkeypatch.chdir(tmp_path)
    NpzStore().save("in.npz", {"x": np.empty(0), "w": np.empty((0, 3))})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert psyrun.export("in.npz", f"out{ext}") == 0
    found = READ[ext](f"out{ext}")
    assert set(found) == {"x", "w"}


@pytest.mark.parametrize("ext", FORMATS)
def test_a_single_assignment(done, ext):
    done(
        "from psyrun import Param\npspace = Param(x=2)\n"
        "def execute(x):\n    return {'y': x + 0.5}\n"
    )
    assert psyrun.export("a", f"out{ext}") == 1
    found = READ[ext](f"out{ext}")
    assert np.asarray(found["y"]).item() == 2.5


@pytest.mark.parametrize("store", [NpzStore(), H5Store()])
@pytest.mark.parametrize("ext", [".parquet", ".nc", ".zarr", ".csv"])
def test_rows_are_written_in_pieces(tmp_path, monkeypatch, store, ext):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("psyrun.results.sources._PIECE_BYTES", 1000)
    monkeypatch.setattr("psyrun.store.npz_pieces._PIECE_BYTES", 1000)
    for kind in ("netcdf.NetCdf", "zarr.Zarr"):
        monkeypatch.setattr(f"psyrun.results.export.{kind}.chunk_bytes", 300)
    rows = {"x": np.arange(100), "w": np.random.default_rng(0).random((100, 5))}
    store.save(f"in{store.ext}", rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        psyrun.export(f"in{store.ext}", f"out{ext}", where={"x": list(range(7, 95))})
    found = READ[ext](f"out{ext}")
    assert np.asarray(found["x"]).tolist() == list(range(7, 95))
    waves = map(json.loads, found["w"]) if ext == ".csv" else np.asarray(found["w"])
    assert np.array_equal(np.stack([*waves]), rows["w"][7:95])


def test_a_data_file_has_no_axes_which_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NpzStore().save("in.npz", {"x": [1, 2], "y": [3.0, 4.0]})
    with pytest.warns(UserWarning, match="in.npz: its axes are not known"):
        psyrun.export("in.npz", "out.nc")
    assert opened("out.nc")["y"].dims == ("assignment",)
    psyrun.export("in.npz", "out.parquet")
    about = pyarrow.parquet.read_schema("out.parquet").metadata[b"psyrun"]
    assert json.loads(about)["axes"][0]["name"] == "assignment"


HELD_BY = {
    "complex": [".csv", ".zarr", ".xlsx"],
    "object": [],
    "bytes": [".parquet", ".arrow"],
    "mixed": [".csv", ".xlsx"],
}


@pytest.mark.slow
@pytest.mark.parametrize("ext", FORMATS)
@pytest.mark.parametrize("kind", ["complex", "object", "bytes", "mixed"])
def test_what_a_format_cannot_hold_is_refused_by_name(done, ext, kind):
    values = {
        "complex": "1j * x",
        "object": "print",
        "bytes": 'b"a"',
        "mixed": '"a" if x == 1 else 2',
    }
    done(
        "from psyrun import Param\npspace = Param(x=[1, 2])\n"
        f"def execute(x):\n    return {{'good': x, 'odd': {values[kind]}}}\n"
    )
    if ext in HELD_BY[kind]:
        assert psyrun.export("a", f"out{ext}") == 2
        return
    with pytest.raises(PsyrunError, match=rf"^out{ext}: 'odd' has values of type") as e:
        psyrun.export("a", f"out{ext}")
    assert "\n" not in str(e.value) and "--columns" in str(e.value)
    assert sorted(path.name for path in Path().iterdir()) == ["psy-tasks", "psy-work"]
    psyrun.export("a", f"out{ext}", columns=["good"])


@pytest.mark.parametrize("ext", GRIDS)
def test_a_coordinate_that_cannot_be_held_can_be_left_out(done, ext):
    done(
        "from psyrun import Param\npspace = Param(f=[print, len]) * Param(x=[1, 2])\n"
        "def execute(f, x):\n    return {'y': x}\n"
    )
    with pytest.raises(PsyrunError, match=r"'f' has values of type builtin_function"):
        psyrun.export("a", f"out{ext}")
    psyrun.export("a", f"out{ext}", columns=["y"])
    found = opened(f"out{ext}")
    assert found["y"].dims == ("f", "x") and list(found.coords) == ["x"]


@pytest.mark.parametrize("ext", FORMATS)
def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch, ext):
    monkeypatch.chdir(tmp_path)
    NpzStore().save("in.npz", {"x": [1]})
    format_ = FORMATS[ext]
    for module in format_.modules:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            said = rf"needs {module}. .* 'psyrun\[{format_.extra}\]'"
            with pytest.raises(PsyrunError, match=said):
                psyrun.export("in.npz", f"out{ext}")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extra = project["project"]["optional-dependencies"].get(format_.extra, [])
    assert {each.partition(">")[0] for each in extra} == set(format_.modules)


FULL = """\
import resource, sys
from psyrun.cli.main import main

import psyrun.results.export
limits = (int(sys.argv[2]), resource.RLIM_INFINITY)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
sys.exit(main(["export", "in.npz", sys.argv[1], "--force"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2_000, 100_000])
@pytest.mark.parametrize("ext", FORMATS)
def test_a_full_disk_leaves_the_previous_file(tmp_path, ext, limit):
    rows = {"x": np.arange(30_000), "w": np.random.default_rng(0).random((30_000, 5))}
    NpzStore().save(tmp_path / "in.npz", rows)
    out = tmp_path / f"out{ext}"
    if ext == ".zarr":
        out.mkdir()
        (out / ".zgroup").write_text("before")
    else:
        out.write_text("before")
    ended = subprocess.run(
        [sys.executable, "-c", FULL, out.name, str(limit)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2, ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last == (
        f"psy: out{ext}: File too large. Allow larger files, see 'ulimit -f', then "
        "try again."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", out.name]
    kept = out / ".zgroup" if ext == ".zarr" else out
    assert kept.read_text() == "before"
