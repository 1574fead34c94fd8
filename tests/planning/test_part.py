"""Parts of a space that are evaluated alone, step by step."""

from __future__ import annotations

import subprocess
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from accepting import accept_plan
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from psyrun.errors import PsyrunError
from psyrun.planning.prepare import PlanOptions, TaskRun, load_tasks
from psyrun.pspace import candidates
from psyrun.results.differences import difference_of
from psyrun.results.load import load
from psyrun.run.clean import clean_old
from psyrun.run.status import status_of
from psyrun.steps.main import run
from psyrun.utils.console import warn
from psyrun.utils.numbers import numbers_in, text_of_numbers
from psyrun.workdir.layout import TaskLayout

TASK = """\
from pathlib import Path

from psyrun import Param

pspace = Param(a=range(4)) * Param(b=["x", "y", "z"])
max_jobs = 3


def execute(a, b):
    with open("calls", "a") as file:
        file.write(f"{a}{b} ")
    if Path(f"broken-{a}{b}").exists():
        raise ValueError("as asked")
    return {"y": Path("level").read_text()}
"""
ALL = [f"{a}{b}" for a in range(4) for b in "xyz"]


class Task:
    """A task in the current folder, whose results tell when they were evaluated."""

    path = Path("psy-tasks/task_a.py")

    def __init__(self, text: str = TASK) -> None:
        self.level = 0
        self.said: list[str] = []
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(text)

    def edit(self, old: str, new: str) -> None:
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def run(self, *part: str, blocks: int = 99, **options: Any) -> list[str]:
        """Do what a run decides, only `blocks` of its jobs; return what was called."""
        self.level += 1
        Path("level").write_text(str(self.level))
        task = accept_plan(self.path, part=part, **options)
        self.said = task.said_of_rows
        where = [str(task.layout.folder), str(task.plan.round)]
        if task.decision.split:
            assert run(["split", *where]) == 0
        for block in task.decision.blocks[:blocks]:
            run(["process", *where, str(block)])
        self.is_merged = blocks >= len(task.decision.blocks) and task.decision.merge
        if self.is_merged:
            run(["merge", *where])
        task.release()
        return self.calls()

    def accept(self, *part: str, **options: Any) -> None:
        """Be killed before Snakemake is started."""
        accept_plan(self.path, part=part, **options).release()

    def preview(self, *part: str, **options: Any) -> TaskRun:
        (task,) = load_tasks([self.path], PlanOptions(part=part, **options))
        task.preview(warn)
        return task

    def calls(self) -> list[str]:
        path = Path("calls")
        found = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return sorted(found)

    def rows(self) -> dict[str, int]:
        """Return the number of the run that each row of the result is of, in order."""
        columns = load("a")
        names = zip(columns["a"], columns["b"], strict=True)
        levels = map(int, columns["y"])
        return {f"{a}{b}": y for (a, b), y in zip(names, levels, strict=True)}


pytestmark = pytest.mark.slow


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.chdir(tmp_path)
    return Task()


def named(part: tuple[str, ...]) -> list[str]:
    """Return the assignments that a part has, by a second implementation."""
    found = ALL
    for text in part:
        if (numbers := numbers_in(part)) is not None:
            return [ALL[number] for number in numbers]
        name, _, values = text.partition("=")
        place = "ab".index(name)
        first, colon, last = values.partition(":")
        if colon:
            found = [
                each
                for each in found
                if (not first or each[place] >= first)
                and (not last or each[place] < last)
            ]
        else:
            found = [each for each in found if each[place] in values.split(",")]
    return found


PARTS = [
    ("a=1",),
    ("a=0,3", "b=y"),
    ("b=x,z",),
    ("a=1:3", "b=y:"),
    ("a=:2",),
    ("a=2:",),
    (text_of_numbers([2, 3, 7]),),
    (),
]
ENOUGH = 99
STEPS = st.tuples(st.sampled_from(PARTS), st.sampled_from([0, 1, 2, ENOUGH, ENOUGH]))


@pytest.mark.parametrize("most", [10**8, 3])
@settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
@example(
    [(("a=1",), ENOUGH), (("b=x,z",), 1), (("a=1:3", "b=y:"), ENOUGH), ((), ENOUGH)]
)
@example(
    [
        ((), 1),
        (("a=0,3", "b=y"), ENOUGH),
        (("a=0,3", "b=y"), ENOUGH),
        ((), 0),
        ((), ENOUGH),
    ]
)
@example(
    [
        ((text_of_numbers([2, 3, 7]),), ENOUGH),
        ((text_of_numbers([0, 11, 7]),), 1),
        (("a=1:3", "b=y:"), 1),
        ((text_of_numbers(range(12)),), ENOUGH),
        ((), ENOUGH),
    ]
)
@example(steps=[(("a=:2",), 0), (("a=2:",), ENOUGH), ((), ENOUGH), (("a=1",), ENOUGH)])
@given(steps=st.lists(STEPS, min_size=2, max_size=4))
def test_what_is_missing_of_the_part_is_evaluated_and_nothing_is_lost(
    most: int, steps: list[tuple[tuple[str, ...], int]]
) -> None:
    """Also in a space of which not all can be looked at."""
    with (
        TemporaryDirectory() as folder,
        chdir(folder),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(candidates, "MOST_LISTED", most)
        task, done, result = Task(), set[str](), list[str]()
        for part, blocks in steps:
            missing = set(named(part)) - done
            called = task.run(*part, blocks=blocks)
            assert len(called) == len(set(called))
            assert missing >= set(called)
            done |= set(called)
            if blocks == ENOUGH:
                assert missing == set(called)
            if task.is_merged:
                result = [each for each in ALL if each in done]
            assert blocks < ENOUGH or set(result) == done
            if result:
                assert list(task.rows()) == result
        task.run()
        assert list(task.rows()) == ALL


def test_it_is_said_what_is_chosen_and_what_is_not(task: Task) -> None:
    assert task.run("b=y", "a=1:3") == ["1y", "2y"]
    assert task.said == ["a: 2 of 12 assignments chosen (b=y, a=1:3)"]
    status = status_of(task.path, "a")
    assert status.state == "incomplete"
    assert status.numbers is not None
    assert (status.numbers.n_done, status.numbers.n_items) == (2, 12)
    assert status.numbers.n_not_chosen == 10
    assert difference_of(task.path, "a").n_new == 10
    assert task.preview("a=1:3", "b=y").decision.is_done
    assert task.preview("a=1,2", "b=y").decision.is_done
    assert task.preview("b=y").rows.n_open == 2
    task.run()
    said = "a: 2 rows kept of the part that was chosen before, 10 to evaluate of the"
    assert task.said == [f"{said} rest"]
    assert status_of(task.path, "a").state == "done"
    assert task.preview("b=y").decision.is_done


def test_axes_of_a_part_are_those_of_its_rows(task: Task) -> None:
    task.run("b=y,z", "a=1:3")
    labelled = load("a", as_="xarray")
    assert dict(labelled.sizes) == {"a": 2, "b": 2}
    assert labelled["y"].notnull().all()


def test_what_cannot_be_chosen_is_refused_and_nothing_changes(task: Task) -> None:
    task.run("a=1")
    before = (TaskLayout(Path("psy-work/a")).state).read_bytes()
    for part in ("c=1", "a=7", "a=5:9"):
        with pytest.raises(PsyrunError, match="task 'a': -p: "):
            task.preview(part)
    assert (TaskLayout(Path("psy-work/a")).state).read_bytes() == before
    assert list(task.rows()) == ["1x", "1y", "1z"]


def test_a_run_that_is_killed_before_it_began_goes_on(task: Task) -> None:
    task.accept("a=1")
    assert task.run("a=1") == ["1x", "1y", "1z"]
    task.accept("a=2")
    assert task.run("b=x") == ["0x", "2x", "3x"]
    task.accept("a=3")
    assert task.run() == ["0y", "0z", "2y", "2z", "3y", "3z"]
    assert list(task.rows()) == ALL


def test_rows_of_an_older_version_stay_until_they_are_chosen(task: Task) -> None:
    task.run("a=0,1")
    task.edit("as asked", "as was asked")
    assert task.run("a=1,2", "b=x") == ["1x", "2x"]
    assert any("1 row by an older version is computed again" in s for s in task.said)
    assert any("5 rows kept, made before execute changed" in s for s in task.said)
    assert task.rows() == {
        "0x": 1,
        "0y": 1,
        "0z": 1,
        "1x": 2,
        "1y": 1,
        "1z": 1,
        "2x": 2,
    }
    assert task.run("a=1,2", "b=x") == []
    assert task.run("b=x", "a=0,1") == ["0x"]
    assert status_of(task.path, "a").numbers.n_older == 4  # type: ignore[union-attr]
    # The change is taken back.
    task.edit("as was asked", "as asked")
    assert task.run("a=1") == []
    task.edit("as asked", "as was asked")
    assert task.run() == sorted(set(ALL) - {"0x", "1x", "2x"})
    assert set(task.rows().values()) == {2, 4, 6}


def test_older_rows_of_the_part_are_kept_if_asked_for(task: Task) -> None:
    task.run("a=0,1")
    task.edit("as asked", "as was asked")
    assert task.run("a=1,2", keep_going=True) == ["2x", "2y", "2z"]
    assert set(task.rows().values()) == {1, 2}
    task.edit("max_jobs", "overwrite_dirty = False\nmax_jobs")
    refused = task.preview("a=1")
    assert refused.refusal is None or "overwrite_dirty is False" in refused.refusal
    assert task.preview("a=3").refusal is None


def test_an_older_row_is_not_replaced_against_the_will_of_the_task(task: Task) -> None:
    task.run("a=0,1")
    task.edit("as asked", "as was asked")
    task.edit("max_jobs", "overwrite_dirty = False\nmax_jobs")
    assert "overwrite_dirty is False" in (task.preview("a=1").refusal or "")
    assert task.preview("a=3").refusal is None


def test_rows_of_before_stay_while_a_whole_run_is_given_up_for_a_part(
    task: Task,
) -> None:
    task.run()
    task.edit("as asked", "as was asked")
    called = task.run(blocks=1)
    assert len(called) == 4
    more = task.run("a=3")
    assert set(more) == {"3x", "3y", "3z"}.difference(called)
    rows = task.rows()
    assert list(rows) == ALL
    assert {each for each in ALL if rows[each] > 1} == {*called, *more}
    assert set(task.run()) == set(ALL).difference(called, more)


def test_the_row_of_before_stays_of_what_failed_when_it_was_evaluated_again(
    task: Task,
) -> None:
    task.run()
    task.edit("as asked", "as was asked")
    Path("broken-1y").touch()
    assert task.run("a=1") == ["1x", "1y", "1z"]
    task.run("a=2")
    rows = task.rows()
    assert list(rows) == ALL
    assert {each for each in ALL if rows[each] == 1} == {"1y"} | {
        f"{a}{b}" for a in (0, 3) for b in "xyz"
    }


def test_failed_assignments_are_repeated_where_they_are_chosen(task: Task) -> None:
    Path("broken-1x").touch()
    assert "1x" in task.run("a=1,2")
    Path("broken-1x").unlink()
    assert task.run("a=2") == []
    assert list(task.rows()) == ["1y", "1z", "2x", "2y", "2z"]
    assert task.run("a=1:") == ["1x", "3x", "3y", "3z"]
    assert len(task.rows()) == 9


def test_accepted_failures_are_missing_of_the_whole(task: Task) -> None:
    Path("broken-1x").touch()
    task.run("a=1", accept_failures=True)
    assert list(task.rows()) == ["1y", "1z"]
    Path("broken-1x").unlink()
    assert task.run("b=x") == ["0x", "1x", "2x", "3x"]


def test_rows_of_the_part_are_evaluated_again(task: Task) -> None:
    task.run("a=1,2")
    assert task.run("b=x", rerun="a >= 1") == ["0x", "1x", "2x", "3x"]
    assert task.rows() == {
        "0x": 2,
        "1x": 2,
        "1y": 1,
        "1z": 1,
        "2x": 2,
        "2y": 1,
        "2z": 1,
        "3x": 2,
    }


def test_rows_of_the_part_are_known_as_the_task_file_says(task: Task) -> None:
    task.edit("range(4)", "[0.3, 1.0]")
    task.run()
    task.edit("[0.3, 1.0]", "[0.1 + 0.2, 1.0]")
    task.edit('"z"])', '"z"]) * Param(c=[0, 1])')
    task.edit("(a, b)", "(a, b, c=0)")
    task.edit("max_jobs", "match = {'a': 1e-9}\ndefaults = {'c': 0}\nmax_jobs")
    again = ("a=:0.5", "b=x,y", "c=0")
    name = f"{0.1 + 0.2}x"
    assert task.run(*again, rerun="b == 'x'", keep_going=True) == [name]
    assert any("1 assignment evaluated again (" in line for line in task.said)
    task.run("a=1", rerun="b == 'x' and a < 1", keep_going=True)
    assert any("no row of these has " in line for line in task.said)


def test_what_was_to_be_evaluated_again_waits_while_it_is_not_chosen(
    task: Task,
) -> None:
    task.run("a=1,2")
    task.accept("a=1,2", rerun="b != 'z'")
    assert task.run("a=2") == ["2x", "2y"]
    assert task.rows() == {"1x": 1, "1y": 1, "1z": 1, "2x": 2, "2y": 2, "2z": 1}
    assert task.run("a=2") == []
    assert task.run("a=0") == ["0x", "0y", "0z"]
    assert task.run("a=1") == ["1x", "1y"]
    assert task.run("a=0,1,2") == []


def test_who_keeps_rows_gives_up_to_evaluate_them_again(task: Task) -> None:
    task.run("a=1,2")
    task.accept("a=1,2", rerun="b == 'z'")
    task.run("a=2")
    assert task.run("a=1", keep_going=True) == []
    assert task.run("a=1") == []


def test_a_random_space_is_not_drawn_again(task: Task) -> None:
    task.edit("Param(a=range(4))", "Param(a=[int(Path('first').read_text()), 3])")
    Path("first").write_text("1")
    assert task.run("a=1") == ["1x", "1y", "1z"]
    Path("first").write_text("2")
    with pytest.raises(PsyrunError, match=r"'a' is never 2\. The nearest is 1"):
        task.preview("a=2")
    assert task.run("b=x") == ["3x"]
    assert task.run() == ["3y", "3z"]


def test_what_waits_is_not_said_to_go_on(task: Task) -> None:
    task.edit("max_jobs = 3", "max_jobs = 2")
    task.run("a=1,2")
    task.accept("a=1,2", rerun="b == 'x'")
    assert task.run("a=0", blocks=1) == ["0x", "0y"]
    assert task.run("a=0") == ["0z"]
    assert task.said == ["a: 3 of 12 assignments chosen (a=0)"]
    assert task.run("a=1") == ["1x"]
    assert task.said[1] == "a: 1 assignment evaluated again"
    task.accept("a=2")
    assert task.run("a=2") == ["2x"]
    assert task.said[1] == "a: 1 assignment evaluated again"


def test_what_failed_in_another_part_is_known_to_have_failed(task: Task) -> None:
    task.edit("max_jobs = 3", "max_jobs = 1")
    for name in ("1x", "1y"):
        Path(f"broken-{name}").touch()
    task.run("a=1")
    task.run("a=2")
    Path("broken-1y").unlink()
    assert task.run("b=y", "a=1") == ["1y"]
    failed = "a: 1 assignment evaluated again (failed)"
    for part, said in {
        "a=2": "no assignment of these has failed",
        "b=x": failed,
    }.items():
        assert said in task.preview(part, rerun="failed").said_of_rows[-1]
    assert task.preview(rerun="failed").said_of_rows == [failed]
    assert task.run("a=1", rerun="failed") == ["1x"]
    Path("broken-1x").unlink()
    assert task.preview(rerun="failed").said_of_rows == [failed]
    assert task.run("a=1", rerun="failed") == ["1x"]
    said = task.preview(rerun="failed").said_of_rows
    assert said == ["a: no assignment has failed; nothing is evaluated again"]


def test_hints_name_the_part(task: Task) -> None:
    task.run("a=1", "b=x,y")
    task.edit("as asked", "as was asked")
    again = "-p a=1 -p b=x,y a"
    (said,) = task.preview("a=1", "b=x,y").said_of_rows[1:]
    assert f"'psy run --continue {again}' would keep the rows" in said
    task.edit("max_jobs", "overwrite_dirty = False\nmax_jobs")
    refusal = task.preview("a=1", "b=x,y").refusal
    assert refusal is not None and f"'psy run --continue {again}', or remove" in refusal
    task.run("a=1", "b=x,y", keep_going=True)
    with pytest.raises(PsyrunError, match=f"compute all with 'psy run {again}'"):
        task.preview("a=1", "b=x,y", rerun="b == 'x'")
    task.run("a=2", "b=x: ", keep_going=True, blocks=1)
    with pytest.raises(
        PsyrunError, match="Finish it with 'psy run -p a=2 -p 'b=x: ' a'"
    ):
        clean_old(Path("psy-tasks"), "a")


def test_equal_assignments_are_all_chosen(task: Task) -> None:
    task.edit("Param(a=range(4))", "Param(a=[1, 2, 1])")
    assert task.run("a=1", "b=x") == ["1x", "1x"]
    assert task.run() == ["1y", "1y", "1z", "1z", "2x", "2y", "2z"]


def test_rows_leave_with_an_edit_of_the_space_as_they_always_do(task: Task) -> None:
    task.run("a=1,2")
    task.edit("range(4)", "range(2, 6)")
    assert task.run("a=4", "b=x") == ["4x"]
    assert list(task.rows()) == ["2x", "2y", "2z", "4x"]
    assert task.run("b=x", "a=5", keep_going=True) == ["5x"]
    assert len(task.rows()) == 5
    task.edit("range(2, 6)", "range(4)")
    assert task.run("a=1") == []
    assert list(task.rows())[:6] == ["1x", "1y", "1z", "2x", "2y", "2z"]


def test_rows_of_a_result_that_is_continued_stay(task: Task) -> None:
    task.run("a=1,2")
    subprocess.run(["cp", "psy-work/a/result.pkl", "result.pkl"], check=True)
    subprocess.run(["rm", "-r", "psy-work"], check=True)
    task.edit("max_jobs", "resultfile = 'result.pkl'\nmax_jobs")
    assert task.run("b=x", keep_going=True) == ["0x", "3x"]
    assert len(task.rows()) == 8


def test_a_run_with_fresh_that_was_not_finished_comes_first(task: Task) -> None:
    task.run()
    task.run(is_fresh=True, blocks=1)
    with pytest.raises(PsyrunError, match=r"with --fresh that was not .* -p a=1 a'"):
        task.preview("a=1")
    assert task.run("a=1", keep_going=True) == []
    assert list(task.rows()) == ALL


def test_rows_that_are_replaced_are_not_said_to_be_kept(task: Task) -> None:
    task.run("a=1")
    task.run(is_fresh=True)
    assert task.said == []


def test_a_plan_that_is_lost_is_not_taken_for_the_whole(task: Task) -> None:
    task.run("a=1")
    TaskLayout(Path("psy-work/a")).state.unlink()
    assert task.run("a=1") == []
    assert len(task.run()) == 9


def test_a_space_that_is_lost_is_not_taken_for_the_whole(task: Task) -> None:
    task.run("a=1")
    for path in Path("psy-work/a/round-1").glob("*space*"):
        path.unlink()
    assert task.run("a=1") == []
    assert len(task.run()) == 9
    assert list(task.rows()) == ALL


@pytest.mark.parametrize("order", ["even", "random"])
def test_other_orders_are_those_of_the_part(task: Task, order: str) -> None:
    assert len(task.run("a=1,3", "b=x,z", order=order, blocks=1)) < 4
    assert len(task.run("a=1:", order=order)) > 5
    assert list(task.rows()) == ALL[3:]


def test_a_part_of_a_huge_space_can_be_run(task: Task) -> None:
    more = "Param(c=range(10**6)) * Param(d=range(10**6))"
    task.edit("Param(a=range(4))", f"Param(a=range(4)) * {more}")
    task.edit("(a, b)", "(a, b, c, d)")
    assert task.run("a=2", "c=5:7", "b=x", "d=999999") == ["2x", "2x"]
    assert load("a")["c"] == [5, 6]
    assert task.run("a=2", "c=5:7", "b=x", "d=999999") == []
    assert status_of(task.path, "a").numbers.n_done == 2  # type: ignore[union-attr]
    assert task.run("a=2", "c=5:8", "b=x", "d=999999") == ["2x"]
    assert task.run("a=1", "c=7", "b=x", "d=999999") == ["1x"]
    assert load("a")["c"] == [7, 5, 6, 7]
    assert dict(load("a", as_="xarray").sizes) == {"a": 2, "c": 3}
    task.edit("range(4)", "[1, 1, 2]")
    with pytest.raises(PsyrunError, match="Choose the part in the task file"):
        task.preview("a=2", "c=5:9", "b=x", "d=999999")
