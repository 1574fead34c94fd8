"""Special variables are declared once; all else follows from that."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from psyrun.tasks import Config
from psyrun.tasks.config import DIVIDING, SPECIAL, default_of
from psyrun.tasks.fingerprint.slicing import DECISIVE, INCIDENTAL

REFERENCE = Path(__file__).parents[2] / "docs/reference/task-file.md"


def plain(text: str) -> str:
    """Return Markdown without links and without marks for code and emphasis."""
    text = re.sub(r"; see \[[^]]*\]\([^)]*\)", "", text)
    return re.sub(r"[`*]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text))


def test_the_reference_lists_the_special_variables_as_they_are_declared() -> None:
    lines = REFERENCE.read_text("utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    declared = [
        [name, special.allowed, default_of(name) or "required", special.meaning]
        for name, special in SPECIAL.items()
    ]
    assert [list(map(plain, row)) for row in rows] == [
        list(map(plain, row)) for row in declared
    ]


@pytest.mark.parametrize("name", SPECIAL)
def test_the_docstring_has_every_special_variable(name: str) -> None:
    assert f"\n{name} : {SPECIAL[name].allowed}; " in str(inspect.getdoc(Config))


def test_rows_depend_on_what_is_evaluated_and_not_on_how() -> None:
    assert {"pspace", "execute", "setup", "exclude_from_result"} == DECISIVE
    assert {
        *("backend", "max_failures", "max_jobs", "min_items", "pool_size", "python"),
        *(
            "scheduler",
            "scheduler_args",
            "schedular_args",
            "retries",
            "timeout",
            "threads",
        ),
        *(
            "file_dep",
            "keep_blocks",
            "order",
            "overwrite_dirty",
            "predict_times",
            "resultfile",
            "store",
            "workdir",
        ),
        *("split_and_merge", "workdir", "dims", "coords", "attrs"),
        *("match", "defaults", "rate"),
    } == INCIDENTAL


def test_a_change_of_jobs_or_their_order_divides_anew() -> None:
    assert DIVIDING == ("backend", "max_jobs", "min_items", "order", "predict_times")
