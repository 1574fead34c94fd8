"""Where things are written, and where what is shipped is found."""

from pathlib import Path

import pytest

from psyrun.utils.resources import shipped
from psyrun.workdir.layout import MERGE, PROCESS, SPLIT, TaskLayout, record_of_task

LAYOUT = TaskLayout.of("psy-work", "square")


@pytest.mark.parametrize(
    "parts",
    [
        ("workflow", "Snakefile"),
        ("workflow", "task.smk.template"),
        ("workflow", "task.py.template"),
        ("profiles", "local", "config.yaml"),
    ],
    ids="/".join,
)
def test_what_is_shipped_is_there(parts: tuple[str, ...]) -> None:
    assert shipped(*parts).read_text()


def test_logs_are_named_after_their_jobs() -> None:
    logs = [LAYOUT.log(SPLIT), LAYOUT.log(PROCESS, 3), LAYOUT.log(MERGE)]
    names = ["square:split.log", "square:process:3.log", "square:merge.log"]
    assert logs == [Path("psy-work/square") / name for name in names]


def test_everything_of_a_task_is_in_its_folder() -> None:
    round_ = LAYOUT.round(1)
    paths = [
        *(LAYOUT.snakefile, LAYOUT.environment, LAYOUT.state, LAYOUT.lock),
        *(LAYOUT.snakemake_log, LAYOUT.digests, LAYOUT.log(MERGE)),
        *(round_.space, round_.division, round_.block(0, ".pkl"), round_.failed(0)),
        *(round_.kept(".pkl"), round_.journal(0, 1), round_.keys, round_.merged),
        *(round_.lock("merge"), round_.error("merge")),
    ]
    assert all(path.is_relative_to("psy-work/square") for path in paths)
    assert len(set(paths)) == len(paths)


def test_rounds_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    layout = TaskLayout.of(tmp_path, "square")
    for name in ["round-10", "round-9", "round-x", "round-", "result.pkl"]:
        (layout.folder / name).mkdir(parents=True)
    assert list(layout.rounds()) == [9, 10]
    assert layout.rounds()[10] == layout.round(10)


def test_a_task_that_never_ran_has_no_rounds(tmp_path: Path) -> None:
    assert TaskLayout.of(tmp_path, "square").rounds() == {}


def test_journals_of_one_block_are_not_those_of_another(tmp_path: Path) -> None:
    round_ = TaskLayout.of(tmp_path, "square").round(1)
    round_.journals.mkdir(parents=True)
    for block, worker in [(1, 0), (1, 1), (11, 0), (21, 1)]:
        round_.journal(block, worker).touch()
    assert round_.journals_of(1) == [round_.journal(1, 0), round_.journal(1, 1)]


def test_records_of_two_tasks_differ() -> None:
    taskdir = Path("psy-tasks")
    assert record_of_task(taskdir, "a") != record_of_task(taskdir, "b")
