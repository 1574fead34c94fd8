"""Which files of a folder count, and which do not."""

import os
import socket
from pathlib import Path

import pytest
from projects import COUNTED, Project

from psyrun.errors import TaskError
from psyrun.tasks.fingerprint.contents import content_digests


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "project/data"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    return folder


def digests(data: Path, name: str = "data") -> dict[str, str]:
    return dict(content_digests([name], data.parent, Path("task_a.py")))


def test_files_are_found_where_links_lead(data: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch/deep"
    scratch.mkdir(parents=True)
    (scratch / "x.txt").write_text("x")
    (tmp_path / "one.txt").write_text("one")
    (data / "set").symlink_to(scratch.parent)
    (data / "again").symlink_to(scratch)
    (data / "one.txt").symlink_to(tmp_path / "one.txt")
    before = digests(data)
    names = {"a.txt", "one.txt", "set/deep/x.txt", "again/x.txt"}
    assert before.keys() == {f"data/{name}" for name in names}
    (scratch / "x.txt").write_text("y")
    after = digests(data)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"data/set/deep/x.txt", "data/again/x.txt"}
    (scratch / "new.txt").touch()
    assert "data/set/deep/new.txt" in digests(data)


@pytest.mark.parametrize("target", [".", "..", "sub", "../..", "/"])
def test_links_in_a_circle_are_followed_once(data: Path, target: str) -> None:
    (data / "sub").mkdir()
    (data / "sub/b.txt").write_text("b")
    (data / "sub/link").symlink_to(target if target != "sub" else data / "sub")
    assert digests(data).keys() == {"data/a.txt", "data/sub/b.txt"}


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_to_nothing_is_named(data: Path, target: str) -> None:
    (data / "link").symlink_to(target)
    with pytest.raises(TaskError, match="file_dep has 'data/link', which cannot be"):
        digests(data)


def test_what_has_no_content_is_left_out(data: Path, monkeypatch) -> None:
    os.mkfifo(data / "pipe")
    monkeypatch.chdir(data)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        (data / "zero").symlink_to("/dev/zero")
        assert digests(data).keys() == {"data/a.txt"}
        with pytest.raises(TaskError, match="it is neither a file nor a folder"):
            digests(data, "data/socket")
    for name in ("data/pipe", "data/zero"):
        with pytest.raises(TaskError, match="it is neither a file nor a folder"):
            digests(data, name)


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/a.cpython-311.pyc",
        "old.pyc",
        "sub/.ipynb_checkpoints/a-checkpoint.ipynb",
        ".DS_Store",
        "a.txt~",
        ".a.txt.swp",
        ".nfs000001",
        ".fuse_hidden0001",
        ".mypy_cache/3.11/a.json",
        ".pytest_cache/v",
        ".hg/store",
        ".vscode/settings.json",
        "._a.txt",
        "#a.txt#",
        ".~lock.a.txt#",
        "~$a.xlsx",
        ".Trash-1000/files/a.txt",
    ],
)
def test_what_programs_leave_does_not_count(data: Path, name: str) -> None:
    before = digests(data)
    (data / name).parent.mkdir(parents=True, exist_ok=True)
    (data / name).write_text("left")
    assert digests(data) == before
    # Unless it is asked for.
    assert f"data/{name}" in digests(data, f"data/{name}")


def test_locks_of_editors_do_not_count(data: Path) -> None:
    (data / ".#a.txt").symlink_to("me@host.1234")
    assert digests(data).keys() == {"data/a.txt"}


def test_hidden_files_count(data: Path) -> None:
    (data / ".hidden").write_text("h")
    assert "data/.hidden" in digests(data)


def test_what_a_run_makes_does_not_count(data: Path, tmp_path: Path) -> None:
    before = digests(data)
    work = tmp_path / "project/work"
    (work / "a").mkdir(parents=True)
    (work / "a/run.log").touch()
    (data / "all").symlink_to(work)
    (data / "latest").symlink_to(work / "a")
    (data / "results").mkdir()
    (data / "results/result.pkl").touch()
    (data / "again.pkl").symlink_to("results/result.pkl")
    made = [work, Path("data/results/result.pkl")]
    where = Path("task_a.py")
    assert dict(content_digests(["data"], data.parent, where, None, made)) == before
    # Others in the same folder do, and what is asked for.
    (data / "results/other.pkl").touch()
    for name, files in {
        "data": {"data/a.txt", "data/results/other.pkl"},
        "work/a": {"work/a/run.log"},
        "data/results/result.pkl": {"data/results/result.pkl"},
    }.items():
        found = dict(content_digests([name], data.parent, where, None, made))
        assert found.keys() == files


def test_a_run_does_not_outdate_itself(tmp_path: Path) -> None:
    project = Project(tmp_path)
    data = project.folder / "data"
    data.mkdir()
    (data / "a").write_text("1")
    (data / "latest").symlink_to("../psy-work/a")
    files = 'file_dep = ["data"]\nresultfile = "data/result.pkl"\n'
    project.write(files + COUNTED)
    project.psy("run")
    assert project.calls() == [1, 2, 3, 4]
    assert " done " in project.psy("status").stdout
    project.psy("run")
    assert project.calls() == []
    (data / "a").write_text("2")
    assert " outdated " in project.psy("status").stdout


def test_a_link_to_itself_is_named_by_a_run(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (project.folder / "loop").symlink_to("loop")
    project.write('file_dep = ["loop"]\n' + COUNTED)
    assert "file_dep has 'loop'" in project.psy("run", status=2).stderr
