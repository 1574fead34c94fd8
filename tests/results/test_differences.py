"""By what tasks differ from their rows, as `psy diff` shows it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from psyrun.cli.main import main

TASK = """\
from psyrun import Param

pspace = {space}
max_jobs = 2
max_failures = None


def execute(x, **_):
    if x == 2:
        raise ValueError("as asked")
    return {{"y": {y}}}
"""


def task(xs: str, y: str = "x", space: str = "Param(x={xs})") -> str:
    return TASK.format(space=space.format(xs=xs), y=y)


@pytest.fixture
def diff(capsys):
    """What `psy diff` says of the task: numbers, and what changed."""

    def diff(text: str | None = None) -> tuple[list[int], list[str]]:
        if text is not None:
            Path("psy-tasks/task_a.py").write_text(text)
        assert main(["diff", "a"]) == 0
        head, row, *others = capsys.readouterr().out.splitlines()
        assert head.split() == [
            *("task", "assignments", "new", "failed", "older", "removed"),
        ]
        assert max(map(len, (head, row, *others))) <= 80
        return [int(cell) for cell in row.split()[1:]], others

    return diff


def test_all_of_a_new_task_is_new(done, diff) -> None:
    assert diff(task("[0, 1]")) == ([2, 2, 0, 0, 0], [])


def test_what_is_finished_differs_in_nothing(done, diff) -> None:
    done(task("[0, 1]"))
    assert diff() == ([2, 0, 0, 0, 0], [])
    # Neither does a comment.
    assert diff(task("[0, 1]") + "# more to come\n") == ([2, 0, 0, 0, 0], [])


def test_what_is_not_evaluated_yet_is_new(done, diff) -> None:
    done(task("[0, 1, 3]"), "split")
    assert diff() == ([3, 3, 0, 0, 0], [])
    done(task("[0, 1, 3]"), "process 0")
    assert diff() == ([3, 1, 0, 0, 0], [])


def test_points_that_come_and_go_are_counted(done, diff) -> None:
    done(task("[0, 1, 3]"))
    (n_items, n_new, n_failed, _, n_removed), said = diff(task("[1, 3, 4, 5]"))
    assert (n_items, n_new, n_failed, n_removed) == (4, 2, 0, 1)
    assert len(said) == 1
    assert "task_a.py" in said[0]


def test_rows_that_are_kept_outside_of_the_space_are_there(done, diff) -> None:
    done(task("[0, 1, 3]"))
    done(task("[1]"), keep_going=True)
    assert diff()[0][4] == 2
    numbers, _ = diff(task("[3, 4]"))
    assert [numbers[i] for i in (0, 1, 2, 4)] == [2, 1, 0, 2]


def test_failures_are_not_new(done, diff) -> None:
    done(task("[0, 1, 2, 2]"), "split", "process 0", "process 1")
    assert diff() == ([4, 0, 2, 0, 0], [])
    numbers, _ = diff(task("[0, 2, 4]"))
    assert [numbers[i] for i in (0, 1, 2, 4)] == [3, 1, 1, 1]


def test_rows_of_changed_code_are_older(done, diff) -> None:
    done(task("[0, 1]"))
    numbers, said = diff(task("[0, 1]", y="x + 1"))
    assert numbers == [2, 0, 0, 2, 0]
    assert len(said) == 1
    assert "task_a.py" in said[0]
    done(task("[0, 1, 3]", y="x + 1"), keep_going=True)
    assert diff() == ([3, 0, 0, 2, 0], [])
    assert diff(task("[0, 1, 3]", y="x + 2"))[0] == [3, 0, 0, 3, 0]


def test_rows_that_come_back_with_a_change_are_there(done, diff) -> None:
    done(task("[0, 1, 3]"))
    done(task("[0, 1, 3]", y="x + 1"), "split", "process 0")
    numbers, said = diff(task("[0, 1, 3, 4]"))
    assert numbers[:3] == [4, 1, 0]
    assert len(said) == 1


def test_a_space_that_was_drawn_at_random_is_the_one_that_was_divided(
    done, diff
) -> None:
    space = "Param(x=__import__('random').sample(range(10, 10**6), 3))"
    done(task("", space=space))
    assert diff() == ([3, 0, 0, 0, 0], [])
    numbers, _ = diff(task("", space=space.replace("3", "4")))
    assert numbers[:2] == [4, 4]
    assert numbers[4] == 3


def test_the_task_file_is_not_run_if_it_did_not_change(done, diff) -> None:
    text = task("[0, 1]").replace("x, **_):", "x, **_):\n    import os")
    text = f"from pathlib import Path\n\nPath('run').touch()\n{text}"
    done(text)
    Path("run").unlink()
    assert diff() == ([2, 0, 0, 0, 0], [])
    assert not Path("run").exists()


def test_numbers_are_those_of_comparing_each_row(done, diff) -> None:
    chance = random.Random(4)
    before = [chance.randrange(3, 12) for _ in range(20)]
    done(task(str(before)))
    for _ in range(5):
        now = [chance.randrange(3, 12) for _ in range(chance.randrange(1, 25))]
        known = np.bincount(before, minlength=12)
        wanted = np.bincount(now, minlength=12)
        numbers, _ = diff(task(str(now)))
        n_new = int(np.maximum(wanted - known, 0).sum())
        n_removed = int(np.maximum(known - wanted, 0).sum())
        assert [numbers[i] for i in (0, 1, 2, 4)] == [len(now), n_new, 0, n_removed]


def test_a_task_file_that_cannot_be_used_is_told_in_one_line(done, capsys) -> None:
    done(task("[0, 1]"))
    Path("psy-tasks/task_a.py").write_text(task("[0, 1"))
    assert main(["diff"]) == 2
    said = capsys.readouterr().err
    assert "psy-tasks/task_a.py" in said
    assert said.count("\n") == 1
    assert main(["diff", "b"]) == 2


@pytest.fixture
def details(capsys):
    """What `psy diff -v` says of the task after the table."""

    def details(text: str | None = None) -> list[str]:
        if text is not None:
            Path("psy-tasks/task_a.py").write_text(text)
        assert main(["diff", "-v", "a"]) == 0
        return capsys.readouterr().out.splitlines()[2:]

    return details


def test_details_of_a_new_task_are_its_first_assignments(done, details) -> None:
    xs = [f"  x={x}" for x in range(5)]
    assert details(task("range(7)")) == ["a: new", *xs, "  and 2 others"]
    assert details(task("range(6)"))[-1] == "  and 1 other"
    assert details(task("range(5)")) == ["a: new", *xs]


def test_details_list_what_came_went_and_failed(done, details) -> None:
    done(task("[0, 1, 2, 3]"), "split", "process 0", "process 1")
    failure = "  x=2: ValueError: as asked"
    assert details() == ["a: failed", failure]
    changed, *said, older = details(task("[1, 2, 3, 4]", "x + 1"))
    assert changed == "a: execute changed (task_a.py:8)"
    came, went = ["a: new", "  x=4"], ["a: removed", "  x=0"]
    assert said == [*came, "a: failed", failure, *went, "a: older"]
    assert older.startswith("  2 rows of version ")
    assert "run first on " in older
    assert older.endswith("): execute changed (task_a.py:8)")


def test_details_tell_versions_apart(done, details) -> None:
    done(task("[0, 1]"))
    done(task("[0, 1, 3]", "x + 1"), keep_going=True)
    (head, *lines) = details(task("[0, 1, 3]", "x + 2"))[1:]
    assert head == "a: older"
    assert [line.split(" of ")[0] for line in lines] == ["  2 rows", "  1 row"]
    assert len({line.split()[4] for line in lines}) == 2
    # One of them is that of now.
    (head, line) = details(task("[0, 1, 3]", "x + 1"))
    assert line.startswith("  2 rows of version ")


def test_rows_outside_of_the_space_are_removed(done, details) -> None:
    done(task("[0, 1, 3]"))
    done(task("[1]"), keep_going=True)
    assert details() == ["a: removed", "  x=0", "  x=3"]
