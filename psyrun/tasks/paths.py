"""Relative paths: from the project folder, else from the folder of the task file.

The project folder, in which ``psy`` and all jobs run, is what they are relative to.
Jobs of psyrun 0.8 ran in the folder of the task file, so that a path which leads to
something only there is taken from there, and that is said.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LONGEST_PATH = 200  # characters of a text that may be one
_ASKING = {
    *("connect", "exists", "glob", "iglob", "is_dir", "is_file", "isdir", "isfile"),
    *("islink", "lexists", "rglob"),
}
"""Functions that raise no error where there is no such file."""
_WORD = re.compile(r"[^\s'\"`=,;()<>]+")


def resolved(path: Path, taskdir: Path) -> Path:
    """Return a path, from the folder of the task file if it exists only there."""
    return taskdir / path if _is_only_in(taskdir, path) else path


def path_beside(error: BaseException | None, taskdir: Path) -> str | None:
    """Return the path that an error missed, if it exists only beside the task file."""
    while error is not None:
        if isinstance(error, OSError):
            return next((p for p in _paths_of(error) if _is_only_in(taskdir, p)), None)
        for word in _words_of_command(error):
            if (taskdir / word).is_file() and _is_only_in(taskdir, word):
                return word
        error = error.__cause__
    return None


def call(function: Callable[[], T], taskdir: Path, say: Callable[[str], None]) -> T:
    """Call a function, once more beside the task file if it misses what is there."""
    try:
        return function()
    except Exception as error:
        missed = path_beside(error, taskdir)
        if missed is None:
            raise
    say(taken_from(taskdir, missed))
    with chdir(taskdir):
        return function()


def taken_from(taskdir: Path, path: str | Path) -> str:
    """Return the hint that a path was found beside the task file only."""
    there = os.path.relpath(taskdir / path)
    return (
        f"{str(path)!r} is only in the folder of the task file, and is taken from "
        f"there, as in psyrun 0.8. Write {there!r}."
    )


def hints(taskfile: Path, file_dep: Iterable[Path]) -> list[str]:
    """Return hints at files that a task names in its source and in `file_dep`.

    `file_dep` is as the task file has it.
    """
    source = taskfile.read_bytes()
    # Who asks where the file is knows what paths are relative to.
    tree = ast.parse(b"" if b"__file__" in source else source)
    taskdir, asked_for = taskfile.parent, _asked_for(tree)
    files = [Path(text) for text in _constants(tree) if (taskdir / text).is_file()]
    return [
        f"{taskfile}: {hint}"
        for path in dict.fromkeys([*file_dep, *files])
        if (hint := _hint(path, taskdir, asked_for.get(str(path))))
    ]


def _hint(path: Path, taskdir: Path, asked_by: str | None) -> str | None:
    if _is_only_in(taskdir, path):
        hint = taken_from(taskdir, path)
        if asked_by is None:
            return hint
        return f"{hint} {asked_by}() does not find it there, as it did in 0.8."
    there = taskdir / path
    if path.is_absolute() or not there.exists() or path.samefile(there):
        return None
    return (
        f"{str(path)!r} is in the project folder and in that of the task file. Paths "
        f"are relative to the former, so that it is not {str(there)!r}."
    )


def _is_only_in(taskdir: Path, path: str | Path) -> bool:
    """Whether something is there, or a folder to write it to, but not here."""
    if os.path.isabs(path):  # noqa: PTH117
        return False
    there, here = taskdir / path, Path(path)
    if there.exists():
        return not here.exists()
    return (
        there.parent != taskdir and there.parent.is_dir() and not here.parent.exists()
    )


def _paths_of(error: OSError) -> Iterator[str]:
    """Yield what may be the path that an error is about."""
    named = error.filename
    words = [os.fsdecode(named)] if isinstance(named, str | bytes | os.PathLike) else []
    words = words or [word.rstrip(".:") for word in _WORD.findall(str(error))]
    folder = f"{Path.cwd()}{os.sep}"
    yield from (word.removeprefix(folder) for word in words if word)


def _words_of_command(error: BaseException) -> list[str]:
    """Return the words of a program's command line, if an error is about that."""
    command = getattr(error, "cmd", None)
    if type(error).__name__ != "CalledProcessError" or command is None:
        return []
    words = _WORD.findall(command) if isinstance(command, str) else command
    return [os.fsdecode(word) for word in words if word]


def _asked_for(tree: ast.AST) -> dict[str, str]:
    """Return the texts in calls that miss a path without an error, and which calls."""
    return {
        text: name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := _name_of(node.func)) in _ASKING
        for text in _constants(node)
    }


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constants(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in the source that may be paths."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if (
                0 < len(text) <= _LONGEST_PATH and text.isprintable()
            ):
                yield text
