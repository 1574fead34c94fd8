"""What git knows of a folder never stops a run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from psyrun.utils.git import state_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "notes").write_text("one\n")
    git(tmp_path, "add", "notes")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_told_from_a_changed_one(repository: Path) -> None:
    clean = state_of(repository)
    assert clean is not None
    assert clean["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert clean["is_clean"] is True
    assert clean["diff"] == ""
    (repository / "notes").write_text("two\n")
    changed = state_of(repository)
    assert changed is not None
    assert changed["commit"] == clean["commit"]
    assert changed["is_clean"] is False
    assert "+two" in changed["diff"]


def test_of_a_large_change_the_begin_and_the_digest_are_there(repository: Path) -> None:
    (repository / "notes").write_text("another line\n" * 100_000)
    found = state_of(repository)
    assert found is not None
    whole = git(repository, "diff", "HEAD", "--binary").encode()
    assert found["diff_bytes"] == len(whole) > 10**6
    assert found["diff_sha256"] == hashlib.sha256(whole).hexdigest()
    assert found["diff"].encode() == whole[: 1 << 18]


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    found = state_of(tmp_path)
    assert found is not None
    assert found["commit"] is None
    assert found["is_clean"] is None


def test_outside_of_a_repository_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert state_of(tmp_path) is None


def test_without_git_nothing_is_known(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert state_of(repository) is None


def test_a_git_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text("#!/bin/sh\nexec sleep 1000\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert state_of(tmp_path, seconds=0.2) is None
