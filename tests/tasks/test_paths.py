"""Relative paths that lead to something beside the task file only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tables

import psyrun
from psyrun.tasks.paths import call, hints, path_beside, resolved


@pytest.fixture(autouse=True)
def taskdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of task files with data, in the project folder."""
    folder = tmp_path / "psy-tasks"
    (folder / "out").mkdir(parents=True)
    for name in ("data.csv", "two words.txt", "both.txt"):
        (folder / name).write_text("1\n")
    (tmp_path / "both.txt").write_text("2\n")
    (folder / "prog").write_text("#!/bin/sh\nexit 0\n")
    (folder / "prog").chmod(0o755)
    np.savez(folder / "data.npz", a=[1])
    psyrun.PickleStore().save(folder / "rows.pkl", {"a": [1]})
    tables.open_file(str(folder / "data.h5"), "w").close()
    monkeypatch.chdir(tmp_path)
    return folder


READS: dict[str, Callable[[], object]] = {
    "open": lambda: open("data.csv").close(),  # noqa: PTH123
    "blanks": lambda: open("two words.txt").close(),  # noqa: PTH123
    "pathlib": lambda: Path("data.csv").read_text(),
    "made absolute": lambda: Path("data.csv").absolute().read_text(),
    "numpy text": lambda: np.loadtxt("data.csv"),
    "numpy": lambda: np.load("data.npz").close(),
    "pandas": lambda: pd.read_csv("data.csv"),
    "hdf5": lambda: tables.open_file("data.h5").close(),
    "store": lambda: psyrun.PickleStore().load("rows.pkl"),
    "list": lambda: os.listdir("out"),  # noqa: PTH208
    "program": lambda: subprocess.run(["./prog"], check=True),
    "write": lambda: Path("out/new.txt").write_text("x"),
}


@pytest.mark.parametrize("read", READS)
def test_what_is_only_beside_the_task_file_is_found_there(taskdir, read):
    said: list[str] = []
    project = Path.cwd()
    call(READS[read], taskdir, said.append)
    assert len(said) == 1
    assert "is only in the folder of the task file" in said[0]
    assert Path.cwd() == project


def test_what_is_in_both_folders_is_that_of_the_project(taskdir):
    said: list[str] = []
    assert call(lambda: Path("both.txt").read_text(), taskdir, said.append) == "2\n"
    assert not said


@pytest.mark.parametrize("path", ["nowhere.csv", "/nowhere/data.csv", "no/data.csv"])
def test_what_is_in_neither_folder_is_missing(taskdir, path):
    with pytest.raises(FileNotFoundError, match=path):
        call(lambda: Path(path).read_text(), taskdir, pytest.fail)


def test_other_errors_are_raised_once(taskdir):
    calls = []

    def fail():
        calls.append(1)
        raise ValueError("data.csv")

    with pytest.raises(ValueError, match="data"):
        call(fail, taskdir, pytest.fail)
    assert calls == [1]


def test_the_cause_of_an_error_counts(taskdir):
    cause = FileNotFoundError(errno.ENOENT, "no such file", "data.csv")
    error = RuntimeError("no data")
    assert path_beside(error, taskdir) is None
    error.__cause__ = cause
    assert path_beside(error, taskdir) == "data.csv"


def test_dependencies_are_looked_for_in_both_folders(taskdir):
    here = [resolved(Path(p), Path("psy-tasks")) for p in ("both.txt", "data.csv", "x")]
    assert here == [Path("both.txt"), Path("psy-tasks/data.csv"), Path("x")]


def test_constants_of_the_source_are_hinted_at(taskdir):
    taskfile = Path("psy-tasks/task_a.py")
    taskfile.write_text("open('data.csv'), open('both.txt'), 'x', '', 'a\\nb'\n")
    dependency, beside, both = hints(taskfile, [Path("out")])
    assert dependency.startswith("psy-tasks/task_a.py: 'out' is only in the folder")
    assert beside.startswith("psy-tasks/task_a.py: 'data.csv' is only in the folder")
    assert "Write 'psy-tasks/data.csv'" in beside
    assert "'both.txt' is in the project folder and in that of the task file" in both
    taskfile.write_text("open(Path(__file__).parent / 'data.csv')\n")
    assert hints(taskfile, []) == []
