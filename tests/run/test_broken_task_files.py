"""Task files that cannot be loaded beside others that can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from projects import COUNTED, Project

BROKEN = {
    "empty": (b"", "pspace is not set"),
    "syntax": (b"def f(:", "invalid syntax"),
    "exits": (b"import sys; sys.exit(3)", "raised SystemExit: 3"),
    "interrupts": (b"raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "raises": (b"raise BaseException('no')", "raised BaseException: no"),
    "generates": (b"raise GeneratorExit", "raised GeneratorExit"),
    "lacks": (b"import not_there", "No module named 'not_there'"),
    "latin": (b"x = '\xff'", "can't decode byte 0xff"),
    "bytes": (b"\x00\x01", "null bytes"),
    "misspells": (b"from psyrun import Param\npspcae = Param(x=[1])", "pspcae"),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write(COUNTED, "a")
    return project


def break_all(project: Project) -> dict[str, str]:
    """Write all kinds of broken files, and return what is said of each."""
    for name, (data, _) in BROKEN.items():
        project.taskfile(name).write_bytes(data)
    project.taskfile("not a name").touch()
    project.taskfile("dangling").symlink_to("nowhere.py")
    project.taskfile("folder").mkdir()
    said = {f"task_{name}.py": text for name, (_, text) in BROKEN.items()}
    return said | {"task_not a name.py": "allowed", "task_dangling.py": "nowhere.py"}


def check_said(lines: list[str], said: dict[str, str]) -> None:
    """Check that each file has one line, which says what is wrong."""
    for file, text in said.items():
        (line,) = (line for line in lines if file in line and text in line)
        assert line.startswith("psy: "), line
    assert len(lines) == len(said)


@pytest.mark.slow
def test_the_other_tasks_run(project: Project) -> None:
    said = break_all(project)
    done = project.psy("run", status=2)
    check_said(done.stderr.splitlines(), said)
    last = done.stdout.splitlines()[-1]
    assert last.startswith("not run")
    assert all(file in last for file in said)
    assert project.calls() == [1, 2, 3, 4]
    check_said(project.psy("run", status=2).stderr.splitlines(), said)
    assert project.calls() == []


@pytest.mark.slow
def test_those_that_are_named_run(project: Project) -> None:
    break_all(project)
    project.taskfile("not a name").unlink()
    project.taskfile("dangling").unlink()
    done = project.psy("run", "empty", "a", status=2)
    (first,), last = done.stderr.splitlines(), done.stdout.splitlines()[-1]
    assert "task_empty.py: pspace is not set" in first
    assert last.endswith("psy-tasks/task_empty.py")
    assert project.calls() == [1, 2, 3, 4]


@pytest.mark.slow
def test_tasks_that_write_one_result_leave_the_others_alone(project: Project) -> None:
    for name in ("b", "c"):
        project.write(f"{COUNTED}resultfile = 'out.pkl'\n", name)
    done = project.psy("run", status=2)
    (first,), last = done.stderr.splitlines(), done.stdout.splitlines()[-1]
    assert "both write the resultfile 'out.pkl'" in first
    assert "task_b.py" in last and "task_c.py" in last
    assert project.calls() == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_result_that_cannot_be_written_leaves_the_others_alone(
    project: Project,
) -> None:
    (project.folder / "file").touch()
    project.write(f"{COUNTED}resultfile = 'file/out.pkl'\n", "b")
    done = project.psy("run", status=2)
    (first,), last = done.stderr.splitlines(), done.stdout.splitlines()[-1]
    assert "'file' is not a folder" in first
    assert last.endswith("psy-tasks/task_b.py")
    assert project.calls() == [1, 2, 3, 4]


def test_what_is_wrong_with_the_configuration_is_said_once(project: Project) -> None:
    project.write(COUNTED, "b")
    (project.folder / "psy-tasks/psy-conf.py").write_text("1 / 0")
    (line,) = project.psy("run", status=2).stderr.splitlines()
    assert "psy-conf.py:1: raised ZeroDivisionError" in line


@pytest.mark.skipif(os.getuid() == 0, reason="root reads all files")
def test_a_file_that_may_not_be_read(project: Project) -> None:
    project.write(COUNTED, "b")
    project.taskfile("b").chmod(0)
    (first,) = project.psy("run", status=2).stderr.splitlines()
    assert "task_b.py: cannot be read: Permission denied" in first
    assert project.calls() == [1, 2, 3, 4]


def test_other_commands_go_through_all_tasks(project: Project) -> None:
    said = break_all(project)
    tested = project.psy("test", status=2)
    assert "a: assignment 0 of 0 to 3" in tested.stdout
    check_said(tested.stderr.splitlines(), said)
    names = {"a", *BROKEN}
    assert {*project.psy("list").stdout.split()} == names
    status = project.psy("status").stdout.splitlines()[1:]
    assert {line.split()[0] for line in status} == names
    cleaned = project.psy("clean", "--all").stdout.splitlines()
    assert {line.partition(":")[0] for line in cleaned} == names


def test_doctor_looks_at_all_files_without_running_them(project: Project) -> None:
    break_all(project)
    (project.folder / "psy-tasks/psy-conf.py").write_text("1 / 0")
    found = project.psy("doctor", status=2)
    assert "psy-conf.py:1: raised ZeroDivisionError" in found.stderr
    problems = [li for li in found.stdout.splitlines() if li.startswith("problem")]
    for file in ("syntax", "latin", "bytes", "not a name", "dangling"):
        assert sum(f"task_{file}.py" in line for line in problems) == 1
