"""Which task a damaged file belongs to, and where it is kept."""

from pathlib import Path

import pytest

from psyrun.workdir.damage import n_set_aside, set_aside, task_of
from psyrun.workdir.layout import Round, TaskLayout


@pytest.mark.parametrize("above", ["psy-work", "round-3", "round-table"])
@pytest.mark.parametrize(
    "name", ["state.json", "round-1/space.pkl", "round-1/blocks/.0.json"]
)
@pytest.mark.parametrize("is_known", [True, False])
def test_the_task_of_a_file_is_found(tmp_path: Path, above, name, is_known) -> None:
    folder = tmp_path / above / "circle"
    folder.mkdir(parents=True)
    if is_known or name == "state.json":
        (folder / "Snakefile").touch()
    assert task_of(folder / name) == "circle"


def test_the_task_of_a_record_is_found(tmp_path: Path) -> None:
    assert task_of(tmp_path / "psy-tasks" / ".psyrun" / "circle.json") == "circle"


def test_a_file_of_no_task_has_none(tmp_path: Path) -> None:
    assert task_of(tmp_path / "round-table" / "talk.txt") == ""


def test_files_of_all_rounds_are_kept_in_one_place(tmp_path: Path) -> None:
    layout = TaskLayout(tmp_path / "circle")
    first, second = layout.round(1), layout.round(2)
    for round_ in (first, second, first):
        round_.blocks.mkdir(parents=True, exist_ok=True)
        round_.block(0, ".pkl").write_text(round_.folder.name)
        set_aside(round_.block(0, ".pkl"), round_.damaged)
    layout.state.touch()
    assert set_aside(layout.state, layout.damaged) == layout.damaged / "state.json"
    assert set_aside(first.folder, first.damaged) == layout.damaged / "round-1-2"
    assert n_set_aside(layout) == 4
    kept = Round(layout.damaged / "round-1")
    assert kept.block("0-2", ".pkl").read_text() == "round-1"
    assert not first.folder.exists()
