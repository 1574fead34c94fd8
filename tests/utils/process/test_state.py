"""What a task file changes of its process does not stop psyrun."""

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from projects import Project

from psyrun.utils.process.state import as_left, guarded

TASK = """\
import io
import os
import signal
import sys
import warnings
from psyrun import Param

{change}
pspace = Param(x=[1, 2])
max_jobs = 1


def execute(x):
    {check}
    return {{"y": x}}
"""
CHANGES = {
    "folder": ("os.chdir('other')", "assert os.getcwd().endswith('other')"),
    "own folder": (
        "os.chdir(os.path.dirname(__file__))",
        "assert os.path.exists('task_a.py')",
    ),
    "folder that is gone": ("os.mkdir('x'); os.chdir('x'); os.rmdir('../x')", "pass"),
    "streams": (
        "sys.stdout = sys.stderr = io.StringIO()",
        "assert isinstance(sys.stdout, io.StringIO)",
    ),
    "wrapped stream": (
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8')",
        "print(x)",
    ),
    "warnings": ("warnings.simplefilter('error')", "pass"),
    "umask": ("os.umask(0o777)", "pass"),
    "arguments": ("sys.argv = []; sys.path.clear()", "pass"),
    "hooks": ("sys.excepthook = None", "pass"),
    "recursion": ("sys.setrecursionlimit(80)", "pass"),
    "children": ("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", "pass"),
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "other").mkdir()
    return Project(tmp_path)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_task_runs_whatever_its_import_changes(project: Project, kind: str) -> None:
    change, check = CHANGES[kind]
    project.write(TASK.format(change=change, check=check))
    project.psy("run")
    assert project.result()["y"] == [1, 2]
    assert not [p for p in project.work().rglob("*") if not p.stat().st_mode & 0o400]
    # A change of the space, for which the folders of before are read.
    project.edit("[1, 2]", "[1, 2, 3]")
    project.psy("run", "--continue")
    assert project.result()["y"] == [1, 2, 3]


def test_psy_test_evaluates_where_the_file_has_gone(project: Project) -> None:
    project.write(TASK.format(change=CHANGES["folder"][0], check=CHANGES["folder"][1]))
    assert "y = 1" in project.psy("test", "a").stdout


def test_rows_can_be_loaded_without_leaving_the_folder(project: Project) -> None:
    change = "os.chdir('other')\nclass Own:\n    pass"
    text = TASK.format(change=change, check="pass").replace('"y": x', '"y": Own()')
    project.write(text)
    project.psy("run")
    code = (
        "import os, psyrun; before = os.getcwd(); "
        "assert len(psyrun.load('a', partial=True)['y']) == 2; "
        "assert os.getcwd() == before"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=project.folder, check=True, timeout=60)


def test_things_are_put_back_and_taken_again(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    handler, filters = signal.getsignal(signal.SIGCHLD), list(warnings.filters)
    with guarded("task_of_test"):
        os.chdir(other)
        warnings.simplefilter("error")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    assert Path.cwd() == tmp_path
    assert list(warnings.filters) == filters
    assert signal.getsignal(signal.SIGCHLD) is handler
    with as_left("task_of_test"):
        assert Path.cwd() == other
        assert warnings.filters[0][0] == "error"
    assert Path.cwd() == tmp_path
    assert list(warnings.filters) == filters


def test_things_are_put_back_after_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no"), guarded("task_of_test"):
        os.chdir("/")
        raise ValueError("no")
    assert Path.cwd() == tmp_path


def test_filters_that_ignore_stay(tmp_path) -> None:
    with warnings.catch_warnings():
        with guarded("task_of_test"):
            warnings.filterwarnings("ignore", "of the test")
        assert warnings.filters[0][0] == "ignore"
