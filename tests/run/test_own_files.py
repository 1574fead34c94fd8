"""A file of the user's own is never replaced by a result."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from accepting import accept_plan
from projects import COUNTED, Project

from psyrun.steps.main import run

pytestmark = pytest.mark.slow

MINE = pickle.dumps({"signal": [1.0, 2.0]})
INSTEAD = COUNTED + "resultfile = 'data.pkl'\n"


@pytest.fixture
def project(tmp_path) -> Project:
    """A project whose task writes its result to a file that is there."""
    project = Project(tmp_path / "project")
    project.write(INSTEAD)
    (project.folder / "data.pkl").write_bytes(MINE)
    return project


def rows(path: Path) -> list[int]:
    return pickle.loads(path.read_bytes())["y"]


def refused(project: Project, *arguments: str) -> str:
    result = project.psy(*arguments, status=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert project.calls() == []
    return result.stderr


@pytest.mark.parametrize("option", ["-q", "-n", "--accept-failures"])
def test_a_file_without_a_record_is_refused_before_anything_is_done(project, option):
    error = refused(project, "run", option)
    assert "resultfile 'data.pkl' exists" in error
    assert "psy run --move-aside a" in error
    assert (project.folder / "data.pkl").read_bytes() == MINE


def test_plain_snakemake_refuses_it_too_and_can_be_told(project):
    assert "no record" in project.snakemake(status=1).stderr
    assert (project.folder / "data.pkl").read_bytes() == MINE
    project.snakemake("--config", "psy_move_aside=true")
    assert (project.folder / "data.kept.pkl").read_bytes() == MINE
    assert rows(project.folder / "data.pkl") == [1, 4, 9, 16]


def test_it_is_renamed_if_asked_for(project):
    (project.folder / "data.kept.pkl").write_text("older")
    result = project.psy("run", "--move-aside")
    assert "data.pkl: is kept as data.kept-2.pkl" in result.stdout
    assert (project.folder / "data.kept-2.pkl").read_bytes() == MINE
    assert (project.folder / "data.kept.pkl").read_text() == "older"
    assert rows(project.folder / "data.pkl") == [1, 4, 9, 16]
    # It is a result now.
    project.edit("x**2", "x**3")
    project.psy("run", "--move-aside")
    assert not (project.folder / "data.kept-3.pkl").exists()


def test_a_link_to_it_is_the_file_itself(project):
    (project.folder / "link.pkl").symlink_to("data.pkl")
    project.edit("'data.pkl'", "'link.pkl'")
    assert "resultfile 'link.pkl' exists" in refused(project, "run")


def test_a_link_into_a_folder_that_is_not_there_is_refused(project):
    (project.folder / "link.pkl").symlink_to("gone/data.pkl")
    project.edit("'data.pkl'", "'link.pkl'")
    assert "is a link into" in refused(project, "run")


def test_a_file_that_is_depended_on_is_no_place_for_a_result(project):
    project.edit("'data.pkl'", "'data.pkl'\nfile_dep = ['./data.pkl']")
    error = refused(project, "run", "--move-aside")
    assert "file_dep holds" in error


@pytest.mark.parametrize("content", [MINE, b"no pickle"])
def test_what_has_no_parameters_of_the_task_is_not_continued(project, content):
    (project.folder / "data.pkl").write_bytes(content)
    error = refused(project, "run", "--continue")
    assert "cannot be continued" in error
    assert (project.folder / "data.pkl").read_bytes() == content
    project.psy("run", "--continue", "--move-aside")
    assert (project.folder / "data.kept.pkl").read_bytes() == content


def test_a_result_whose_work_folder_was_removed_is_continued_but_not_replaced(project):
    (project.folder / "data.pkl").unlink()
    project.psy("run")
    project.calls()
    project.work().rename(project.folder / "away")
    before = (project.folder / "data.pkl").read_bytes()
    assert "psy run --continue a" in refused(project, "run")
    assert (project.folder / "data.pkl").read_bytes() == before
    project.psy("run", "--continue")
    assert project.calls() == []
    assert rows(project.folder / "data.pkl") == [1, 4, 9, 16]


def test_a_former_result_can_be_written_to_again(project):
    project.edit("'data.pkl'", "'one.pkl'")
    project.psy("run")
    project.edit("'one.pkl'", "'two.pkl'")
    project.psy("run")
    project.edit("'two.pkl'", "'one.pkl'")
    project.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    project.psy("run", "--continue")
    assert project.calls() == [1, 2, 3, 4, 5]
    assert rows(project.folder / "one.pkl") == [1, 4, 9, 16, 25]


def test_an_empty_file_may_be_replaced(project):
    (project.folder / "data.pkl").write_bytes(b"")
    project.psy("run")
    assert rows(project.folder / "data.pkl") == [1, 4, 9, 16]


def test_a_file_that_comes_during_the_run_is_renamed(project, monkeypatch):
    path = project.folder / "data.pkl"
    path.unlink()
    monkeypatch.chdir(project.folder)
    task = accept_plan(Path("psy-tasks/task_a.py"))
    where = [str(task.layout.folder), str(task.plan.round)]
    for step in (["split"], ["process", "0"], ["process", "1"]):
        assert run([step[0], *where, *step[1:]]) == 0
    path.write_bytes(MINE)
    assert run(["merge", *where]) == 0
    task.release()
    assert (project.folder / "data.kept.pkl").read_bytes() == MINE
    assert rows(path) == [1, 4, 9, 16]


@pytest.mark.parametrize("name", ["data.pkl", "psy-work/a/round-1/space.pkl"])
def test_psy_merge_does_not_replace_what_is_of_a_task(project, name):
    (project.folder / "data.pkl").unlink()
    project.psy("run")
    parts = project.folder / "parts"
    parts.mkdir()
    (parts / "0.pkl").write_bytes(MINE)
    before = (project.folder / name).read_bytes()
    error = project.psy("merge", "parts", name, status=2).stderr
    assert "is of the task 'a'" in error
    assert (project.folder / name).read_bytes() == before


def test_a_result_that_another_task_gave_up_is_set_aside(project):
    path = project.folder / "data.pkl"
    path.unlink()
    project.psy("run", "a")
    before = path.read_bytes()
    project.edit("'data.pkl'", "'other.pkl'")
    project.write(INSTEAD.replace("x**2", "x**3"), "b")
    assert "is kept as data.kept.pkl" in project.psy("run", "b").stdout
    assert path.with_name("data.kept.pkl").read_bytes() == before
    assert rows(path) == [1, 8, 27, 64]
