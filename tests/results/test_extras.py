"""Optional libraries are imported when they are asked for, and named if missing."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from psyrun.errors import PsyrunError
from psyrun.results.extras import FORMS, check_form, library_for

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("form", FORMS)
def test_a_library_that_is_not_installed_is_named_with_its_extra(form, monkeypatch):
    monkeypatch.setitem(sys.modules, FORMS[form], None)
    said = f"needs {FORMS[form]}. Install it with \"pip install 'psyrun\\[{form}\\]'\""
    with pytest.raises(PsyrunError, match=said) as caught:
        library_for(form)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_there_is_an_extra_for_each_form(form):
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extra = project["optional-dependencies"][form]
    assert [each.partition(">")[0] for each in extra] == [FORMS[form]]
    assert library_for(form).__name__ == FORMS[form]


def test_a_library_that_is_broken_is_said(tmp_path, monkeypatch):
    (tmp_path / "polars.py").write_text("raise ImportError('no\\nsuch symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "polars", raising=False)
    with pytest.raises(PsyrunError, match=r"cannot be imported .*no such symbol") as e:
        library_for("polars")
    assert "\n" not in str(e.value)


def test_an_unknown_form_is_told_with_a_close_one():
    with pytest.raises(PsyrunError, match=r"as_='panda': .* Did you mean 'pandas'"):
        check_form("panda")


def test_results_are_loaded_without_them(tmp_path):
    code = (
        "import sys, psyrun; from psyrun import NpzStore\n"
        "NpzStore().save('x.npz', {'x': [1]}); psyrun.load('x.npz')\n"
        "psyrun.load('x.npz', columns=['x'], where={'x': 1})\n"
        f"sys.exit(str({{*{list(FORMS.values())!r}}} & set(sys.modules) or ''))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.stderr.strip() == ""
