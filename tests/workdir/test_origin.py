"""Copies of work folders are known from folders that were moved, or are seen twice."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from psyrun.workdir.copies import separate, settle
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import Lock, live_holder
from psyrun.workdir.origin import Origin, note_taskfile, original_of, other_owner


@pytest.fixture
def layout(tmp_path, monkeypatch) -> TaskLayout:
    """The work folder of a task, in a project that is the current folder."""
    project = tmp_path / "project"
    (project / "psy-tasks").mkdir(parents=True)
    (project / "psy-tasks/task_a.py").touch()
    monkeypatch.chdir(project)
    layout = TaskLayout.of(project / "psy-work", "a")
    settle(layout)
    note_taskfile(layout, Path("psy-tasks/task_a.py"))
    return layout


def copy_of(layout: TaskLayout, to: str) -> TaskLayout:
    there = layout.folder.parents[1].with_name(to)
    shutil.copytree(layout.folder.parents[1], there)
    return TaskLayout.of(there / "psy-work", "a")


def moved(layout: TaskLayout, to: str) -> TaskLayout:
    there = layout.folder.parents[1].with_name(to)
    layout.folder.parents[1].rename(there)
    return TaskLayout.of(there / "psy-work", "a")


def test_a_copy_names_its_original(layout):
    assert original_of(layout) is None
    assert original_of(copy_of(layout, "copy")) == layout


def test_a_copy_of_the_work_folder_alone_is_one_too(layout):
    there = TaskLayout(layout.folder.with_name("b"))
    shutil.copytree(layout.folder, there.folder)
    assert original_of(there) == layout


def test_a_copy_of_a_copy_has_the_copy_as_its_original(layout):
    copy = copy_of(layout, "copy")
    separate(copy)
    again = copy_of(copy, "again")
    assert original_of(again) == copy
    assert original_of(copy) is None


def test_a_folder_that_was_moved_is_no_copy(layout):
    assert original_of(moved(layout, "moved")) is None


def test_what_took_the_place_of_a_folder_that_was_moved_does_not_matter(layout):
    there = moved(layout, "moved")
    settle(layout)
    assert original_of(there) is None
    assert original_of(layout) is None


def test_a_copy_in_the_place_of_its_original_is_not_the_original(layout):
    there = moved(layout, "moved")
    shutil.copytree(there.folder.parents[1], layout.folder.parents[1])
    assert original_of(there) is None


def test_a_copy_whose_original_is_gone_is_none(layout):
    copy = copy_of(layout, "copy")
    shutil.rmtree(layout.folder)
    assert original_of(copy) is None


def test_a_folder_seen_through_a_link_is_no_copy(layout, tmp_path):
    (tmp_path / "link").symlink_to(layout.folder.parents[1])
    assert original_of(TaskLayout(tmp_path / "link/psy-work/a")) is None


def test_a_folder_that_is_mounted_twice_is_no_copy(layout, tmp_path):
    there = tmp_path / "mount"
    there.mkdir()
    mount = ["mount", "--bind", layout.folder.parents[1], there]
    if os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the permission to mount")
    try:
        assert original_of(TaskLayout(there / "psy-work/a")) is None
    finally:
        subprocess.run(["umount", there], check=True)


def test_a_copy_has_no_lock_of_its_original(layout):
    with Lock(layout.lock, "task 'a'"):
        copy = copy_of(layout, "copy")
        assert copy.lock.exists()
        separate(copy)
        assert live_holder(copy.lock) is None
        assert live_holder(layout.lock) is not None


def test_a_lock_that_was_taken_in_a_copy_stays(layout):
    copy = copy_of(layout, "copy")
    with Lock(copy.lock, "task 'a'"):
        separate(copy)
        assert live_holder(copy.lock) is not None
    assert original_of(copy) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"folder": 1}', "\0"])
def test_a_damaged_record_is_none(layout, text):
    layout.origin.write_text(text)
    assert Origin.load(layout) is None
    assert original_of(layout) is None
    settle(layout)
    assert Origin.load(layout) is not None


def test_a_task_file_of_the_same_name_elsewhere_is_another_owner(layout):
    Path("other").mkdir()
    Path("other/task_a.py").touch()
    assert other_owner(layout, Path("psy-tasks/task_a.py")) is None
    owner = other_owner(layout, Path("other/task_a.py"))
    assert owner == Path("psy-tasks/task_a.py").absolute()
    # The folder of the task files was renamed.
    Path("psy-tasks").rename("tasks")
    assert other_owner(layout, Path("tasks/task_a.py")) is None
