"""What is said at the end of a run of several tasks, and of what was printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import COUNTED, Project

pytestmark = pytest.mark.slow

PRINTING = """\
import logging, sys
from psyrun import Param

logging.basicConfig(format="%(message)s")
pspace = Param(x=[10, 20, 30])
max_jobs = 1


def execute(x):
    if x == 10:
        print("to output", x)
    if x == 20:
        print("to errors", x, file=sys.stderr)
        logging.warning("logged")
    if x == 30:
        1 / 0
    return {"y": x}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write(COUNTED, "good")
    project.write(PRINTING, "bad")
    return project


def test_advice_is_about_the_task_that_failed(project: Project) -> None:
    done = project.psy("run", status=1)
    assert "good: psy-work/good/result.pkl" in done.stdout.splitlines()
    assert done.stderr.endswith("then 'psy run --continue bad'.\n")


def test_prints_are_labelled_with_their_assignment(project: Project) -> None:
    project.psy("run", "bad", status=1)
    lines = (project.work("bad") / "bad:process:0.log").read_text().splitlines()
    for text, label in [
        ("to output 10", "assignment 0 prints:"),
        ("to errors 20", "assignment 1 prints:"),
    ]:
        assert lines[lines.index(text) - 1] == label
    assert lines[lines.index("to errors 20") + 1] == "logged"
    assert "assignment 2:" in lines
    assert "assignment 2 prints:" not in lines


@pytest.mark.parametrize("name", ["auxiliary", "metadata"])
def test_what_snakemake_cannot_make_is_one_line(project: Project, name: str) -> None:
    (project.folder / ".snakemake").mkdir()
    path = project.folder / ".snakemake" / name
    path.touch()
    said = project.psy("run", "good", status=2).stderr
    assert f"{path}: " in said
    assert "but Snakemake needs it; check the permissions" in said
    assert "Traceback" not in said
    log = (project.work("good") / "snakemake.log").read_text()
    assert "Traceback" in log
    assert str(path) in log
    path.unlink()
    project.psy("run", "good")
