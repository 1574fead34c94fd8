"""Folders of task files."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun.errors import TaskError
from psyrun.tasks.discovery import (
    check_name,
    find_tasks,
    select,
    task_name,
    task_path,
)

TASKDIR = Path("psy-tasks")


def touch(*names: str) -> None:
    for name in names:
        (TASKDIR / name).write_text("raise SystemError('must not run')")


def test_tasks_are_sorted_and_not_run(project):
    touch(
        "task_b.py", "task_a.py", "task_a-2.py", "other.py", "psy-conf.py", "task_c.txt"
    )
    assert list(find_tasks(TASKDIR)) == ["a", "a-2", "b"]
    assert find_tasks(TASKDIR)["b"] == TASKDIR / "task_b.py"


def test_folders_are_no_tasks(project):
    (TASKDIR / "task_a.py").mkdir()
    assert find_tasks(TASKDIR) == {}


def test_a_missing_folder_says_what_to_do(project):
    with pytest.raises(TaskError, match=r"^nowhere: there is no such folder.*new-task"):
        find_tasks(Path("nowhere"))


@pytest.mark.parametrize("other", ["A.b", "a-b", "a_B"])
def test_two_tasks_with_one_name_are_named(project, other):
    touch("task_a.b.py", f"task_{other}.py")
    with pytest.raises(TaskError, match=r"two tasks with one name") as caught:
        find_tasks(TASKDIR)
    assert "task_a.b.py" in str(caught.value)
    assert f"task_{other}.py" in str(caught.value)


@pytest.mark.parametrize("name", ["a", "A1", "2d", "_a", "a-b_c.d", "x" * 100])
def test_safe_names_are_taken(name):
    check_name(name)
    assert task_name(task_path(TASKDIR, name)) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "a,b",
        "a{b}",
        "a\nb",
        "a\n",
        "a b",
        "..",
        ".a",
        "-a",
        "ä",
        "a:b",
        "a\\b",
    ],
)
def test_other_names_are_refused_on_one_line(name):
    with pytest.raises(TaskError, match=r"only letters .* are allowed") as caught:
        task_path(TASKDIR, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a,b", "a{b", "a\nb", "a b", ""])
def test_a_file_with_an_unsafe_name_is_named(project, name):
    touch(f"task_{name}.py")
    with pytest.raises(TaskError, match=r"^'psy-tasks/task_.*Choose another") as caught:
        find_tasks(TASKDIR, all_are_meant=True)
    assert "\n" not in str(caught.value)


def test_a_file_with_an_unsafe_name_is_an_error_only_where_it_is_meant(project):
    touch("task_a.py", "task_a (copy).py")
    with pytest.warns(UserWarning, match=r"task_a \(copy\).py.* is left out"):
        assert list(find_tasks(TASKDIR)) == ["a"]
    with pytest.warns(UserWarning, match="is left out"):
        assert list(select(TASKDIR, ["a"])) == ["a"]
    with (
        pytest.warns(UserWarning, match="is left out"),
        pytest.raises(TaskError, match=r"task_a \(copy\).py.*only letters"),
    ):
        select(TASKDIR, ["a (copy)"])


@pytest.mark.parametrize("name", ["task_b", "psy-tasks/task_b.py", "b.py"])
def test_the_name_of_a_file_hints_at_its_task(project, name):
    touch("task_b.py", "task_task_c.py")
    with pytest.raises(TaskError, match=r"Did you mean 'b'\?"):
        select(TASKDIR, [name])


def test_all_tasks_are_selected_by_default(project):
    touch("task_b.py", "task_a.py")
    assert list(select(TASKDIR, [])) == ["a", "b"]


def test_tasks_are_selected_in_the_order_asked_for(project):
    touch("task_c.py", "task_b.py", "task_a.py")
    assert list(select(TASKDIR, ["b", "a", "b"])) == ["b", "a"]


def test_an_unknown_task_names_the_close_ones(project):
    touch("task_square.py", "task_squares.py", "task_other.py")
    with pytest.raises(TaskError) as caught:
        select(TASKDIR, ["sqare"])
    assert str(caught.value) == (
        "psy-tasks: there is no task 'sqare'. Did you mean 'square' or 'squares'? "
        "See all tasks with 'psy list'."
    )


def test_an_unknown_task_with_no_close_one_is_named(project):
    touch("task_square.py")
    with pytest.raises(TaskError, match=r"there is no task 'zzz'. See all tasks"):
        select(TASKDIR, ["zzz"])


def test_a_file_that_is_no_task_file_is_refused():
    with pytest.raises(TaskError, match=r"^x.py: this is not the name of a task file"):
        task_name(Path("x.py"))
