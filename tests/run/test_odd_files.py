"""Commands where a file of a task is none, or a record has odd entries."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from projects import Project

from psyrun.cli.main import main
from psyrun.utils.files import unseal

pytestmark = pytest.mark.slow

TASK = """\
from psyrun import Param

pspace = Param(x=range(6))
max_jobs = 2


def execute(x):
    assert x != 1
    return {"y": x}
"""
LIMIT = 20  # seconds; commands that look at files take much less


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Projects whose task has ended with accepted failures, or without a result."""
    found = {}
    for name, options, status in [
        ("merged", ["--accept-failures"], 0),
        ("open", [], 1),
    ]:
        project = Project(tmp_path_factory.mktemp(name) / "project")
        project.write(TASK)
        done = project.start("psyrun.cli", "run", *options)
        done.communicate()
        assert done.returncode in (status, 1)
        found[name] = project.folder
    return found


@pytest.fixture(autouse=True)
def no_command_hangs() -> Iterator[None]:
    def fail(number: int, frame: FrameType | None) -> None:
        raise RuntimeError("the command hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def copy_of(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as each:
        there = os.open(path.parent, os.O_RDONLY)
        try:
            each.bind(f"/proc/self/fd/{there}/{path.name}")
        finally:
            os.close(there)


def dangling(path: Path) -> None:
    path.symlink_to("nothing-there")


def a_loop(path: Path) -> None:
    path.symlink_to(path.name)


COMMANDS = [["status", "-v"], ["failed", "a"], ["status", "a"], ["clean", "a"]]


def files_of(folder: Path) -> list[Path]:
    found = [*folder.glob("psy-work/a/**/*"), *folder.glob("psy-tasks/.psyrun/*.json")]
    names = [path.relative_to(folder) for path in found if path.is_file()]
    assert len(names) > 15
    return sorted(names)


@pytest.mark.parametrize("kind", ["merged", "open"])
@pytest.mark.parametrize("make", [fifo, folder, a_socket, dangling, a_loop])
def test_what_is_no_file_keeps_no_command_waiting(
    templates, tmp_path, monkeypatch, capfd, make, kind
) -> None:
    signal.alarm(3 * LIMIT)
    for name in files_of(templates[kind]):
        # Whoever reads a file does so in the same way, whatever is in its place.
        for command in COMMANDS if make is fifo else COMMANDS[:1]:
            project = copy_of(templates[kind], tmp_path, monkeypatch)
            (project / name).unlink()
            make(project / name)
            check(command, capfd, str(name))


def check(command: list[str], capfd: Any, what: str) -> str:
    status = main(command)
    printed = "".join(capfd.readouterr())
    assert "Traceback" not in printed, (what, command, printed)
    assert "fault of psyrun" not in printed, (what, command, printed)
    assert status in (0, 1, 2), (what, command, printed)
    assert "\x1b" not in printed, (what, command, printed)
    return printed


@pytest.mark.parametrize(
    "name", ["psy-work/a/state.json", "psy-work/a/result.pkl", "psy-tasks/task_a.py"]
)
def test_a_run_tells_of_a_pipe(templates, tmp_path, monkeypatch, name) -> None:
    signal.alarm(3 * LIMIT)
    project = Project(copy_of(templates["open"], tmp_path, monkeypatch))
    (project.folder / name).unlink(missing_ok=True)
    os.mkfifo(project.folder / name)
    done = project.start("psyrun.cli", "run")
    output, errors = done.communicate(timeout=2 * LIMIT)
    assert "Traceback" not in output + errors
    assert done.returncode in (0, 1, 2)


ODD = [
    *(None, [], {}, [[]], {"a": None}, True),
    *("", "x", "a\nb", "\0", "\ud800", "\x1b[2J"),
    *(-1, 1.5, 10**30, float("nan"), float("inf")),
]
RAW = [
    b"",
    b"{",
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
    b"\0" * 9,
    b"9" * 5000,
]


def records_of(folder: Path) -> list[Path]:
    names = [name for name in files_of(folder) if name.suffix == ".json"]
    assert len(names) > 6
    return names


def entries(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else []
    if isinstance(value, list):
        items = list(enumerate(value))[:2]
    for key, each in items:
        yield from entries(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], odd: object) -> Any:
    if not path:
        return odd
    changed = json.loads(json.dumps(value))
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    return changed


@pytest.mark.parametrize("kind", ["merged", "open"])
def test_records_with_odd_entries_are_told_of_in_a_line(
    templates, tmp_path, monkeypatch, capfd, kind
) -> None:
    signal.alarm(6 * LIMIT)
    project = copy_of(templates[kind], tmp_path, monkeypatch)
    for name in records_of(project):
        path = project / name
        before = path.read_bytes()
        # As an earlier version wrote it, whose records have no seal.
        value = unseal(json.loads(before))
        is_of_source = path.name in ("source.json", "version.json")
        if is_of_source or path.parent.name == "versions":
            value = {key: value[key] for key in list(value)[:1]}
        texts = [
            json.dumps(replaced(value, place, odd)).encode()
            for number, place in enumerate(entries(value))
            for odd in ODD[number % 4 :: 4]
        ]
        for number, text in enumerate([*texts, *RAW]):
            path.write_bytes(text)
            check(COMMANDS[number % 2], capfd, f"{name}: {text[:200]!r}")
        path.write_bytes(before)
