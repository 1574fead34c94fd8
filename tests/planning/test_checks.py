"""Tasks that would overwrite each other's files are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from projects import COUNTED, Project

pytestmark = pytest.mark.slow

SHARED = COUNTED + "resultfile = 'out.pkl'\n"


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project(tmp_path / "project")
    project.write(SHARED)
    project.write(SHARED.replace("x**2", "x**3"), "b")
    return project


def refused(project: Project, *arguments: str) -> str:
    """Run psy, which has to refuse in one line before anything is evaluated."""
    result = project.psy(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert project.calls() == []
    return result.stderr


def test_two_tasks_of_one_run_with_one_result_are_refused(project):
    error = refused(project, "run")
    assert "psy-tasks/task_a.py and psy-tasks/task_b.py: both write" in error
    assert "resultfile 'out.pkl'. Set another one" in error


def test_plain_snakemake_refuses_two_tasks_with_one_result(project):
    assert "both write the resultfile" in project.snakemake(status=1).stderr
    assert project.calls() == []


def test_a_result_of_a_task_that_was_run_before_is_not_overwritten(project):
    project.psy("run", "a")
    project.calls()
    before = (project.folder / "out.pkl").read_bytes()
    assert "task_a.py and psy-tasks/task_b.py: both" in refused(project, "run", "b")
    assert (project.folder / "out.pkl").read_bytes() == before


def test_a_conf_file_that_gives_all_tasks_one_result_is_named(project):
    for name in ("a", "b"):
        project.edit("resultfile = 'out.pkl'\n", "", name)
    conf = project.folder / "psy-tasks/psy-conf.py"
    conf.write_text(f"resultfile = '{project.folder}/out.pkl'\n")
    project.psy("run", "a")
    project.calls()
    assert "psy-conf.py" in refused(project, "run", "b")


def test_a_result_that_another_task_gave_up_or_left_behind_may_be_taken(project):
    project.psy("run", "a")
    project.edit("'out.pkl'", "'other.pkl'")
    project.psy("run", "b")
    project.taskfile("b").rename(project.taskfile("c"))
    project.psy("run", "c")


# Work folders


@pytest.fixture
def two_folders(project) -> Project:
    """A project with a result, and a second folder with a task of that name."""
    project.psy("run", "a")
    project.calls()
    shutil.copytree(project.folder / "psy-tasks", project.folder / "exp2")
    other = project.folder / "exp2/task_a.py"
    other.write_text(COUNTED.replace("x**2", "x + 1"))
    return project


def test_a_task_of_another_folder_does_not_replace_results(two_folders):
    error = refused(two_folders, "run", "a", "--taskdir", "exp2")
    assert error.startswith("psy: exp2/task_a.py: the results in 'psy-work/a' are")
    assert "those of psy-tasks/task_a.py" in error
    assert "set another workdir in exp2/psy-conf.py" in error
    conf = two_folders.folder / "exp2/psy-conf.py"
    conf.write_text("workdir = 'work2'\n")
    two_folders.psy("run", "a", "--taskdir", "exp2")
    assert two_folders.calls() == [1, 2, 3, 4]


def test_a_folder_of_task_files_may_be_renamed(two_folders):
    shutil.rmtree(two_folders.folder / "psy-tasks")
    two_folders.psy("run", "a", "--taskdir", "exp2")
    assert two_folders.calls() == [1, 2, 3, 4]


@pytest.mark.parametrize("taskdir", ["psy-tasks", "{project}/psy-tasks"])
def test_a_copied_project_goes_on_by_itself(project, tmp_path, taskdir):
    folder = taskdir.format(project=project.folder)
    project.psy("run", "a", "--taskdir", folder)
    project.calls()
    shutil.copytree(project.folder, tmp_path / "copy")
    copy = Project(tmp_path / "copy")
    folder = taskdir.format(project=copy.folder)
    copy.psy("run", "a", "--taskdir", folder)
    assert copy.calls() == []
    copy.edit("x**2", "x**4")
    copy.psy("run", "a", "--taskdir", folder)
    assert copy.calls() == [1, 2, 3, 4]
    assert Path(copy.folder / "out.pkl").exists()
