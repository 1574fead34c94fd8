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

    def show(space: str | None = None) -> list[str]:
        if space is not None:
            Path("psy-tasks/task_a.py").write_text(TASK.format(space=space))
        assert main(["space", "a"]) == 0
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


def test_without_tasks_there_is_what_to_do(done, show, capsys) -> None:
    Path("psy-tasks/task_a.py").unlink(missing_ok=True)
    assert main(["space"]) == 0
    assert "psy new-task" in capsys.readouterr().out
