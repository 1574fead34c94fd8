"""Rows that are evaluated again although they are valid, step by step."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from accepting import accept_plan

from psyrun.errors import PsyrunError
from psyrun.planning.prepare import PlanOptions, TaskRun, load_tasks
from psyrun.results.differences import difference_of
from psyrun.results.load import load
from psyrun.run.clean import clean_old
from psyrun.steps.main import run
from psyrun.utils.console import warn
from psyrun.workdir.copies import settle
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.plan import Plan

TASK = """\
from pathlib import Path

from psyrun import Param
from psyrun.backend import LoadBalancingBackend

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    with open("calls", "a") as file:
        file.write(f"{x}\\n")
    if Path(f"broken-{x}").exists():
        raise ValueError("as asked")
    return {"y": 10 * x + int(Path("level").read_text())}
"""


pytestmark = pytest.mark.slow


class Task:
    """A task in the current folder, whose results tell when they were evaluated."""

    path = Path("psy-tasks/task_a.py")

    def __init__(self) -> None:
        self.level = 0

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def run(self, *, blocks: int = 99, **options: Any) -> list[int]:
        """Do what a run decides, only `blocks` of its jobs; return what was called."""
        self.level += 1
        Path("level").write_text(str(self.level))
        task = accept_plan(self.path, **options)
        self.said = task.said_of_rows
        where = [str(task.layout.folder), str(task.plan.round)]
        if task.decision.split:
            run(["split", *where])
        for block in task.decision.blocks[:blocks]:
            run(["process", *where, str(block)])
        if task.decision.merge and blocks >= len(task.decision.blocks):
            run(["merge", *where])
        task.release()
        return self.calls()

    def accept(self, **options: Any) -> None:
        """Be killed before Snakemake is started."""
        accept_plan(self.path, **options).release()

    def preview(self, **options: Any) -> TaskRun:
        (task,) = load_tasks([self.path], PlanOptions(**options))
        task.preview(warn)
        return task

    def calls(self) -> list[int]:
        path = Path("calls")
        found = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(map(int, found))

    def rows(self) -> dict[int, int]:
        """Return the result of each assignment; its last digit is the run it is of."""
        columns = load("a")
        return dict(zip(map(int, columns["x"]), map(int, columns["y"]), strict=True))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder in which the task is done."""
    folder = tmp_path_factory.mktemp("done")
    with chdir(folder):
        Task.path.parent.mkdir()
        Task.path.write_text(TASK)
        assert Task().run() == [1, 2, 3, 4]
    return folder


@pytest.fixture
def task(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task, in a copy of that folder."""
    # With -a, what has two names has two names there.
    subprocess.run(["cp", "-a", f"{done}/.", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    settle(TaskLayout(Path("psy-work/a")))
    task = Task()
    task.level = 1
    return task


def test_what_is_selected_is_evaluated_and_nothing_else(task: Task) -> None:
    assert task.run(rerun="y > 25") == [3, 4]
    assert task.said == ["a: 2 assignments evaluated again ('y > 25')"]
    assert task.rows() == {1: 11, 2: 21, 3: 32, 4: 42}
    assert task.run() == []
    assert task.said == []


def test_all_can_be_selected_more_than_once(task: Task) -> None:
    assert task.run(rerun="True") == [1, 2, 3, 4]
    assert task.run(rerun="x == 2") == [2]
    assert task.rows() == {1: 12, 2: 23, 3: 32, 4: 42}


def test_a_preview_has_the_numbers_and_changes_nothing(task: Task) -> None:
    before = sorted(path for path in Path("psy-work").rglob("*"))
    rows = task.preview(rerun="x < 3").rows
    assert (rows.n_open, rows.n_rerun, rows.n_kept) == (2, 2, 2)
    assert sorted(path for path in Path("psy-work").rglob("*")) == before
    assert task.run() == []


def test_if_nothing_is_selected_nothing_is_evaluated(task: Task) -> None:
    for rerun in ("y > 100", "stale", "failed"):
        assert task.run(rerun=rerun) == []
        assert task.said[0].endswith("; nothing is evaluated again")


@pytest.mark.parametrize("store", ["pkl", "npz", "h5"])
def test_parameters_that_are_in_no_file_are_known(task: Task, store: str) -> None:
    task.edit("max_jobs", f"exclude_from_result = ['x']\nstore = {store!r}\nmax_jobs")
    task.run()
    assert task.run(rerun="x in (1, 4) and y < 30") == [1]


@pytest.mark.parametrize("store", ["pkl", "npz"])
def test_parameters_that_are_arrays_have_their_own_lengths(
    task: Task, store: str
) -> None:
    task.edit("max_jobs", f"store = {store!r}\nmax_jobs")
    task.edit("x=[1, 2, 3, 4]", "x=[1, 2, 3, 4], v=[[1], [1, 2], [3], [4]]")
    task.edit("execute(x)", "execute(x, v)")
    assert task.run() == [1, 2, 3, 4]
    assert task.run(rerun="len(v) == 2 or v[0] == 3") == [2, 3]


def interrupted(task: Task) -> None:
    assert task.run(rerun="x > 2", blocks=1) == [3]


def not_split(task: Task) -> None:
    task.accept(rerun="x > 2")


def marked_only(task: Task) -> None:
    rerun = task.preview(rerun="x > 2").assessment.rerun
    layout = TaskLayout(Path("psy-work/a"))
    assert rerun is not None
    rerun.record(layout, Plan.required(layout).fingerprint)


STAGES = {
    "in the jobs": (interrupted, [4]),
    "before split": (not_split, [3, 4]),
    "before the plan": (marked_only, [3, 4]),
}
killed = pytest.mark.parametrize(("kill", "open_"), STAGES.values(), ids=STAGES.keys())


@killed
def test_after_a_kill_the_old_rows_are_there_and_a_run_goes_on(
    task: Task, kill: Callable[[Task], None], open_: list[int]
) -> None:
    kill(task)
    assert task.rows() == {1: 11, 2: 21, 3: 31, 4: 41}
    assert difference_of(task.path, "a").n_new == len(open_)
    assert task.run() == open_
    assert "evaluated again" in task.said[0]
    rows = task.rows()
    assert (rows[1], rows[2]) == (11, 21) and rows[3] > 31 and rows[4] > 41
    assert task.run() == []


@killed
def test_to_continue_gives_it_up(
    task: Task, kill: Callable[[Task], None], open_: list[int]
) -> None:
    kill(task)
    assert task.run(keep_going=True) == []
    rows = task.rows()
    assert {x: rows[x] for x in open_} == {x: 10 * x + 1 for x in open_}
    assert (rows[3] == 32) == (3 not in open_)


@killed
def test_another_selection_after_a_kill_is_evaluated_as_well(
    task: Task, kill: Callable[[Task], None], open_: list[int]
) -> None:
    kill(task)
    assert task.run(rerun="x == 1") == [1, *open_]


def test_what_is_missing_is_divided_anew_without_the_old_rows(task: Task) -> None:
    task.edit("max_jobs = 2", "max_jobs = 2\nbackend = LoadBalancingBackend")
    Path("broken-3").touch()
    assert task.run(rerun="x > 1") == [2, 3, 4]
    assert task.rows()[3] == 31
    Path("broken-3").unlink()
    assert task.run() == [3]
    assert task.rows() == {1: 11, 2: 22, 3: 33, 4: 42}


def test_an_edit_meanwhile_does_not_bring_the_old_rows_back(task: Task) -> None:
    interrupted(task)
    task.edit("[1, 2, 3, 4]", "[1, 3, 4, 5]")
    assert task.run() == [4, 5]
    assert task.rows() == {1: 11, 3: 32, 4: 43, 5: 53}
    task.edit("[1, 3, 4, 5]", "[1, 2, 3, 4]")
    assert task.run() == []
    assert task.rows()[2] == 21


def test_marked_rows_that_leave_the_space_stay_on_disk(task: Task) -> None:
    task.edit("[1, 2, 3, 4]", "[1, 2, 3]")
    assert task.run(rerun="x > 2") == [3]
    task.edit("[1, 2, 3]", "[1, 2, 3, 4]")
    assert task.run() == []
    assert task.rows() == {1: 11, 2: 21, 3: 32, 4: 41}


def test_copies_in_earlier_rounds_are_not_taken(task: Task) -> None:
    # Round 1 stays, as it has the row of 4.
    task.edit("[1, 2, 3, 4]", "[1, 2, 3]")
    assert task.run() == []
    assert task.run(rerun="x == 1") == [1]
    Path("broken-2").touch()
    assert task.run(rerun="x == 2") == [2]
    Path("broken-2").unlink()
    task.edit("[1, 2, 3]", "[1, 2, 3, 4]")
    assert task.run() == [2]
    assert task.rows() == {1: 13, 2: 25, 3: 31, 4: 41}


def test_equal_assignments_are_told_apart(task: Task) -> None:
    task.edit("[1, 2, 3, 4]", "[1, 2, 2, 2]")
    assert task.run() == [2, 2]
    assert load("a")["y"] == [12, 21, 22, 22] or load("a")["y"] == [11, 21, 22, 22]
    assert task.run(rerun="y == 22") == [2, 2]
    assert load("a")["y"][1:] == [21, 23, 23]


def continue_with_changed_code(task: Task) -> None:
    task.edit("10 * x", "100 * x")
    task.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    assert task.run(keep_going=True) == [5]


def test_stale_rows_that_were_kept_are_evaluated(task: Task) -> None:
    continue_with_changed_code(task)
    assert task.run(rerun="stale") == [1, 2, 3, 4]
    assert task.said == ["a: 4 assignments evaluated again (stale)"]
    assert task.rows() == {1: 103, 2: 203, 3: 303, 4: 403, 5: 502}


def test_stale_rows_may_be_evaluated_again_if_that_is_asked_for(task: Task) -> None:
    task.edit("max_jobs", "overwrite_dirty = False\nmax_jobs")
    continue_with_changed_code(task)
    assert task.preview(rerun="stale").refusal is None


def test_what_is_stale_after_a_change_is_evaluated(task: Task) -> None:
    task.edit("10 * x", "100 * x")
    assert task.run(rerun="stale") == [1, 2, 3, 4]


def test_stale_rows_that_were_not_selected_are_only_kept_with_continue(
    task: Task,
) -> None:
    continue_with_changed_code(task)
    with pytest.raises(PsyrunError, match="would compute 2 other rows again"):
        task.preview(rerun="x < 3")
    assert task.run(rerun="x < 3", keep_going=True) == [1, 2]
    assert task.rows() == {1: 103, 2: 203, 3: 31, 4: 41, 5: 502}
    # As ever, a plain run computes the others.
    assert task.run() == [3, 4]


def test_rows_outside_the_space_stay_with_continue(task: Task) -> None:
    task.edit("[1, 2, 3, 4]", "[1, 2]")
    task.run(keep_going=True)
    assert task.run(rerun="x == 2", keep_going=True) == [2]
    assert task.rows() == {1: 11, 2: 23, 3: 31, 4: 41}


def test_a_change_that_is_taken_back_costs_nothing(task: Task) -> None:
    text = task.path.read_text()
    task.edit("10 * x", "100 * x")
    assert task.run(rerun="x < 3", keep_going=True) == [1, 2]
    task.path.write_text(text)
    assert task.run() == []
    assert task.rows() == {1: 11, 2: 21, 3: 31, 4: 41}


def test_accepted_failures_are_tried_again(task: Task) -> None:
    task.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5, 6]")
    Path("broken-5").touch()
    assert task.run(accept_failures=True) == [5, 6]
    assert task.run(accept_failures=True) == []
    Path("broken-5").unlink()
    assert task.run(rerun="failed") == [5]
    assert task.rows()[5] == 54


def test_failures_are_tried_again(task: Task) -> None:
    task.edit("[1, 2, 3, 4]", "[1, 2, 3, 4, 5]")
    Path("broken-5").touch()
    assert task.run() == [5]
    Path("broken-5").unlink()
    assert task.run(rerun="failed") == [5]
    assert task.said[0] == "a: 1 assignment evaluated again (failed)"


def test_what_fails_when_it_is_evaluated_again_keeps_its_row(task: Task) -> None:
    Path("broken-2").touch()
    assert task.run(rerun="x == 2") == [2]
    assert task.rows()[2] == 21
    assert task.run() == [2]
    assert task.run(keep_going=True) == [2]
    Path("broken-2").unlink()
    assert task.run() == [2]
    assert task.rows()[2] == 25


def test_old_rows_are_removed_once_the_new_ones_are_there(task: Task) -> None:
    interrupted(task)
    with pytest.raises(PsyrunError, match="not finished"):
        clean_old(Path("psy-tasks"), "a")
    task.run()
    assert [path.name for path in Path("psy-work/a").glob("round-*")] == ["round-2"]


@pytest.mark.parametrize(
    ("rerun", "said"),
    [
        ("z > 3", "task 'a': --rerun: 'z > 3' uses 'z', which is no parameter or "),
        ("x >", "task 'a': --rerun: 'x >' is no Python expression"),
        ("x", "task 'a': --rerun: 'x' gives int64 for x=1, not true or false."),
    ],
)
def test_a_bad_selection_is_refused_and_changes_nothing(
    task: Task, rerun: str, said: str
) -> None:
    with pytest.raises(PsyrunError) as caught:
        task.preview(rerun=rerun)
    assert str(caught.value).startswith(said)
    assert task.run() == []


def test_a_task_without_rows_has_nothing_to_evaluate_again(
    task: Task, tmp_path: Path
) -> None:
    Path("psy-tasks/task_b.py").write_text(TASK)
    for rerun in ("x > 1", "failed", "stale"):
        (new,) = load_tasks([Path("psy-tasks/task_b.py")], PlanOptions(rerun=rerun))
        with pytest.raises(PsyrunError, match="task 'b': was never run"):
            new.preview(warn)


def test_damaged_marks_are_told_of(task: Task) -> None:
    not_split(task)
    path = Path("psy-work/a/round-1/replaced.npz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(PsyrunError, match="is damaged; delete it"):
        task.preview()
    path.unlink()
    assert task.run() == []


def test_no_older_row_takes_the_place_of_one_that_is_evaluated_again(
    task: Task,
) -> None:
    task.edit("10 * x", "100 * x")
    assert task.run(blocks=1) == [1, 2]
    # What is older stays, but for what was chosen.
    assert task.run(keep_going=True, rerun="x < 2") == [1]
    assert task.rows() == {1: 103, 2: 202, 3: 31, 4: 41}
    assert task.run() == [3, 4]


def test_older_rows_that_are_chosen_are_evaluated_again(task: Task) -> None:
    task.edit("10 * x", "100 * x")
    assert task.run(blocks=1) == [1, 2]
    task.edit("100 * x", "1000 * x")
    assert task.run(keep_going=True, rerun="x == 2") == [2]
    assert task.rows() == {1: 102, 2: 2003, 3: 31, 4: 41}


@pytest.mark.parametrize(
    ("space", "more"),
    [
        ("Param(x=[1, 2, 3, 4]) * Param(b=[1])", "defaults = {'b': 1}"),
        ("Param(x=[1.0 + 1e-12, 2, 3, 4])", "match = {'x': 1e-9}"),
    ],
)
def test_assignments_are_known_as_the_task_file_says(
    task: Task, space: str, more: str
) -> None:
    task.edit("Param(x=[1, 2, 3, 4])", space)
    task.edit("max_jobs", f"{more}\nmax_jobs")
    task.edit("execute(x)", "execute(x, b=1)")
    task.edit("{x}\\n", "{round(x)}\\n")
    task.edit('{"y": 10 * x', '{"y": 10 * round(x)')
    task.run()
    task.edit(space, f"{space} + Param(x=[5]{', b=[1]' if 'b=' in space else ''})")
    # The rows are known by what they were evaluated with.
    assert task.run(rerun="y < 20") == [1, 5]
    assert task.rows()[1] == 13


def test_who_keeps_rows_after_a_kill_before_the_plan_has_no_marks_left(
    task: Task,
) -> None:
    found = task.preview(rerun="x > 2")
    assert found.assessment.rerun is not None
    found.assessment.rerun.record(found.layout, found.plan.fingerprint)
    assert task.run(keep_going=True) == []
    assert task.run() == []
    assert task.rows() == {1: 11, 2: 21, 3: 31, 4: 41}
