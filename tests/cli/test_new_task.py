import sys
from pathlib import Path

import pytest


def test_a_new_task_can_be_tried_as_it_is(psy):
    assert psy("new-task", "sweep").status == 0
    assert psy("test", "sweep").status == 0


def test_the_folder_of_the_tasks_is_made(psy, project):
    Path("psy-tasks").rmdir()
    psy("new-task", "sweep")
    assert Path("psy-tasks/task_sweep.py").is_file()


def test_an_existing_task_is_left_as_it_is(psy, write_task):
    path = write_task("square", "# Mine.\n")
    result = psy("new-task", "square")
    assert result.status == 2
    assert "task_square.py" in result.err
    assert path.read_text() == "# Mine.\n"


@pytest.mark.parametrize("name", ["a/b", "a,b", "a{b}", "a\nb", "a b", ""])
def test_unusable_names_are_refused(psy, project, name):
    result = psy("new-task", name)
    assert result.status == 2
    assert "task name" in result.err
    assert not list(Path("psy-tasks").iterdir())


def test_a_name_that_is_too_close_to_another_is_refused(psy, write_task):
    write_task("my-task")
    assert psy("new-task", "my_task").status == 2
    assert not Path("psy-tasks/task_my_task.py").exists()


@pytest.mark.parametrize("scheduler", ["Slurm", "Sqsub"])
def test_values_for_a_scheduler_are_filled_in(psy, project, scheduler):
    psy("new-task", "sweep", "--scheduler", scheduler)
    text = Path("psy-tasks/task_sweep.py").read_text()
    assert f"scheduler = {scheduler}()\n" in text
    assert "'timelimit'" in text
    assert psy("test", "sweep").status == 0


def test_an_unknown_scheduler_is_refused(psy, project):
    result = psy("new-task", "sweep", "--scheduler", "Slrum")
    assert result.status == 2
    assert "Slurm" in result.err
    assert not list(Path("psy-tasks").iterdir())


OWN = """\
from psyrun.scheduler import ImmediateRun


class Mine(ImmediateRun):
    USER_DEFAULT_ARGS = {"colour": "red"}
"""


@pytest.mark.parametrize("folder", [".", "psy-tasks"])
def test_a_scheduler_of_the_project_is_found(psy, project, folder, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    Path(folder).mkdir(exist_ok=True)
    name = f"own_{len(folder)}"
    Path(folder, f"{name}.py").write_text(OWN)
    result = psy("new-task", "sweep", "--scheduler", f"{name}.Mine")
    assert result.status == 0, result.err
    text = Path("psy-tasks/task_sweep.py").read_text()
    assert f"from {name} import Mine" in text
    assert "{'colour': 'red'}" in text
