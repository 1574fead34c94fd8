"""What a plan says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun.utils.numbers import text_of_numbers
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import arguments_in, run_arguments


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        ([], "a b"),
        (["n=1,2"], "-p n=1,2 a b"),
        (["n=1:", "kind=it's"], "-p n=1: -p 'kind=it'\"'\"'s' a b"),
        # Nobody can type these.
        ([text_of_numbers([3, 17])], "a b"),
    ],
)
def test_a_part_is_named_as_it_is_typed(part: list[str], arguments: str) -> None:
    assert run_arguments(part, "a", "b") == arguments


def test_without_a_plan_a_task_has_its_name(tmp_path: Path) -> None:
    layout = TaskLayout(tmp_path / "a")
    assert arguments_in(layout) == "a"
    layout.folder.mkdir()
    layout.state.write_text("no plan")
    assert arguments_in(layout) == "a"
