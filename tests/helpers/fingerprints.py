"""Projects and cases for tests of fingerprints."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from psyrun.tasks.fingerprint import Source, fingerprint

BASE = """\
import numpy as np
from psyrun import Param
pspace = Param(x=np.arange(3)) * Param(trial=[0, 1])
def execute(x, trial):
    return {'y': x * trial}
"""

CASES = Path(__file__).parents[1] / "tasks/fingerprint/cases"


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


def source_of(folder: Path, files: dict[str, str], file_dep=(), record=None) -> Source:
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, files)
    conf = folder / "psy-tasks/psy-conf.py"
    task = folder / "psy-tasks/task_a.py"
    conf_path = conf if conf.exists() else None
    return Source(task, conf_path, file_dep, folder, record=record)


def of_project(folder: Path, files: dict[str, str], file_dep=(), digests=None) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, files)
    conf = folder / "psy-tasks/psy-conf.py"
    task = folder / "psy-tasks/task_a.py"
    return fingerprint(task, conf if conf.exists() else None, file_dep, folder, digests)
