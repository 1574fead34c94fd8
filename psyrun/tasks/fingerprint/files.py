"""The files that a fingerprint is taken of, each of which is looked at once.

What was asked of the file system is remembered. If all the answers are still the same,
then so is all that was worked out from them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from psyrun.utils.files import read_bytes

EXTENSIONS = (".so", ".pyd")
_FILE, _FOLDER, _NOTHING = "file", "folder", "nothing"


class Found(NamedTuple):
    """What a folder has of a module: its files, and whether it has submodules."""

    files: tuple[Path, ...]
    is_package: bool


_NOWHERE = Found((), is_package=False)


class Files:
    """Files as they were when they were first asked for."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._compiled: dict[Path, dict[str, list[Path]]] = {}
        self._below: dict[str, list[str]] = {}
        self._contents: dict[Path, bytes] = {}
        self._found: dict[tuple[Path, str], Found] = {}

    def content(self, file: Path) -> bytes:
        """Return what is in a file; raises `OSError` if it cannot be read."""
        if file not in self._contents:
            content = read_bytes(file)
            self._contents[file] = content
            self._digests[str(file)] = hashlib.sha256(content).hexdigest()
        return self._contents[file]

    def is_file(self, path: Path) -> bool:
        """Return whether there is a file."""
        return self._kind(path) == _FILE

    def module(self, folder: Path, name: str) -> Found:
        """Return what a folder has of a module."""
        key = folder, name
        if key not in self._found:
            self._found[key] = self._look_up(folder, name)
        return self._found[key]

    def _look_up(self, folder: Path, name: str) -> Found:
        package, module = folder / name, folder / f"{name}.py"
        if self._kind(init := package / "__init__.py") == _FILE:
            return Found((init,), is_package=True)
        if compiled := self._compiled_in(folder).get(name):
            return Found(tuple(compiled), is_package=False)
        if self._kind(module) == _FILE:
            return Found((module,), is_package=False)
        is_package = self._kind(package) == _FOLDER
        return Found((), is_package=True) if is_package else _NOWHERE

    def _kind(self, path: Path) -> str:
        text = str(path)
        if text not in self._kinds:
            self._kinds[text] = _kind_of(text)
        return self._kinds[text]

    def _compiled_in(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._compiled:
            found: dict[str, list[Path]] = {}
            for name in _compiled_names(str(folder)):
                found.setdefault(name.split(".")[0], []).append(folder / name)
            self._compiled[folder] = found
        return self._compiled[folder]

    def modules_below(self, folder: Path) -> list[Path]:
        """Return the files of all modules in a folder and below it."""
        text = str(folder)
        if text not in self._below:
            self._below[text] = _modules_below(text)
        return [Path(file) for file in self._below[text]]

    def record(self) -> dict[str, Any]:
        """Return what was asked and answered, as JSON has it."""
        kinds: dict[str, list[str]] = {_FILE: [], _FOLDER: [], _NOTHING: []}
        for path, kind in self._kinds.items():
            kinds[kind].append(path)
        compiled = {
            str(folder): sorted(path.name for paths in found.values() for path in paths)
            for folder, found in self._compiled.items()
        }
        return {
            "kinds": kinds,
            "digests": self._digests,
            "compiled": compiled,
            "below": self._below,
        }


def is_still(record: Mapping[str, Any]) -> bool:
    """Whether the answers of a record of `Files` would be the same now."""
    kinds = record["kinds"].items()
    # What is quickest comes first.
    return (
        all(_kind_of(path) == kind for kind, paths in kinds for path in paths)
        and _are(record["compiled"], _compiled_names)
        and _are(record["below"], _modules_below)
        and _are(record["digests"], _digest)
    )


def _are(answers: Mapping[str, Any], ask: Callable[[str], Any]) -> bool:
    return all(ask(path) == answer for path, answer in answers.items())


def _digest(path: str) -> str | None:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except OSError:
        return None


def _kind_of(path: str) -> str:
    if os.path.isfile(path):  # noqa: PTH113 - thousands are asked for
        return _FILE
    return _FOLDER if os.path.isdir(path) else _NOTHING  # noqa: PTH112


def _compiled_names(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(EXTENSIONS))


def _modules_below(folder: str) -> list[str]:
    suffixes = {".py", *EXTENSIONS}
    found = (path for path in Path(folder).rglob("*") if path.suffix in suffixes)
    return [str(path) for path in sorted(found)]
