"""What changes a fingerprint, and what does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.errors import TaskError
from psyrun.fingerprint import fingerprint

BASE = """\
import numpy as np
from psyrun import Param
pspace = Param(x=np.arange(3)) * Param(trial=[0, 1])
def execute(x, trial):
    return {'y': x * trial}
"""

CASES = Path(__file__).with_name("fingerprint_cases")

Fingerprint = Callable[..., str]


def texts(name: str) -> dict[str, str]:
    """Return the cases of a file by title."""
    parts = (CASES / f"{name}.txt").read_text().split("\n### ")[1:]
    return {title: text.rstrip() for title, text in (p.split("\n", 1) for p in parts)}


def cases(name: str) -> pytest.MarkDecorator:
    found = texts(name)
    return pytest.mark.parametrize("case", found.values(), ids=found.keys())


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def of_project(folder: Path, files: dict[str, str], file_dep=(), digests=None) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, files)
    conf = folder / "psy-tasks/psy-conf.py"
    task = folder / "psy-tasks/task_a.py"
    return fingerprint(task, conf if conf.exists() else None, file_dep, folder, digests)


@pytest.fixture
def of(tmp_path) -> Fingerprint:
    """Return the fingerprint of a task file, with more files beside it."""

    def fingerprint_of(task: str, **files: str) -> str:
        return of_project(tmp_path / "p", {"psy-tasks/task_a.py": task, **files})

    return fingerprint_of


@cases("how_to_run")
def test_how_a_task_is_run_does_not_count(of, case):
    other = {"psy-tasks/cluster.py": "scheduler = workdir = 1"}
    assert of(BASE + case, **other) == of(BASE)


@cases("how_to_run")
def test_how_all_tasks_are_run_does_not_count(of, case):
    case = case.replace("pspace", "''")
    assert of(BASE, **{"psy-tasks/psy-conf.py": case}) == of(BASE)


@cases("effects")
def test_what_may_change_results_counts(of, case):
    assert of(BASE + case) != of(BASE)


@cases("effects")
def test_what_may_change_results_of_all_tasks_counts(of, case):
    conf = "psy-tasks/psy-conf.py"
    plain = "pspace = [1]\n"
    assert of(BASE, **{conf: plain + case}) != of(BASE, **{conf: plain})


REWRITTEN = {
    "comments": ("    return", "    # why\n    return"),
    "blank lines": ("def execute", "\n\n\ndef execute"),
    "quotes": ("'y'", '"y"'),
    "parentheses": ("return {'y': 1}", "return ({'y': (1)})"),
    "broken lines": ("{'y': 1}", "{\n        'y': 1,\n    }"),
    "docstring": ("    return", "    '''Text.'''\n    return"),
    "module docstring": ("import numpy", "'''Text.'''\nimport numpy"),
    "pass": ("    return", "    pass\n    return"),
    "semicolons": ("import numpy as np\n", "import numpy as np;"),
    "hexadecimal number": ("1", "0x1"),
    "joined texts": ("'y'", "'' 'y'"),
    "raw text": ("'y'", "r'y'"),
    "unicode prefix": ("'y'", "u'y'"),
    "order of imports": (
        "import numpy as np\nfrom psyrun import Param",
        "from psyrun import Param\nimport numpy as np",
    ),
    "more imported": ("import Param", "import Slurm, Param"),
    "less indentation": ("    return", "  return"),
}


@pytest.mark.parametrize(("old", "new"), REWRITTEN.values(), ids=REWRITTEN)
def test_formatting_does_not_count(of, old, new):
    base = BASE.replace("x * trial", "1")
    assert old in base
    assert of(base.replace(old, new)) == of(base)


@cases("seen")
def test_what_execute_can_see_counts(of, case):
    one, other = alternatives(case)
    assert of(one) != of(other)


@cases("hidden")
def test_what_execute_cannot_see_does_not_count(of, case):
    one, other = alternatives(case)
    assert of(one) == of(other)


def alternatives(case: str) -> tuple[str, str]:
    text, words = case.split("@: ")
    one, other = words.split(" => ")
    return text.replace("@", one, 1), text.replace("@", other, 1)


def test_order_of_imports_counts_where_the_last_one_wins(of):
    imports = ["from math import sin\n", "from numpy import sin\n"]
    use = "def execute(x): return sin(x)\n"
    assert of("".join(imports) + use) != of("".join(reversed(imports)) + use)


def test_huge_numbers_count(of):
    assert of(f"pspace = 0x1{'0' * 5000}") != of(f"pspace = 0x2{'0' * 5000}")


@cases("modules_counted")
def test_own_modules_count(of, case):
    assert differs_with_module(of, case)


@cases("modules_not_counted")
def test_other_modules_do_not_count(of, case):
    assert not differs_with_module(of, case)


def differs_with_module(of, case) -> bool:
    text, name = case.split("@: ")
    task = f"{text}def execute(x): return help, f, pack, importlib, sys\n"
    return of(task, **{name: "f = 1"}) != of(task, **{name: "f = 2"})


CHAIN = {
    "module of a module": {"help.py": "import deep", "deep.py": "n = @"},
    "circle": {"help.py": "import deep", "deep.py": "import help\nn = @"},
    "relative": {"help/__init__.py": "from . import deep", "help/deep.py": "n = @"},
    "relative name": {
        "help/__init__.py": "from .deep import n",
        "help/deep.py": "n = @",
    },
    "relative, two levels": {
        "help/__init__.py": "from .sub import deep",
        "help/sub/__init__.py": "from ..other import n",
        "help/other.py": "n = @",
    },
    "by a name made up": {
        "help/__init__.py": "import importlib\nimportlib.import_module(name)",
        "help/a.py": "n = @",
    },
    "by a relative name": {
        "help/__init__.py": "from importlib import import_module\n"
        "import_module('.deep', __package__)",
        "help/deep.py": "n = @",
    },
    "folder that a module adds": {
        "help.py": "import sys\nsys.path.append('lib')\nimport deep",
        "lib/deep.py": "n = @",
    },
    "module with a syntax error": {"help.py": "f f @"},
    "two versions of an extension": {"help.abi1.so": "a", "help.abi2.so": "@"},
}


@pytest.mark.parametrize("files", CHAIN.values(), ids=CHAIN)
def test_modules_count_as_far_as_they_import(of, files):
    task = "import help\ndef execute(x): return help.f(x)\n"
    one, other = (
        of(task, **{name: text.replace("@", value) for name, text in files.items()})
        for value in "12"
    )
    assert one != other


def test_formatting_of_own_modules_does_not_count(of):
    task = "import help\ndef execute(x): return help.f(x)\n"
    plain = of(task, **{"help.py": "n=1"})
    main = "if __name__ == '__main__':\n    print(n)"
    assert of(task, **{"help.py": f"'''Text.'''\n# why\nn = 1\n{main}\n"}) == plain


def test_own_module_for_the_scheduler_only_does_not_count(of):
    task = BASE + "from cluster import Mine\nscheduler = Mine()\n"
    assert of(task, **{"cluster.py": "a = 1"}) == of(task, **{"cluster.py": "a = 2"})


def test_own_module_imported_for_its_effect_counts(of):
    task = BASE + "import effect\n"
    assert of(task, **{"effect.py": "a = 1"}) != of(task, **{"effect.py": "a = 2"})


def test_place_of_the_project_does_not_count(tmp_path):
    files = {
        "psy-tasks/task_a.py": "import help\n" + BASE,
        "help.py": "n = 1",
        "data.csv": "1",
    }
    here = of_project(tmp_path / "here", files, ["data.csv"])
    there = of_project(tmp_path / "else/where", files, ["data.csv"])
    assert here == there


def test_content_of_dependencies_counts(tmp_path):
    base = {"psy-tasks/task_a.py": BASE}
    one = of_project(tmp_path / "p", {**base, "d.csv": "1"}, ["d.csv"])
    assert one != of_project(tmp_path / "p", {**base, "d.csv": "2"}, ["d.csv"])
    assert one != of_project(tmp_path / "p", {**base, "e.csv": "1"}, ["e.csv"])
    absolute = [tmp_path / "p/d.csv"]
    assert one == of_project(tmp_path / "p", {**base, "d.csv": "1"}, absolute)


def test_order_of_dependencies_does_not_count(tmp_path):
    files = {"psy-tasks/task_a.py": BASE, "d.csv": "1", "e.csv": "2"}
    one = of_project(tmp_path / "p", files, ["d.csv", "e.csv"])
    assert one == of_project(tmp_path / "p", files, ["e.csv", "d.csv"])


def test_all_files_of_a_folder_count(tmp_path):
    base = {"psy-tasks/task_a.py": BASE, "data/a": "1"}
    one = of_project(tmp_path / "p", base, ["data"])
    more = of_project(tmp_path / "p", {**base, "data/deep/b": "1"}, ["data"])
    renamed = {"psy-tasks/task_a.py": BASE, "data/b": "1"}
    assert len({one, more, of_project(tmp_path / "p", renamed, ["data"])}) == 3


def test_missing_dependency_is_named(tmp_path):
    with pytest.raises(TaskError, match=r"file_dep has 'd.csv', .*: No such"):
        of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, ["d.csv"])


def large_file(folder: Path, age: float) -> Path:
    path = folder / "large"
    path.write_bytes(bytes(2**20))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_digests_of_large_files_are_remembered(tmp_path):
    path, digests = large_file(tmp_path, age=60), {}
    one = of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, [path], digests)
    task, known = tmp_path / "p/psy-tasks/task_a.py", dict.fromkeys(digests, "0")
    assert fingerprint(task, None, [path], tmp_path / "p", digests) == one
    assert fingerprint(task, None, [path], tmp_path / "p", known) != one


def test_digests_of_files_just_written_are_not_trusted(tmp_path):
    path, digests = large_file(tmp_path, age=0), {}
    of_project(tmp_path / "p", {"psy-tasks/task_a.py": BASE}, [path], digests)
    assert digests == {}


def test_syntax_error_names_file_and_line(of):
    with pytest.raises(TaskError, match=r"task_a.py:2: .*Correct the syntax"):
        of("x = 1\ndef f(:\n")


def test_nothing_of_the_user_runs(of, capsys):
    of("print('run')\nimport help\nraise SystemExit", **{"help.py": "print('run')"})
    assert capsys.readouterr().out == ""


def test_odd_escapes_cause_no_warning(of):
    assert of(r"pspace = '\d'") != of(r"pspace = '\e'")


def test_long_sums_are_no_problem(of):
    numbers = " + ".join(["1"] * 900)
    assert of(f"pspace = {numbers}") != of(f"pspace = {numbers} + 2")


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
    folders = sorted(Path(sys.executable).resolve().parents[2].glob("3.*/bin"))
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
from psyrun.fingerprint import fingerprint
print(fingerprint(Path({task!r}), None, [], Path({task!r}).parent))
"""


def printed_by(python: str, task: Path) -> str:
    source = str(Path(__file__).parents[1])
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


STATEMENTS = [text + "\n" for text in texts("how_to_run").values()]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(STATEMENTS), max_size=6))
def test_any_mixture_of_how_to_run_does_not_count(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("mixed")
    plain = of_project(folder / "p", {"psy-tasks/task_a.py": BASE})
    mixed = {"psy-tasks/task_a.py": BASE + "".join(texts)}
    assert of_project(folder / "p", mixed) == plain
