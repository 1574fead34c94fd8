"""The project is found in the folders above, but not just any."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from psyrun.tasks.project import TASKDIR, project_above, seen_from

FIND = "from psyrun.tasks.project import project_above; print(project_above())"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder, in whose folder ``a/b`` this process is."""
    (tmp_path / TASKDIR).mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    return tmp_path


def test_the_closest_project_above_is_found(project):
    assert project_above() == Path("../..")
    (project / "a" / TASKDIR).mkdir()
    assert project_above() == Path("..")


def test_a_project_is_not_looked_for_in_a_project(project):
    TASKDIR.mkdir()
    assert project_above() is None


def test_a_file_of_that_name_is_no_project(project):
    (project / "a" / TASKDIR).touch()
    assert project_above() == Path("../..")


def test_the_home_folder_is_the_last_one(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    assert project_above() == Path("../..")
    monkeypatch.setenv("HOME", str(project / "a"))
    assert project_above() is None
    monkeypatch.setenv("HOME", str(project / "a/b"))
    assert project_above() is None


def test_the_folder_of_the_task_files_is_in_the_project(project, monkeypatch):
    monkeypatch.chdir(project / TASKDIR)
    assert project_above() == Path("..")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_what_belongs_to_somebody_else_is_passed_over(project):
    (project / "a" / TASKDIR).mkdir()
    os.chown(project / "a" / TASKDIR, 12345, 12345)
    assert project_above() == Path("../..")


@pytest.mark.parametrize("mounted", ["a", "a/b"])
def test_other_disks_are_not_looked_at(project, mounted):
    # The folder of a mount point belongs to the disk that is mounted there.
    mount = f"mount -t tmpfs tmpfs {mounted} && mkdir -p a/b && cd a/b"
    command = ["unshare", "--user", "-r", "--mount", "sh", "-c"]
    tried = [*command, mount] if shutil.which("unshare") else ["false"]
    if subprocess.run(tried, cwd=project, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    found = subprocess.run(
        [*command, f'{mount} && exec "$@"', "sh", sys.executable, "-c", FIND],
        cwd=project,
        capture_output=True,
        check=True,
        text=True,
    )
    assert found.stdout == "None\n"


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("./new", "a/b/new"),
        ("../new", "a/new"),
        ("here/file", "a/b/here/file"),
        ("--profile=here/file", "--profile=a/b/here/file"),
        ("--profile=../new", "--profile=a/new"),
        ("--cores=2", "--cores=2"),
        ("2", "2"),
        ("here", "here"),
        ("not/here", "not/here"),
        ("/tmp/new", "/tmp/new"),
        ("--config", "--config"),
    ],
)
def test_paths_in_arguments_are_as_seen_from_the_project(project, word, there):
    Path("here").mkdir()
    Path("here/file").touch()
    assert seen_from(Path("../.."), word) == there
