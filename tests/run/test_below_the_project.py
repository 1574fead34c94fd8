"""From a folder of the project, commands do what they do from the project folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from projects import COUNTED, Project

pytestmark = pytest.mark.slow

STORED = """\
from pathlib import Path

from helper import OwnStore
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2
store = OwnStore()


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    return {"y": x**2}
"""
HELPER = """\
from psyrun.store import PickleStore


class OwnStore(PickleStore):
    ext = ".own"
"""
SQUARES = {"x": [1, 2, 3, 4], "y": [1, 4, 9, 16]}
LOAD = "import psyrun; print(psyrun.load('a'{}))"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    return project


@pytest.fixture
def notebooks(project: Project) -> Project:
    """A folder beside that of the task files, without one of its own."""
    folder = Project(project.folder / "work" / "notebooks")
    (folder.folder / "psy-tasks").rmdir()
    return folder


def files(folder: Project) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir())


def python(folder: Project, code: str, status: int = 0) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=folder.folder, capture_output=True, text=True
    )
    assert ended.returncode == status, ended.stderr
    return ended.stdout + ended.stderr


def test_nothing_is_evaluated_twice(project: Project, notebooks: Project) -> None:
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    done = notebooks.psy("run")
    assert done.stderr == "psy: the project is in ../.., which paths are relative to\n"
    assert done.stdout == "-  a:split\n-  a:process:0\n-  a:process:1\n-  a:merge\n"
    project.edit("4]", "4, 5]")
    notebooks.psy("run", "--continue")
    assert project.calls() == [5]
    project.psy("run", "--continue")
    assert project.calls() == []
    assert files(notebooks) == []
    assert notebooks.psy("status").stdout == project.psy("status").stdout


def test_a_run_begins_below_the_project(project: Project, notebooks: Project) -> None:
    done = notebooks.psy("run")
    assert "a: psy-work/a/result.pkl" in done.stdout.splitlines()
    assert project.result()["y"] == [1, 4, 9, 16]
    assert project.calls() == [1, 2, 3, 4]
    assert files(notebooks) == []


def test_results_are_loaded_by_the_name_of_the_task(
    project: Project, notebooks: Project
) -> None:
    project.psy("run")
    for partial in ("", ", partial=True"):
        assert python(notebooks, LOAD.format(partial)) == f"{SQUARES}\n"
    assert python(Project(project.folder), LOAD.format("")) == f"{SQUARES}\n"
    code = "import os; os.chdir('psy-tasks'); " + LOAD.format("")
    assert python(project, code) == f"{SQUARES}\n"


def test_the_folder_of_the_task_files_is_not_looked_for_if_it_is_given(
    project: Project, notebooks: Project
) -> None:
    project.psy("run")
    error = notebooks.psy("list", "--taskdir", "psy-tasks", status=2).stderr
    assert error.startswith("psy: psy-tasks: there is no such folder of task files.")
    said = python(notebooks, LOAD.format(", taskdir='psy-tasks'"), status=1)
    assert "a: there is no task, work folder or data file of that name." in said


def test_a_store_of_the_project_is_found_from_below(
    project: Project, notebooks: Project
) -> None:
    project.write(STORED)
    (project.folder / "helper.py").write_text(HELPER)
    notebooks.psy("run")
    for partial in ("", ", partial=True"):
        code = LOAD.format(partial) + "; import os; print(os.getcwd())"
        assert python(notebooks, code) == f"{SQUARES}\n{notebooks.folder}\n"


def test_a_result_that_was_changed_is_noticed_from_below(
    project: Project, notebooks: Project
) -> None:
    project.psy("run")
    result = project.work() / "result.pkl"
    result.write_bytes(result.read_bytes() + b"more")
    said = python(notebooks, LOAD.format(""))
    assert "../../psy-work/a/result.pkl: it " in said


def test_modules_on_a_relative_path_are_found_from_below(
    project: Project, notebooks: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.folder / "lib").mkdir()
    (project.folder / "lib/helper.py").write_text(HELPER)
    project.write(STORED)
    monkeypatch.setenv("PYTHONPATH", "../../lib")
    monkeypatch.setenv("PWD", str(notebooks.folder))
    project.edit('Path("calls")', 'Path(__import__("os").environ["PWD"], "calls")')
    notebooks.psy("run")
    assert project.calls() == [1, 2, 3, 4]


def test_paths_for_snakemake_are_those_of_the_caller(
    project: Project, notebooks: Project
) -> None:
    options = ("--", "--configfile", "./mine.yaml")
    refused = notebooks.psy("run", *options, status=2).stderr
    assert "work/notebooks/mine.yaml" in refused
    (notebooks.folder / "mine.yaml").write_text("colour: red\n")
    notebooks.psy("run", *options)
    assert project.calls() == [1, 2, 3, 4]


def test_merged_files_are_where_they_are_asked_for(
    project: Project, notebooks: Project
) -> None:
    project.psy("run")
    notebooks.psy("merge", "--partial", "a", "rows.pkl")
    assert files(notebooks) == ["rows.pkl", "rows.pkl.psyrun"]
    result = project.work() / "result.pkl"
    before = result.read_bytes()
    (notebooks.folder / "parts").mkdir()
    (notebooks.folder / "rows.pkl").rename(notebooks.folder / "parts/0.pkl")
    target = "../../psy-work/a/result.pkl"
    refused = notebooks.psy("merge", "parts", target, status=2).stderr
    assert "is of the task 'a'" in refused
    assert result.read_bytes() == before


def test_no_second_project_begins_by_accident(
    project: Project, notebooks: Project
) -> None:
    refused = notebooks.psy("new-task", "mine", status=2).stderr
    assert refused.count("\n") == 1
    assert "'psy new-task --taskdir ../../psy-tasks mine'" in refused
    assert files(notebooks) == []
    notebooks.psy("new-task", "--taskdir", "../../psy-tasks", "mine")
    assert notebooks.psy("list").stdout.split() == ["a", "mine"]
    Project.psy(_inside(project), "new-task", "other")
    Project.psy(_inside(project), "init")
    assert project.psy("list").stdout.split() == ["a", "mine", "other"]
    assert (project.folder / "workflow/Snakefile").is_file()
    assert "psy-tasks" not in files(_inside(project))


def _inside(project: Project) -> Project:
    """The folder of the task files."""
    inside = Project.__new__(Project)
    inside.folder = project.folder / "psy-tasks"
    return inside


def test_a_project_in_a_project_is_one_of_its_own(
    project: Project, notebooks: Project
) -> None:
    done = notebooks.psy("init")
    assert (
        done.stderr == "psy: this is a project of its own, apart from that in ../..\n"
    )
    notebooks.psy("new-task", "mine")
    done = notebooks.psy("list")
    assert (done.stdout, done.stderr) == ("mine\n", "")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_project_of_somebody_else_is_left_alone(
    project: Project, notebooks: Project
) -> None:
    os.chown(project.folder / "psy-tasks", 12345, 12345)
    assert "there is no such folder" in notebooks.psy("list", status=2).stderr
