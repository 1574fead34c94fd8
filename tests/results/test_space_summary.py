"""What the space of a task is, and what is done of it, as `psy space` shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from psyrun.cli.main import main

TASK = """\
from psyrun import Param

pspace = {space}
max_failures = None
max_jobs = 1


def execute(x, **_):
    if x == 2:
        raise ValueError("as asked")
    return {{"y": x}}
"""
GRID = "Param(x=range(3), unit='mV') * Param(a=[0.5, 1.5], b=['u', 'v'])"


@pytest.fixture
def show(capsys):
    """Print the space of the task, once its file is as given."""

    def show(space: str | None = None, *part: str) -> list[str]:
        if space is not None:
            Path("psy-tasks/task_a.py").write_text(TASK.format(space=space))
        options = [f"--part={text}" for text in part]
        assert main(["space", "a", *options]) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return show


def test_axes_of_a_new_task_are_shown(done, show) -> None:
    assert show(GRID) == [
        "a: 6 assignments",
        "axis size values",
        "x 3 0, 1, 2",
        "a_b 2 a: 0.5, 1.5; b: 'u', 'v'",
        "unit 'mV'",
        "duplicates: none",
        "done: 0 of 6; it was never run",
    ]


def test_what_is_done_failed_and_gone_is_shown(done, show) -> None:
    done(TASK.format(space=GRID), "split", "process 0")
    assert show()[-1] == "done: 4 of 6, 2 failed"
    assert show("Param(x=[0, 5], a=0.5, b='u', unit='mV')")[-1] == (
        "done: 1 of 2, 3 rows no longer in the space"
    )


def test_equal_assignments_are_counted(done, show) -> None:
    assert show("Param(x=[0, 1, 0]).repeat(2)")[-2] == (
        "duplicates: 4 assignments equal earlier ones"
    )
    assert show("Param(x=[0, 1, 0])")[-2] == (
        "duplicates: 1 assignment equals an earlier one"
    )


def test_a_space_that_was_drawn_is_not_drawn_again(done, show) -> None:
    random = "Param(x=__import__('random').sample(range(3, 10**9), 3))"
    done(TASK.format(space=random))
    assert show() == show()
    assert show()[-1] == "done: 3 of 3"


def test_a_part_is_shown_with_its_points(done, show) -> None:
    assert show(GRID, "x=1:", "b=v") == [
        "a: 2 of 6 assignments chosen (x=1:, b=v)",
        "axis size values",
        "x 2 1, 2",
        "unit 'mV'",
        "a 1.5",
        "b 'v'",
        "duplicates: none",
        "done: 0 of 2; it was never run",
        "number x unit a b",
        "3 1 'mV' 1.5 'v'",
        "5 2 'mV' 1.5 'v'",
    ]


def test_of_a_part_only_its_own_rows_count(done, show) -> None:
    done(TASK.format(space=GRID), "split", "process 0")
    assert "done: 1 of 2, 1 failed" in show(None, "x=1,2", "b=u")
    # Rows of the rest of an edited space are not gone.
    edited = "Param(x=[1, 5], unit='mV') * Param(a=0.5, b='u')"
    assert "done: 1 of 1" in show(edited, "x=1")
    assert "done: 0 of 1" in show(edited, "x=5")


def test_what_assignments_lack_is_empty_and_many_are_not_all_shown(done, show) -> None:
    assert show("Param(x=[0, 1]) + Param(k=[7])", "k=7")[-2:] == ["number x k", "2 7"]
    lines = show("Param(x=range(3, 60)) * Param(k=[7, 8])", "k=8")
    assert lines[-2:] == ["39 22 8", "and 37 more"]


def test_numbers_in_a_space_that_cannot_be_listed_are_known(done, show) -> None:
    lines = show("Param(x=range(3, 10**5)) * Param(k=range(10**5))", "x=5", "k=7:9")
    assert lines[0] == "a: 2 of 9999700000 assignments chosen (x=5, k=7:9)"
    assert lines[-2:] == ["200007 5 7", "200008 5 8"]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("z=1", "task 'a': -p: there is no parameter 'z'"),
        ("x=7", "task 'a': -p: 'x' is never 7"),
        ("x=7:9", "task 'a': -p: 'x' has no value in 7:9."),
        ("x", "space: -p 'x' has no name and value"),
    ],
)
def test_a_part_that_is_not_there_is_refused(done, show, capsys, part, told) -> None:
    Path("psy-tasks/task_a.py").write_text(TASK.format(space=GRID))
    assert main(["space", "a", "-p", part]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"psy: {told}") and said.err.count("\n") == 1
    assert not said.out


def test_without_tasks_there_is_what_to_do(done, show, capsys) -> None:
    Path("psy-tasks/task_a.py").unlink(missing_ok=True)
    assert main(["space"]) == 0
    assert "psy new-task" in capsys.readouterr().out
