"""Versions of the code and of the space, and of what jobs loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from psyrun.tasks.loaded_code import forget_others, loaded_files
from psyrun.tasks.version import Version, version_of_file
from psyrun.utils.process.code_watch import LoadedCode

TASK = """\
import importlib
from psyrun import Param
pspace = Param(x=[1, 2, 3])
def execute(x):
    return importlib.import_module("lib_" + "a").f(x)
"""
CODE = "def f(x):\n    return x\n"


@dataclass(frozen=True)
class Folder:
    """A project of one task, whose jobs loaded ``lib_a.py``."""

    path: Path

    @property
    def loaded(self) -> Path:
        return self.path / "psy-work/a/loaded"

    @property
    def known(self) -> Path:
        return self.path / "psy-work/a/source.json"

    def version(self) -> Version:
        task = self.path / "psy-tasks/task_a.py"
        return version_of_file(task, None, (), self.known, self.loaded, digests=None)

    def load(self) -> None:
        """Record what a job loads."""
        for each in self.version().new([self.code()]):
            each.save(self.loaded)

    def code(self) -> LoadedCode:
        file = self.path / "lib_a.py"
        return LoadedCode(str(file), is_module=True, content=file.read_bytes())

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.path / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new))

    def edit_space(self) -> None:
        self.edit("psy-tasks/task_a.py", "3]", "3, 4]")

    def edit_execute(self) -> None:
        self.edit("psy-tasks/task_a.py", '"a"', '"a" + ""')

    def edit_loaded(self) -> None:
        self.edit("lib_a.py", "return x", "return -x")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "psy-tasks").mkdir()
    (tmp_path / "psy-tasks/task_a.py").write_text(TASK)
    (tmp_path / "lib_a.py").write_text(CODE)
    found = Folder(tmp_path)
    found.load()
    return found


def texts(version: Version) -> tuple[str, str]:
    return version.code_text, version.space_text


def test_an_edited_space_is_the_same_code(folder):
    before = texts(folder.version())
    folder.edit_space()
    code, space = texts(folder.version())
    assert code == before[0]
    assert space != before[1]


def test_edited_code_has_the_same_space(folder):
    before = texts(folder.version())
    folder.edit_execute()
    code, space = texts(folder.version())
    assert code != before[0]
    assert space == before[1]


def test_what_jobs_loaded_counts_for_both(folder):
    before = texts(folder.version())
    folder.edit_loaded()
    version = folder.version()
    assert version.changed == ("lib_a.py",)
    assert not {*before} & {*texts(version)}


def test_what_jobs_loaded_is_known_after_the_space_was_edited(folder):
    folder.edit_space()
    before = texts(folder.version())
    folder.load()
    assert len(list(folder.loaded.iterdir())) == 1
    folder.edit_loaded()
    assert folder.version().changed == ("lib_a.py",)
    assert folder.version().code_text != before[0]


def of_earlier_psyrun(folder: Folder) -> None:
    """Let the records be those of a psyrun that took code and space together."""
    source = folder.version().source
    for path in folder.loaded.iterdir():
        path.unlink()
    for each in folder.version().new([folder.code()]):
        replace(each, source=source.fingerprint).save(folder.loaded)


def test_records_of_earlier_versions_of_psyrun_count(folder):
    before = texts(folder.version())
    of_earlier_psyrun(folder)
    assert texts(folder.version()) == before
    folder.edit_loaded()
    assert folder.version().changed == ("lib_a.py",)
    assert not {*before} & {*texts(folder.version())}


def test_records_of_earlier_versions_of_psyrun_are_taken_over(folder):
    of_earlier_psyrun(folder)
    folder.version().remember(folder.known)
    folder.edit_space()
    code = folder.version().source.code
    assert [file.file for file in loaded_files(folder.loaded, {code})] == ["lib_a.py"]
    forget_others(folder.loaded, code)
    assert len(list(folder.loaded.iterdir())) == 1


def test_earlier_names_are_of_exactly_this_code_and_space(folder):
    version = folder.version()
    names = version.aliases
    assert version.is_one_of(names[:1], is_former=True)
    assert not version.is_one_of(names[:1])
    assert version.code_text not in names
    assert version.space_text not in names
    for edit in (folder.edit_space, folder.edit_loaded):
        edit()
        assert not {*names} & {*folder.version().aliases}
        names += folder.version().aliases
    assert all(len(name) == 2 * hashlib.sha256().digest_size for name in names)


def test_earlier_names_are_looked_for_when_they_are_asked_for(folder):
    folder.version().remember(folder.known)
    version = folder.version()
    assert "former" not in folder.known.read_text()
    assert version.aliases
    version.remember(folder.known)
    assert "former" in folder.known.read_text()
