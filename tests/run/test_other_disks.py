"""Disks on which a file has one name only, and that has no colon, such as exFAT."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import COUNTED, TIMEOUT, Project

pytestmark = pytest.mark.slow

LOGS = ["a.merge.log", "a.process.0.log", "a.process.1.log", "a.split.log"]


@pytest.fixture
def shim(tmp_path: Path) -> Path:
    """Return a library that makes all disks such."""
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    path = tmp_path / "no_colons.so"
    source = Path(__file__).parents[1] / "helpers/no_colons.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, source, "-ldl"], check=True)
    return path


@pytest.fixture
def psy(shim: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "psyrun.cli", *words],
            cwd=tmp_path / "project",
            env={**os.environ, "LD_PRELOAD": str(shim)},
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            text=True,
        )

    return call


def test_a_run_where_files_have_one_name_without_colons(
    psy: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    done = psy("run", "-j", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in project.work().glob("a*.log")) == LOGS
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5, 6]")
    project.edit("x**2", "1 // (x - 5)")
    failed = psy("run", "--continue")
    assert failed.returncode == 1
    assert "Logs: psy-work/a/a.process." in failed.stderr
    assert psy("run", "--continue", "--accept-failures").returncode == 0
    assert psy("status", "-v").returncode == 0
    assert project.result()["x"] == [1, 2, 3, 4, 6]
    assert psy("clean", "a").returncode == 0
    assert not project.work().exists()


def test_a_folder_from_such_a_disk_goes_on_as_it_is(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(COUNTED)
    project.work().mkdir(parents=True)
    (project.work() / "plain-names").touch()
    project.psy("run")
    assert sorted(path.name for path in project.work().glob("a*.log")) == LOGS
    project.psy("clean", "a")
    assert not project.work().exists()


def test_a_folder_from_another_disk_goes_on_without_colons(
    psy: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    original = Project(tmp_path / "original")
    original.write(COUNTED)
    original.psy("run")
    shutil.copytree(original.folder, tmp_path / "project")
    project = Project(tmp_path / "project")
    for path in project.work().glob("*:*"):
        path.unlink()
    project.calls()
    (project.work() / "result.pkl").unlink()
    done = psy("run")
    assert (done.returncode, done.stderr) == (0, "")
    assert project.calls() == []
    assert (project.work() / "a.merge.log").exists()
