"""Rounds that were being removed, or made smaller, when somebody was killed."""

from pathlib import Path

import pytest

from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.old_rounds import recover, remove_round


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    """Return the paths of a task with two rounds."""
    for name in ("round-1", "round-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "large").touch()
    return TaskLayout(tmp_path)


def names(layout: TaskLayout) -> dict[str, list[str]]:
    """Return what is in the work folder."""
    return {
        path.name: [each.name for each in path.iterdir()]
        for path in sorted(layout.folder.iterdir())
    }


BOTH = {"round-1": ["large"], "round-2": ["large"]}


def test_a_round_is_removed(layout: TaskLayout) -> None:
    remove_round(layout.round(1))
    remove_round(layout.round(1))
    assert names(layout) == {"round-2": ["large"]}


def test_a_removal_is_finished(layout: TaskLayout) -> None:
    layout.round(1).folder.rename(layout.folder / ".round-1.removed")
    recover(layout)
    assert names(layout) == {"round-2": ["large"]}


def test_a_smaller_round_that_was_not_ready_is_removed(layout: TaskLayout) -> None:
    (layout.folder / ".round-1.small").mkdir()
    recover(layout)
    assert names(layout) == BOTH


def test_a_round_is_put_back_if_the_smaller_one_did_not_take_its_place(
    layout: TaskLayout,
) -> None:
    layout.round(1).folder.rename(layout.folder / ".round-1.large")
    (layout.folder / ".round-1.small").mkdir()
    recover(layout)
    assert names(layout) == BOTH


def test_a_round_whose_place_is_taken_is_removed(layout: TaskLayout) -> None:
    layout.round(1).folder.rename(layout.folder / ".round-1.large")
    layout.round(1).folder.mkdir()
    recover(layout)
    assert names(layout) == {"round-1": [], "round-2": ["large"]}


def test_other_files_stay(layout: TaskLayout) -> None:
    (layout.folder / ".round-x.small").mkdir()
    (layout.folder / ".round-1.other").mkdir()
    recover(layout)
    assert names(layout) == BOTH | {".round-x.small": [], ".round-1.other": []}
