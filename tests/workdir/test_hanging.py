"""Notes about what seems to hang hold no longer than their writer lives."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from psyrun.workdir.hanging import Hanging, forget, hanging, note, renew
from psyrun.workdir.holder import EXPIRY
from psyrun.workdir.layout import Round


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the note of a job is, which this process has written."""
    path = Round(tmp_path).hanging_of("process-3")
    note(path, [Hanging(77, time.time() - 605, 0.0, "in assignment 5 (x=1)")])
    return path


def change(path: Path, **entries: Any) -> None:
    record = json.loads(path.read_text())
    record["holder"] |= entries
    path.write_text(json.dumps(record))


def texts(folder: Path) -> list[str]:
    return [f"{one.job}: {one.text}" for one in hanging(Round(folder))]


def test_a_note_says_what_hangs_where_and_for_how_long(
    path: Path, tmp_path: Path
) -> None:
    (text,) = texts(tmp_path)
    assert text.startswith("process:3: seems to hang: no CPU time used for 10 min ")
    assert text.endswith(" s in assignment 5 (x=1): py-spy dump --pid 77")


def test_where_nothing_hangs_there_are_no_notes(tmp_path: Path) -> None:
    assert hanging(Round(tmp_path)) == []


def test_on_another_machine_the_command_goes_there(path: Path, tmp_path: Path) -> None:
    change(path, host="node7")
    (text,) = texts(tmp_path)
    assert text.endswith(": ssh node7 py-spy dump --pid 77")


def test_a_note_from_another_machine_holds_as_long_as_it_is_renewed(
    path: Path, tmp_path: Path
) -> None:
    change(path, host="node7")
    os.utime(path, (time.time() - 2 * EXPIRY,) * 2)
    assert texts(tmp_path) == []
    renew(path)
    assert len(texts(tmp_path)) == 1


def test_the_note_of_a_dead_job_does_not_show(path: Path, tmp_path: Path) -> None:
    change(path, started="earlier")
    assert texts(tmp_path) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"holder": 1}', '{"holder": {}}']
)
def test_what_is_no_note_does_no_harm(path: Path, tmp_path: Path, text: str) -> None:
    path.write_text(text)
    assert texts(tmp_path) == []


def test_the_note_of_a_job_that_its_queue_has_ended_is_removed(
    path: Path, tmp_path: Path
) -> None:
    change(path, job="array:4", host="node7")
    forget(path, "array:5")
    assert len(texts(tmp_path)) == 1
    forget(path, "array:4")
    assert texts(tmp_path) == [] and not path.exists()
    forget(path, "array:4")


def test_a_long_text_is_cut(path: Path, tmp_path: Path) -> None:
    note(path, [Hanging(77, time.time(), 2.0, "x" * 1000)])
    (text,) = texts(tmp_path)
    assert "hardly any CPU time" in text and len(text) < 350
