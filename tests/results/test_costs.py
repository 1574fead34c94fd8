"""What rows have cost stays with them."""

from __future__ import annotations

import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kill_points import KILLING, killed
from projects import Project

import psyrun
from psyrun.errors import PsyrunError
from psyrun.results.costs import ATTRS

TASK = """\
from pathlib import Path

from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2
store = {store!r}


def execute(x):
    assert x != 2 or not Path("fail").exists()
    return {{"y": x**2}}
"""
HOLDING = """
import psyrun.steps.merge as merging

if Path("hold").exists():
    merging._check_complete = None
"""
STORES = pytest.mark.parametrize("store", [".pkl", ".npz", ".h5"])
Done = Callable[..., None]


@STORES
def test_every_row_has_its_costs_after_the_merge(done: Done, store: str) -> None:
    before = np.datetime64(round(time.time() * 1000), "ms")
    done(TASK.format(store=store))
    found = psyrun.load("a", costs=True)
    assert list(found) == ["x", "y", *ATTRS]
    assert (found["cost_start"] >= before).all()
    assert (found["cost_duration"] >= 0).all()
    assert (found["cost_peak_memory"] > 1e6).all()
    assert found["cost_host"].tolist() == [socket.gethostname()] * 4
    assert found["cost_attempt"].tolist() == [1] * 4
    assert len(set(found["cost_version"])) == 1
    assert list(found["y"]) == [1, 4, 9, 16]
    assert list(psyrun.load("a")) == ["x", "y"]


@STORES
def test_rows_that_are_kept_keep_their_costs(done: Done, store: str) -> None:
    done(TASK.format(store=store))
    before = psyrun.load("a", costs=True)
    changed = TASK.format(store=store).replace("[1, ", "[0, 1, ")
    done(changed.replace("x**2", "x**2 + 0"), keep_going=True)
    after = psyrun.load("a", costs=True)
    assert after["x"][0] == 0
    for key, values in before.items():
        assert list(after[key][1:]) == list(values)
    assert len(set(after["cost_version"])) == 2
    assert after["cost_start"][0] > before["cost_start"].max()


@STORES
def test_rows_that_leave_the_space_keep_their_costs(done: Done, store: str) -> None:
    done(TASK.format(store=store))
    before = psyrun.load("a", costs=True)
    shorter = TASK.format(store=store).replace("[1, 2, ", "[2, ")
    done(shorter, keep_going=True)
    for partial in (False, True):
        after = psyrun.load("a", partial, costs=True)
        order = [list(before["x"]).index(x) for x in after["x"]]
        assert after["cost_start"].tolist() == before["cost_start"][order].tolist()


def test_another_store_takes_the_costs_over(done: Done) -> None:
    done(TASK.format(store=".npz"))
    before = psyrun.load("a", costs=True)
    for store in (".pkl", ".h5"):
        done(TASK.format(store=store))
        after = psyrun.load("a", costs=True)
        assert after["cost_start"].tolist() == before["cost_start"].tolist()


def test_costs_are_known_while_blocks_are_not_merged(done: Done) -> None:
    done(TASK.format(store=".npz"), "split", "process 0")
    found = psyrun.load("a", partial=True, costs=True)
    assert found["x"].tolist() == [1, 2]
    assert found["cost_host"].tolist() == [socket.gethostname()] * 2


def test_failed_attempts_are_counted(done: Done) -> None:
    Path("fail").touch()
    done(TASK.format(store=".npz"), "split", "process 0")
    assert psyrun.load("a", partial=True, costs=True)["x"].tolist() == [1]
    Path("fail").unlink()
    done(TASK.format(store=".npz"), "process 0", "process 1", "merge")
    assert psyrun.load("a", costs=True)["cost_attempt"].tolist() == [1, 2, 1, 1]


def test_accepted_failures_that_are_tried_again_keep_the_costs_of_others(
    done: Done,
) -> None:
    Path("fail").touch()
    done(TASK.format(store=".npz"), accept=True)
    before = psyrun.load("a", costs=True)
    Path("fail").unlink()
    # As Snakemake does with what it has made again.
    Path("psy-work/a/round-1/blocks/0.npz").unlink()
    done(TASK.format(store=".npz"), "process 0", "merge", keep_going=True)
    after = psyrun.load("a", costs=True)
    assert before["x"].tolist() == [1, 3, 4]
    starts = after["cost_start"][[0, 2, 3]]
    assert starts.tolist() == before["cost_start"].tolist()
    assert after["cost_start"][1] > starts.max()


def test_all_forms_have_costs(done: Done) -> None:
    done(TASK.format(store=".npz"))
    labelled = psyrun.load("a", as_="xarray", costs=True)
    assert labelled["cost_duration"].dims == ("x",)
    assert labelled["cost_peak_memory"].attrs["units"] == "bytes"
    frame = psyrun.load("a", as_="pandas", columns=["y"], costs=True)
    assert list(frame.columns) == ["y", *ATTRS]
    few = psyrun.load("a", where={"x": [4, 2]}, costs=True)
    every = psyrun.load("a", costs=True)
    assert few["cost_start"].tolist() == every["cost_start"][[1, 3]].tolist()
    one = psyrun.load("a", as_="xarray", where={"x": [2, 4]}, costs=True)
    assert one["cost_start"].values.tolist() == few["cost_start"].tolist()
    for form in ("polars", "arrow"):
        assert psyrun.load("a", as_=form, costs=True).shape == (4, 2 + len(ATTRS))


def test_a_file_without_costs_has_unknown_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    psyrun.NpzStore().save(path, {"x": [1, 2]})
    found = psyrun.load(path, costs=True)
    assert np.isnat(found["cost_start"]).all()
    assert np.isnan(found["cost_peak_memory"]).all()
    assert found["cost_host"].tolist() == ["", ""]
    assert found["cost_attempt"].tolist() == [0, 0]


def test_a_column_of_that_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    psyrun.NpzStore().save(path, {"x": [1, 2], "cost_host": [3, 4]})
    with pytest.raises(PsyrunError, match="'cost_host' of its own"):
        psyrun.load(path, costs=True)
    assert "cost_start" in psyrun.load(path, columns=["x"], costs=True)


def test_rows_with_damaged_costs_are_loaded(done: Done) -> None:
    done(TASK.format(store=".pkl"))
    beside = Path("psy-work/a/result.pkl.psyrun")
    content = bytearray(beside.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    beside.unlink()
    beside.write_bytes(content)
    assert psyrun.load("a")["y"] == [1, 4, 9, 16]
    with pytest.warns(UserWarning, match="what its rows have cost"):
        found = psyrun.load("a", costs=True)
    assert found["y"] == [1, 4, 9, 16]
    assert np.isnat(found["cost_start"]).all()


def test_costs_beside_another_file_are_not_its_own(done: Done) -> None:
    done(TASK.format(store=".pkl"))
    result = Path("psy-work/a/result.pkl")
    other = Path("other.pkl")
    psyrun.PickleStore().save(other, {"x": [1, 2, 3, 4]})
    shutil.copy(f"{result}.psyrun", f"{other}.psyrun")
    assert np.isnat(psyrun.load(other, costs=True)["cost_start"]).all()
    shutil.copy(result, other)
    assert not np.isnat(psyrun.load(other, costs=True)["cost_start"]).any()


@pytest.mark.parametrize("content", [None, b"", b"PK"], ids=["gone", "empty", "cut"])
def test_costs_of_a_block_that_are_lost_are_unknown(
    done: Done, content: bytes | None
) -> None:
    done(TASK.format(store=".npz"), "split", "process 0", "process 1")
    (path,) = Path().glob("psy-work/a/round-1/blocks/.0.costs")
    path.unlink() if content is None else path.write_bytes(content)
    done(TASK.format(store=".npz"), "merge")
    found = psyrun.load("a", costs=True)
    assert found["y"].tolist() == [1, 4, 9, 16]
    assert np.isnat(found["cost_start"]).tolist() == [True, True, False, False]
    assert len(set(found["cost_version"])) == 1


@pytest.mark.slow
@STORES
def test_no_kill_of_a_job_loses_costs(tmp_path: Path, store: str) -> None:
    project = Project(tmp_path / "project")
    project.write(KILLING + HOLDING + TASK.format(store=store))
    (project.folder / "hold").touch()
    project.psy("run", status=1)
    (project.folder / "hold").unlink()
    for copy in killed(project, "merge", every=5):
        copy.run("psyrun.steps", "merge", "psy-work/a", "1")
        _expect_costs(copy)
    for path in project.work().glob("round-1/*/*1.*"):
        path.unlink()
    for path in project.work().glob("round-1/journal/1-*"):
        path.unlink()
    for copy in killed(project, "process", "1", every=3):
        # As Snakemake does with what a job has made that was killed.
        (copy.work() / f"round-1/blocks/1{store}").unlink(missing_ok=True)
        copy.run("psyrun.steps", "process", "psy-work/a", "1", "1")
        copy.run("psyrun.steps", "merge", "psy-work/a", "1")
        _expect_costs(copy)


def _expect_costs(project: Project) -> None:
    found = psyrun.load(project.work(), costs=True)
    assert list(found["y"]) == [1, 4, 9, 16]
    assert not np.isnat(found["cost_start"]).any()
    shutil.rmtree(project.folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets peaks")
def test_each_row_has_a_peak_of_memory_of_its_own(done: Done) -> None:
    text = TASK.format(store=".npz").replace("max_jobs = 2", "max_jobs = 1")
    memory = "    memory = bytearray((x % 2) * 200_000_000)\n    return"
    done(text.replace("    return", memory))
    peaks = psyrun.load("a", costs=True)["cost_peak_memory"]
    assert (peaks[[0, 2]] > peaks[[1, 3]] + 150e6).all()


def test_equal_points_have_two_evaluations(done: Done) -> None:
    text = TASK.format(store=".npz")
    done(text.replace("[1, 2, 3, 4]", "[1]"))
    equal = text.replace("[1, 2, 3, 4]", "[3, 1, 1, 4]")
    # This round copies the row, and ends before its first block.
    done(equal, "split")
    done(equal.replace("max_jobs = 2", "max_jobs = 3"))
    found = psyrun.load("a", costs=True)
    assert found["y"].tolist() == [9, 1, 1, 16]
    assert len(set(found["cost_start"].tolist())) == 4
