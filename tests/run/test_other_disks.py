"""Disks such as exFAT, where names have no colons, and what others leave there."""

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


def leave_files_of_other_programs(folder: Path) -> None:
    """Put beside each file what Finder, editors and services for copies put there."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        copy = path.with_name(f"{path.stem} (conflicted copy){path.suffix}")
        copy.write_bytes(path.read_bytes())
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(60))
        path.with_name(f"{path.name}~").write_bytes(b"?")
    for each in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for name in (".DS_Store", "Thumbs.db", ".nfs0000000001", "#junk#"):
            (each / name).write_bytes(b"?")


@pytest.mark.parametrize("backend", ["DistributeBackend", "LoadBalancingBackend"])
def test_files_that_other_programs_leave_do_no_harm(
    tmp_path: Path, backend: str
) -> None:
    project = Project(tmp_path)
    project.write(COUNTED)
    both = f"import Param\nfrom psyrun.backend import {backend}"
    project.edit("import Param", both)
    project.edit("max_jobs = 2", f"max_jobs = 2\nbackend = {backend}")
    project.edit("x**2", 'x**2 if Path("mended").exists() else 1 // (x - 3)')
    project.psy("run", status=1)
    assert project.calls() == [1, 2, 3, 4]
    (tmp_path / "mended").touch()
    leave_files_of_other_programs(project.work())
    assert "3/4" in project.psy("status", "-vv").stdout
    assert "ZeroDivisionError" in project.psy("failed", "a").stdout
    project.psy("doctor", "--verify", "a")
    project.psy("run")
    assert project.calls() == [3]
    assert project.result()["x"] == [1, 2, 3, 4]
    leave_files_of_other_programs(project.work())
    project.psy("run")
    assert project.calls() == []
    project.psy("clean", "a")
    assert "new" in project.psy("status").stdout
