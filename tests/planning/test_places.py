"""Work folders and results among files that are somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun.cli.main import main

TASK = """\
from psyrun import Param
pspace = Param(x=[1, 2])
def execute(x):
    return {"y": x}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home/project"
    (folder / "psy-tasks").mkdir(parents=True)
    (folder / ".git").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(folder)
    return folder


def plan(lines: str, name: str = "a") -> int:
    Path(f"psy-tasks/task_{name}.py").write_text(f"{TASK}{lines}\n")
    return main(["run", "-n", name])


SHARED = {
    "workdir = '.'": "which is the project folder",
    "import os\nworkdir = os.getcwd()": "which is the project folder",
    "workdir = 'psy-work/..'": "which is the project folder",
    "workdir = 'link'": "which is the project folder",
    "workdir = '..'": "which contains the project folder",
    "workdir = '/'": "which contains the project folder",
    "workdir = '~'": "which contains the project folder",
    "workdir = 'psy-tasks'": "in the folder of the task files",
    "workdir = 'psy-tasks/work'": "in the folder of the task files",
    "workdir = '.snakemake'": "in a folder '.snakemake' of Snakemake",
    "workdir = '.snakemake/psyrun'": "in a folder '.snakemake' of Snakemake",
    "workdir = '.git/work'": "in a folder '.git' of Git",
    "workdir = '../other/.git'": "in a folder '.git' of Git",
    "workdir = 'psy-tasks/.psyrun'": "in a folder '.psyrun' of psyrun",
    "workdir = '__pycache__'": "in a folder '__pycache__' of Python",
    "resultfile = '.snakemake/r.pkl'": "in a folder '.snakemake' of Snakemake",
    "resultfile = 'psy-work/a/round-1/space.pkl'": "psyrun has files of its own",
    "resultfile = 'psy-work/a/round-2/blocks/0.pkl'": "psyrun has files of its own",
    "resultfile = 'psy-work/a/queue/r.pkl'": "psyrun has files of its own",
}


@pytest.mark.parametrize("lines", SHARED)
def test_a_place_of_others_is_refused(project, capfd, lines) -> None:
    Path("link").symlink_to(".")
    assert plan(lines) == 2
    (said,) = capfd.readouterr().err.splitlines()
    assert said.startswith("psy: psy-tasks/task_a.py: ")
    assert SHARED[lines] in said


def test_a_home_and_the_work_folder_of_another_task_are_refused(
    project, capfd, tmp_path, monkeypatch
) -> None:
    home = tmp_path / "users/me"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert plan("workdir = '~'") == 2
    assert "which is your home folder" in capfd.readouterr().err
    assert plan(f"workdir = {str(home.parent)!r}", "me") == 2
    assert "which is your home folder" in capfd.readouterr().err
    Path("psy-work/b").mkdir(parents=True)
    Path("psy-work/b/origin.json").write_text("{}")
    assert plan("workdir = 'psy-work/b'") == 2
    assert "the work folder of another task" in capfd.readouterr().err


ALLOWED = [
    "workdir = 'psy-work'",
    "workdir = 'out/.cache/psy'",
    "workdir = '../scratch'",
    "workdir = '~/scratch'",
    "resultfile = 'r.pkl'",
    "resultfile = '../r.pkl'",
    "resultfile = 'psy-tasks/r.pkl'",
    "resultfile = 'psy-work/a/r.pkl'",
    "resultfile = 'psy-work/round-1/r.pkl'",
]


@pytest.mark.parametrize("lines", ALLOWED)
def test_other_places_are_allowed(project, lines) -> None:
    assert plan(lines) == 0


@pytest.mark.parametrize("name", ["Snakefile", "environment.yaml"])
def test_a_file_that_psyrun_would_replace_is_named(project, capfd, name) -> None:
    mine = Path("data/a", name)
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert plan("workdir = 'data'") == 2
    assert f"'data/a/{name}' is there and not psyrun's" in capfd.readouterr().err
    assert mine.read_text() == "mine"


def test_a_work_folder_in_use_stays_where_it_is(project) -> None:
    Path("a").mkdir()
    Path("a/origin.json").write_text("{}")
    assert plan("workdir = '.'") == 0


def test_a_project_may_lie_in_such_a_folder(project, monkeypatch) -> None:
    folder = project / ".git/project"
    (folder / "psy-tasks").mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert plan("") == 0
