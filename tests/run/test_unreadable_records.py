"""Records of Snakemake that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import COUNTED, Project

pytestmark = pytest.mark.slow


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_utf8(path: Path) -> None:
    path.write_bytes(b'{"rule": "\xff\xfe"}')


def a_list(path: Path) -> None:
    path.write_text("[1]")


def other_types(path: Path) -> None:
    path.write_text('{"starttime": [], "params": 3, "input": {"a": 1}}')


def deep(path: Path) -> None:
    path.write_text("[" * 100_000)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nowhere/record")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write(COUNTED)
    project.psy("run")
    assert len(project.calls()) == 4
    return project


def records(project: Project, kind: str = "metadata") -> list[Path]:
    found = sorted((project.folder / ".snakemake" / kind).iterdir())
    assert found or kind != "metadata"
    return found


DAMAGES = [
    empty,
    not_utf8,
    a_list,
    other_types,
    deep,
    a_folder,
    a_pipe,
    a_dangling_link,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_removed(
    project: Project, damage: Callable[[Path], None]
) -> None:
    for path in records(project):
        damage(path)
        if damage is a_folder:
            continue
        copy = project.folder / ".snakemake/incomplete" / path.name
        copy.touch()
        damage(copy)
    for block in project.folder.glob("psy-work/a/round-1/merged-*"):
        block.unlink()
    project.snakemake("--dry-run")
    project.psy("run")
    project.snakemake()
    assert project.calls() == []


@pytest.mark.parametrize("command", ["psy", "snakemake"])
def test_whoever_finds_one_first_makes_what_is_missing(
    project: Project, command: str
) -> None:
    (project.work() / "result.pkl").unlink()
    for path in records(project):
        path.write_bytes(path.read_bytes() + b"\xff")
    if command == "psy":
        project.psy("run")
    else:
        project.snakemake()
    assert project.calls() == []
    assert project.result()["y"] == [1, 4, 9, 16]
