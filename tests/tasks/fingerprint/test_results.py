"""What changes a fingerprint within a task file, and what does not."""

from __future__ import annotations

import pytest
from fingerprints import BASE, cases, of_project, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.errors import TaskError


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


STATEMENTS = [text + "\n" for text in texts("how_to_run").values()]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(STATEMENTS), max_size=6))
def test_any_mixture_of_how_to_run_does_not_count(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("mixed")
    plain = of_project(folder / "p", {"psy-tasks/task_a.py": BASE})
    mixed = {"psy-tasks/task_a.py": BASE + "".join(texts)}
    assert of_project(folder / "p", mixed) == plain
