"""A result that was mailed on has its axes, units and origin with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results import Result
from psyrun.results.provenance import within
from psyrun.store.metadata import Metadata

Done = Callable[..., None]
TASK = """\
import numpy as np

from psyrun import Param

pspace = Param(x=[1, 2, 3]) * Param(a=[0.5, 1.5], b=[10, 20]) * Param(unit=["mm"])
max_jobs = 2
store = {store!r}
dims = {{"wave": ("t",)}}
coords = {{"t": [0.0, 0.1, 0.2, 0.3]}}
attrs = {{"wave": {{"units": "mV"}}, "x": {{"units": "m"}}}}
exclude_from_result = ["unit"]


def execute(x, a, b, unit):
    return {{"wave": np.full(4, x * a)}}
"""
SOURCE = "psy-tasks/task_a.py"
STORES = pytest.mark.parametrize("store", [".pkl", ".npz", ".h5"])


@pytest.fixture
def mailed(done: Done, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Do the task and return where its result was copied to."""

    def mailed(text: str, store: str) -> Path:
        done(text.format(store=store))
        folder = tmp_path_factory.mktemp("elsewhere")
        for path in Path("psy-work/a").glob("result.*"):
            shutil.copy(path, folder)
        return folder / f"result{store}"

    return mailed


@STORES
def test_a_mailed_file_is_labelled(mailed: Callable[..., Path], store: str) -> None:
    path = mailed(TASK, store)
    expected = psyrun.load("a", as_="xarray")
    shutil.rmtree("psy-work")
    found = psyrun.load(path, as_="xarray")
    assert found.identical(expected)
    assert found["wave"].dims == ("x", "a_b", "t")
    assert found["wave"].attrs["units"] == "mV"
    assert found.attrs["unit"] == "mm"
    part = psyrun.load(path, as_="xarray", where={"x": 2, "b": [20]}, costs=True)
    assert part["wave"].values.tolist() == [[3.0] * 4]
    assert part["cost_host"].dims == ("a_b",)


SPACES = {
    "difference": "Param(x=[1, 2, 3]) * Param(a=[1, 2]) - Param(x=[2], a=[1])",
    "longer axis": "(Param(x=[1]) + Param(x=[2, 3])) * Param(a=[1, 2])",
    "inner axis": "Param(x=[1, 2]) * Param(a=[1]) + Param(x=[1, 2]) * Param(a=[3, 4])",
    "no grid": "Param(x=[1, 2], a=[3, 4]) + Param(x=[5], a=[7])",
    "text": "Param(x=['a', 'bc']) * Param(a=[True, False])",
    "dates": "Param(x=np.array(['2020-01-01', '2020-01-02'], 'M8[D]')) * Param(a=[1])",
    "lists": "Param(x=[[1, 2], [3]]) * Param(a=[1, 2])",
    "one point": "Param(x=[1], a=[2])",
    "derived": "(Param(x=[0, 1, 2]) * Param(a=[1, 2])).where(lambda x, a: x >= a)"
    ".derive(inv=lambda x: 1 / x, large=lambda inv: inv > 0.5, s=lambda x: str(1 / x))",
}


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_all_kinds_of_spaces_are_kept(mailed: Callable[..., Path], space: str) -> None:
    text = "import numpy as np\nfrom psyrun import Param\nmax_jobs = 1\n"
    text += f"pspace = {space}\nstore = {{store!r}}\n"
    text += "def execute(x, a, **_):\n    return {{'y': a * 2.0}}\n"
    path = mailed(text, ".pkl")
    expected = psyrun.load("a", as_="xarray")
    assert psyrun.load(path, as_="xarray").identical(expected)


def test_failed_assignments_are_told_apart(
    done: Done, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "from psyrun import Param\nstore = '.npz'\n"
    text += "pspace = Param(x=[1, 2, 3]) * Param(a=[1, 2])\n"
    text += "def execute(x, a):\n    assert x != a\n    return {'y': x}\n"
    done(text, accept=True)
    expected = psyrun.load("a", as_="xarray")
    path = tmp_path_factory.mktemp("elsewhere") / "rows.npz"
    shutil.copy("psy-work/a/result.npz", path)
    found = psyrun.load(path, as_="xarray")
    assert found.identical(expected)
    assert (found["status"] == 2).sum() == 2


def test_values_that_are_no_data_leave_the_axes_out(
    mailed: Callable[..., Path],
) -> None:
    text = "from psyrun import Param\nstore = {store!r}\n"
    text += "pspace = Param(f=[len, max])\n"
    text += "def execute(f):\n    return {{'y': 1.0}}\n"
    path = mailed(text, ".pkl")
    with pytest.warns(UserWarning, match="axes are not known"):
        found = psyrun.load(path, as_="xarray")
    assert found["y"].dims == ("assignment",)


def test_plain_columns_are_as_before(mailed: Callable[..., Path]) -> None:
    path = mailed(TASK, ".npz")
    assert list(psyrun.load(path)) == ["x", "a", "b", "wave"]


@STORES
def test_metadata_of_a_later_version_keep_no_row_from_being_loaded(
    tmp_path: Path, store: str
) -> None:
    path = tmp_path / f"rows{store}"
    used = psyrun.AutodetectStore()
    used.save(path, {"x": [1, 2]})
    later = Metadata({"format": 99}).encoded()
    if store == ".pkl":
        from psyrun.store.metadata import write_beside

        write_beside(Path(f"{path}.psyrun"), Metadata({"format": 99}), path)
    else:
        used.write_metadata(path, later)
    assert list(psyrun.load(path)["x"]) == [1, 2]
    with pytest.warns(UserWarning, match="later version of psyrun"):
        found = psyrun.load(path, as_="xarray")
    assert found["x"].values.tolist() == [1, 2]


@pytest.mark.parametrize(
    "axes", [3, {}, {"dimensions": 1}, {"n_assignments": "x", "arrays": 3}]
)
def test_damaged_axes_keep_no_row_from_being_loaded(
    tmp_path: Path, axes: object
) -> None:
    path = tmp_path / "rows.npz"
    used = psyrun.NpzStore()
    used.save(path, {"x": [1, 2]})
    used.write_metadata(path, Metadata({"axes": axes}).encoded())
    with pytest.warns(UserWarning, match="axes"):
        found = psyrun.load(path, as_="xarray")
    assert found["x"].values.tolist() == [1, 2]


def test_rows_that_were_added_take_the_axes_away(
    mailed: Callable[..., Path],
) -> None:
    path = mailed(TASK, ".h5")
    psyrun.H5Store().append(path, {"x": [9], "a": [1.0], "b": [1], "wave": [[0.0] * 4]})
    with pytest.warns(UserWarning, match="has 7 rows, but what it says"):
        found = psyrun.load(path, as_="xarray")
    assert found["wave"].dims == ("assignment", "t")
    costs = psyrun.load(path, costs=True)["cost_start"]
    assert np.isnat(costs).tolist() == [False] * 6 + [True]


@STORES
def test_where_rows_come_from_is_in_the_file(
    mailed: Callable[..., Path], store: str
) -> None:
    path = mailed(TASK, store)
    shutil.rmtree("psy-work")
    (found,) = psyrun.provenance(path).items()
    version, record = found
    assert psyrun.load(path, costs=True)["cost_version"][0] == version
    assert record["source"]["psy-tasks/task_a.py"] == TASK.format(store=store)
    assert record["libraries"] == {"numpy": np.__version__}
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["git"] is None


@STORES
def test_a_mailed_result_tells_costs_versions_and_origin(
    mailed: Callable[..., Path], store: str
) -> None:
    path = mailed(TASK, store)
    known = psyrun.provenance("a")
    expected = psyrun.load("a", costs=True)
    written = Path("psy-work/a").joinpath(path.name).stat().st_mtime
    shutil.rmtree("psy-work")
    shutil.rmtree("psy-tasks")
    result = Result(path)
    assert result.versions == known
    assert "def execute" in next(iter(result.versions.values()))["source"][SOURCE]
    assert result.origin["task"] == "a"
    assert result.origin["psyrun"] == psyrun.__version__
    assert abs(result.origin["written"] - written) < 60
    found = result.to_dict(columns=["x"], costs=True, former=True)
    assert list(found["cost_start"]) == list(expected["cost_start"])
    assert set(found["cost_version"]) == {*known}
    assert set(found["row_status"]) == {"current"}


@STORES
@pytest.mark.filterwarnings("ignore:.*no longer in the space")
@pytest.mark.parametrize("keep_going", [False, True])
def test_a_result_gets_what_is_said_of_it_later(
    mailed: Callable[..., Path], done: Done, store: str, keep_going: bool
) -> None:
    path = mailed(TASK, store)
    if keep_going:
        # Then there are also rows that are not in the space.
        done(TASK.format(store=store).replace("[1, 2, 3]", "[1, 2]"), keep_going=True)
    before = psyrun.load("a", costs=True)
    text = Path("psy-tasks/task_a.py").read_text().replace('"mV"', '"V"')
    done(text, "merge", keep_going=keep_going)
    for copied in Path("psy-work/a").glob("result.*"):
        shutil.copy(copied, path.parent)
    after = psyrun.load(path, costs=True)
    for key, values in before.items():
        assert np.array_equal(np.array(after[key]), np.array(values)), key
    assert Result(path).attrs["wave"] == {"units": "V"}
    assert Result(path).versions == psyrun.provenance("a")
    assert [axis.name for axis in Result(path).axes] == ["x", "a_b"]
    expected = psyrun.load("a", as_="xarray")
    assert psyrun.load(path, as_="xarray").identical(expected)


def test_long_texts_of_older_versions_are_left_out() -> None:
    old = {"recorded": 1, "source": {"a.py": "x" * 8}, "git": {"diff": "y" * 8}}
    new = {"recorded": 2, "source": {"a.py": "z" * 5, "b.py": "z" * 9}, "git": None}
    found = within({"old": old, "new": new}, 14)
    assert list(found) == ["old", "new"]
    assert found["new"] == new
    assert found["old"]["source"] == {}
    assert found["old"]["git"] == {"diff": None}
    assert found["old"]["left_out"] == ["a.py", "git diff"]
    assert within({"old": old, "new": new}, 100) == {"old": old, "new": new}
    # What was given is as it was.
    assert old["git"] == {"diff": "y" * 8}


def test_each_version_has_its_own_origin(done: Done) -> None:
    done(TASK.format(store=".npz"))
    longer = TASK.format(store=".npz").replace("[1, 2, 3]", "[1, 2, 3, 4]")
    done(longer.replace("x * a", "x * a + 0"), keep_going=True)
    found = psyrun.provenance("a")
    costs = psyrun.load("a", costs=True)["cost_version"]
    assert set(costs) == set(found)
    assert len(found) == 2
    assert psyrun.provenance("psy-work/a/result.npz").keys() == found.keys()


def test_the_commit_and_what_was_changed_are_kept(done: Done) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git")

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        command = ["git", *who, *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    Path("notes").write_text("one\n")
    git("add", "notes")
    git("commit", "-q", "-m", "first")
    Path("notes").write_text("two\n")
    done(TASK.format(store=".npz"))
    (record,) = psyrun.provenance("a").values()
    assert record["git"]["commit"] == git("rev-parse", "HEAD")
    assert record["git"]["is_clean"] is False
    assert "-one\n+two\n" in record["git"]["diff"]


def test_a_file_of_others_has_no_origin(tmp_path: Path) -> None:
    psyrun.NpzStore().save(tmp_path / "rows.npz", {"x": [1]})
    assert psyrun.provenance(tmp_path / "rows.npz") == {}
    with pytest.raises(PsyrunError):
        psyrun.provenance(tmp_path / "none.npz")


def test_merged_files_keep_costs_and_origin(
    mailed: Callable[..., Path], tmp_path: Path
) -> None:
    path = mailed(TASK, ".npz")
    plain = tmp_path / "plain.npz"
    rows = psyrun.load(path)
    psyrun.NpzStore().save(plain, rows)
    merged = tmp_path / "merged.npz"
    psyrun.AutodetectStore().merge(merged, [path, plain])
    found = psyrun.load(merged, costs=True)
    assert np.isnat(found["cost_start"]).tolist() == [False] * 6 + [True] * 6
    assert psyrun.provenance(merged) == psyrun.provenance(path)
    psyrun.AutodetectStore().merge(merged, [path])
    assert psyrun.load(merged, as_="xarray").identical(psyrun.load(path, as_="xarray"))
