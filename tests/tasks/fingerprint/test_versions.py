"""One fingerprint on every Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fingerprints import BASE

from psyrun.tasks.fingerprint import fingerprint

EVERYTHING = (
    BASE
    + """
from dataclasses import dataclass
@dataclass
class A:
    n: int = 3
    async def f(self, *a, b=1, **c):
        async with a as b, c:
            return [await i async for i in a if i]
def g(x, /, y, *, z=(1, 2.5, 1e300, 3j, b'a', ..., None, True)):
    try:
        match x:
            case {'a': 1, **rest} | [1, *others] if rest:
                yield from others
            case A(n=3) as a:
                del a.n
    except* ValueError as error:
        raise KeyError from error
    nonlocal_ = lambda *a: {**a, 'b': {1, 2}, 'c': x[1:2, ::3]}
    return f'a{x!r:>{y}.2f}b' f"{x = }" 'c' f'{{}}' f'{"nested"}'
execute = lambda x: {'y': list(g(x, 1)), 'z': A, 'é': '\\ud800', 'h': 2**99}
"""
)


def python_versions() -> list[str]:
    names = [f"python3.{minor}" for minor in (11, 12, 13, 14)]
    folders = sorted(Path(sys.executable).resolve().parents[3].glob("3.*/bin"))
    found = [
        shutil.which(name, path=str(folder)) for folder in folders for name in names
    ]
    found += [shutil.which(name) for name in names]
    candidates = {str(Path(path).resolve()) for path in found if path}
    return sorted(path for path in candidates if runs(path))


def runs(python: str, at_least: tuple[int, int] = (3, 11)) -> bool:
    # A shim of a version manager may stand for a version that is not there.
    code = f"import sys; sys.exit(sys.version_info < {at_least})"
    command = [python, "-c", code]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


PRINT = """\
import sys; sys.path.insert(0, {source!r})
from pathlib import Path
from psyrun.tasks.fingerprint import fingerprint
print(fingerprint(Path({task!r}), None, [], Path({task!r}).parent))
"""


def printed_by(python: str, task: Path) -> str:
    source = str(Path(__file__).parents[3])
    code = PRINT.format(source=source, task=str(task))
    command = [python, "-I", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("python", python_versions())
def test_fingerprint_is_the_same_on_every_python(tmp_path, python):
    task = tmp_path / "task_a.py"
    task.write_text(EVERYTHING)
    assert printed_by(python, task).strip() == fingerprint(task, None, [], tmp_path)


NEW_SYNTAX = """\
type Numbers[T] = list[T]
def execute[T](x: T) -> Numbers[T]: return f"{x!r:{'>'}}" f"{"a" 'b'}"
"""


def test_newer_syntax_is_the_same_on_every_python_that_has_it(tmp_path):
    task = tmp_path / "task_a.py"
    task.write_text(NEW_SYNTAX)
    newer = [python for python in python_versions() if runs(python, (3, 12))]
    assert len({printed_by(python, task) for python in newer}) <= 1


def test_canonical_form_has_not_changed_by_accident(of):
    # Results computed by earlier versions of psyrun would be outdated.
    assert of(BASE)[:16] == "e385cc314582f5a2"
