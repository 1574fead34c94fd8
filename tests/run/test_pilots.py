"""Pilots of a task, evaluated by its jobs in this process, without Snakemake."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from accepting import accept_plan

from psyrun.errors import PsyrunError, RunningError
from psyrun.estimate import Estimate, NoEstimate
from psyrun.planning.prepare import PlanOptions, load_tasks
from psyrun.results.load import load
from psyrun.run import pilots
from psyrun.run.controller import RunOutcome
from psyrun.run.display import PlainDisplay
from psyrun.run.pilots import Foreseen, PilotOptions, foresee
from psyrun.run.status import status_of
from psyrun.steps.main import run
from psyrun.utils.console import warn
from psyrun.workdir.plan import Plan
from psyrun.workdir.progress import RoundProgress

TASK = """\
import time
from pathlib import Path

from psyrun import Param

pspace = Param(a=range(1, 11)) * Param(b=["x", "y"])
max_jobs = 3


def execute(a, b):
    with open("calls", "a") as file:
        file.write(f"{a}{b} ")
    time.sleep(2e-3 * a)
    return {"y": a}
"""
ALL = [f"{a}{b}" for a in range(1, 11) for b in "xy"]
PATH = Path("psy-tasks/task_a.py")
pytestmark = pytest.mark.slow


def calls() -> list[str]:
    path = Path("calls")
    found = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def write(*edits: tuple[str, str]) -> None:
    text = PATH.read_text() if PATH.exists() else TASK
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    PATH.write_text(text)


def evaluate(**options: Any) -> list[str]:
    """Do all that a run does; return what was called."""
    task = accept_plan(PATH, **options)
    where = [str(task.layout.folder), str(task.plan.round)]
    if task.decision.split:
        assert run(["split", *where]) == 0
    for block in task.decision.blocks:
        run(["process", *where, str(block)])
    if task.decision.merge:
        run(["merge", *where])
    task.release()
    return calls()


class _Here(pilots.Controller):
    """Has the jobs of a plan done in this process."""

    most = 99

    def run(self, **_: Any) -> RunOutcome:
        (task,) = self._tasks.values()
        where = [str(task.layout.folder), str(task.plan.round)]
        statuses = [run(["split", *where])] if task.decision.split else []
        for block in task.decision.blocks[: self.most]:
            statuses.append(run(["process", *where, str(block)]))
        tally = RoundProgress(task.layout.round(task.plan.round)).tally()
        outcome = RunOutcome(status=max(statuses), tally=tally)
        outcome.is_out_of_time = len(task.decision.blocks) > self.most
        note = {"type": "FailedAssignmentsError"}
        job = SimpleNamespace(note=note)
        outcome.failures = [job] * sum(map(bool, statuses))  # type: ignore[list-item]
        return outcome


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pilots, "Controller", _Here)
    PATH.parent.mkdir()
    write()
    return tmp_path


def plan(**options: Any) -> Foreseen:
    return foresee(PATH, PilotOptions(**options))


def n_done() -> tuple[str, int, int]:
    status = status_of(PATH, "a")
    assert status.numbers is not None
    return status.state, status.numbers.n_done, status.numbers.n_failed


def test_the_rest_is_evaluated_by_the_run_that_follows() -> None:
    found = plan(n_pilots=8)
    first = calls()
    assert len(first) == len(set(first)) <= 8
    assert isinstance(found.known.estimate, Estimate)
    assert sorted(ALL[i] for i in found.known.evaluated.rows) == sorted(first)
    assert n_done() == ("incomplete", len(first), 0)
    assert len(load("a", partial=True)["y"]) == len(first)
    assert sorted([*first, *evaluate()]) == sorted(ALL)
    assert load("a")["y"] == [int(each[:-1]) for each in ALL]
    assert n_done() == ("done", 20, 0)


def test_pilots_have_both_ends_and_all_levels() -> None:
    plan(n_pilots=14)
    first = calls()
    assert {each[-1] for each in first} == {"x", "y"}
    assert {"1", "10"} <= {each[:-1] for each in first}


def test_what_is_known_is_not_evaluated_again() -> None:
    before = plan(n_pilots=8)
    calls()
    again = plan(n_pilots=8)
    assert calls() == []
    assert again.n_before == len(before.known.evaluated)
    assert again.known.estimate == before.known.estimate


def test_a_task_that_is_done_stays_done() -> None:
    evaluate()
    state = Path("psy-work/a/state.json").read_bytes()
    found = plan()
    assert calls() == []
    assert Path("psy-work/a/state.json").read_bytes() == state
    assert n_done() == ("done", 20, 0)
    assert isinstance(found.known.estimate, Estimate)
    assert found.known.estimate.n_pilots == 20
    assert found.known.estimate.time.total.ratio == 1


def test_all_is_known_if_a_change_was_taken_back() -> None:
    evaluate()
    write(('"y": a', '"y": a + 1'))
    evaluate()
    calls()
    write(('"y": a + 1', '"y": a'))
    found = plan()
    assert calls() == []
    assert found.n_before == len(found.known.evaluated) == 20
    assert evaluate() == []


def test_all_is_known_if_a_change_with_pilots_was_taken_back() -> None:
    evaluate()
    write(('"y": a', '"y": a + 1'))
    plan(n_pilots=4)
    assert 2 <= len(calls()) <= 4
    write(('"y": a + 1', '"y": a'))
    found = plan()
    assert calls() == []
    assert found.n_before == len(found.known.evaluated) == 20
    assert evaluate() == []


def test_a_pilot_that_was_ended_is_not_forgotten_by_the_next_plan() -> None:
    write(
        ("2e-3 * a", "100 if a > 8 else 2e-3 * a"),
        ("max_jobs", "timeout = 0.3\nmax_jobs"),
    )
    first = plan(n_pilots=8)
    assert first.failed
    assert least_of_slowest(first) >= 0.3
    again = plan(n_pilots=4)
    assert again.failed == []
    assert least_of_slowest(again) >= 0.3
    # Another version may take less.
    write(("100 if a > 8 else", ""))
    other = plan(n_pilots=8)
    assert other.failed == []
    assert least_of_slowest(other) < 0.3


def least_of_slowest(found: Foreseen) -> float:
    assert isinstance(found.known.estimate, Estimate)
    return found.known.estimate.time.largest.cost.low


def test_a_task_that_was_partly_run_needs_fewer_pilots() -> None:
    evaluate(part=("a=1:6",))
    calls()
    found = plan(n_pilots=12)
    assert len(calls()) <= 2
    assert found.n_before == 10


def test_all_of_a_small_space_is_evaluated_and_only_merged_then() -> None:
    write(("range(1, 11)", "[3]"))
    found = plan()
    assert sorted(calls()) == ["3x", "3y"]
    assert found.known.is_sure
    assert evaluate() == []
    assert load("a")["b"] == ["x", "y"]
    assert n_done() == ("done", 2, 0)


class _Display(PlainDisplay):
    """Remembers the ones that are shown."""

    open: ClassVar[list[_Display]] = []
    n_made = 0

    def __init__(self) -> None:
        super().__init__()
        self.open.append(self)
        type(self).n_made += 1

    def close(self) -> None:
        super().close()
        if self in self.open:
            self.open.remove(self)


def test_progress_is_shown_in_each_round_and_not_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pilots, "choose_display", lambda **_: _Display())
    monkeypatch.setattr(_Display, "n_made", 0)
    write(("2e-3 * a", "0"), ('"y": a', '"y": 1 / 0'))
    plan(n_pilots=8)
    assert _Display.n_made == 3
    assert _Display.open == []
    write(("1 / 0", "a"))
    evaluate()
    plan()
    assert _Display.n_made == 3

    def fails(_: Any, **__: Any) -> RunOutcome:
        raise PsyrunError("no")

    monkeypatch.setattr(_Here, "run", fails)
    write(('"y": a', '"y": a + 1'))
    with pytest.raises(PsyrunError, match="no"):
        plan(n_pilots=8)
    assert _Display.n_made == 4
    assert _Display.open == []


def test_one_assignment_is_all_that_there_is() -> None:
    write(("range(1, 11)", "[3]"), ('["x", "y"]', '["x"]'))
    found = plan().known.estimate
    assert calls() == ["3x"]
    assert isinstance(found, Estimate)
    assert found.time.total.low == found.time.total.high > 0


def test_failures_are_told_and_tried_again_by_the_run() -> None:
    write(("    return", "    assert b == 'x', 'no y'\n    return"))
    found = plan(n_pilots=8)
    assert isinstance(found.known.estimate, Estimate)
    failed = found.known.estimate.failures
    assert failed
    assert {each.parameters["b"] for each in failed} == {"y"}
    for each in failed:
        assert "no y" in found.known.causes[each.index]
    first = calls()
    assert len(first) == len(set(first)) == 8
    again = evaluate()
    assert {f"{each.parameters['a']}y" for each in failed} <= set(again)
    assert not {each for each in first if each[-1] == "x"}.intersection(again)


def test_nothing_is_said_if_nothing_succeeds() -> None:
    write(("    return", "    raise ValueError('as asked')\n    return"))
    found = plan(n_pilots=6).known.estimate
    assert isinstance(found, NoEstimate)
    assert len(found.failures) == 6
    assert len(calls()) == 6
    # The cause may not be in the code.
    plan(n_pilots=2)
    assert len(calls()) == 2


def test_pilots_that_take_longer_than_the_budget_are_ended() -> None:
    write(("2e-3 * a", "100"))
    found = plan(n_pilots=4, budget=0.2)
    assert isinstance(found.known.estimate, NoEstimate)
    assert found.is_spent
    assert len(found.cut_off) == 2
    assert found.failed == []
    assert n_done() == ("incomplete", 0, 2)
    message = "TimedOut: took longer than 0.2 s, what was left of the budget of"
    for cause in found.known.causes.values():
        assert cause.startswith(message)


def test_pilots_that_take_longer_than_the_task_file_allows_have_failed() -> None:
    write(("2e-3 * a", "100"), ("max_jobs", "timeout = 0.1\nmax_jobs"))
    found = plan(n_pilots=2, budget=60)
    assert found.cut_off == []
    assert len(found.failed) == 2
    assert not found.is_spent
    causes = set(found.known.causes.values())
    assert causes == {"TimedOut: took longer than timeout = 0.1 s"}


def test_the_limit_of_pilots_does_not_hold_for_the_run() -> None:
    plan(n_pilots=2, budget=0.5)
    plan_file = Plan.required(accept_plan(PATH).layout)
    assert plan_file.limit is None
    assert not plan_file.is_of_pilots


def test_rounds_end_when_there_is_no_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_Here, "most", 1)
    found = plan(n_pilots=16)
    assert len(calls()) == 1
    assert found.is_spent
    assert n_done()[1] == 1


def test_other_settings_are_those_of_the_task_again() -> None:
    write(
        (
            "max_jobs = 3",
            "max_jobs = 3\npool_size = 2\nbackend = LoadBalancingBackend()",
        ),
        ("import time", "import time\nfrom psyrun.backend import LoadBalancingBackend"),
    )
    plan(n_pilots=6)
    first = calls()
    task = accept_plan(PATH)
    assert (task.plan.pool_size, task.plan.n_blocks) == (2, 3)
    assert task.plan.fetches
    assert task.plan.threads == "auto"
    task.release()
    assert sorted([*first, *evaluate()]) == sorted(ALL)


def test_a_random_space_is_drawn_once() -> None:
    write(
        ("import time", "import random, time"),
        ("range(1, 11)", "[random.randrange(1000) for _ in range(10)]"),
        ("2e-3 * a", "1e-5 * a"),
    )
    found = plan(n_pilots=8)
    first = calls()
    rows = [found.known.space[int(i)] for i in found.known.evaluated.rows]
    assert sorted(f"{row['a']}{row['b']}" for row in rows) == sorted(first)
    rest = evaluate()
    assert len(first) + len(rest) == 20
    assert {each[:-1] for each in rest} <= {str(p["a"]) for p in found.known.space}


def test_equal_assignments_are_several_ones() -> None:
    write(("range(1, 11)", "[4] * 10"))
    found = plan(n_pilots=8)
    assert isinstance(found.known.estimate, Estimate)
    first = calls()
    assert len(first) == len(found.known.evaluated)
    assert len(first) + len(evaluate()) == 20
    assert len(load("a")["y"]) == 20


def test_replicates_are_spread_too() -> None:
    write(
        ("import Param", "import Param\nfrom psyrun.pspace import replicates"),
        ('b=["x", "y"])', "b=['x'])\npspace = pspace * replicates(5, seed=1)"),
        ("execute(a, b)", "execute(a, b, rng)"),
    )
    found = plan(n_pilots=8)
    assert isinstance(found.known.estimate, Estimate)
    assert found.known.estimate.n_assignments == 50
    n_first = len(calls())
    assert n_first <= 8
    assert len(evaluate()) == 50 - n_first


def test_levels_that_no_pilot_has_are_counted() -> None:
    write(
        ('["x", "y"]', "[f'level{i}' for i in range(1000)]"),
        ("2e-3 * a", "1e-4 * a"),
    )
    found = plan(n_pilots=6).known.estimate
    assert isinstance(found, Estimate)
    assert found.unseen["b"] >= 994
    assert found.n_assignments == 10000


def test_rows_of_before_stay_in_the_result_when_the_code_has_changed() -> None:
    evaluate()
    write(('{"y": a}', '{"y": -a}'))
    before = Path("psy-work/a/result.pkl").read_bytes()
    found = plan(n_pilots=4)
    first = calls()
    assert 2 <= len(first) <= 4
    assert found.n_before == 0
    assert Path("psy-work/a/result.pkl").read_bytes() == before
    # It is said as if there had been no pilots.
    (task,) = load_tasks([PATH], PlanOptions())
    task.preview(warn)
    assert task.decision.is_dirty
    # The change is taken back.
    write(('{"y": -a}', '{"y": a}'))
    assert evaluate() == []
    assert load("a")["y"] == [int(each[:-1]) for each in ALL]
    write(('{"y": a}', '{"y": -a}'))
    assert sorted([*first, *evaluate()]) == sorted(ALL)


def test_rows_that_may_not_be_replaced_are_refused() -> None:
    evaluate()
    write(('{"y": a}', '{"y": -a}'), ("max_jobs", "overwrite_dirty = False\nmax_jobs"))
    with pytest.raises(PsyrunError, match="overwrite_dirty is False"):
        plan()


def test_former_rows_come_back_if_the_run_continues() -> None:
    evaluate()
    write(("range(1, 11)", "range(5, 16)"))
    plan(n_pilots=20)
    evaluate(keep_going=True)
    assert set(load("a")["y"]) == set(range(1, 16))


def test_older_rows_stay_if_the_run_continues() -> None:
    evaluate()
    write(('{"y": a}', '{"y": -a}'))
    plan(n_pilots=4)
    n_pilots = len(calls())
    assert evaluate(keep_going=True) == []
    assert sum(y < 0 for y in load("a")["y"]) == n_pilots
    assert len(load("a")["y"]) == 20


def test_an_extended_space_takes_its_rows_over() -> None:
    evaluate()
    write(("range(1, 11)", "range(1, 101)"))
    found = plan(n_pilots=40)
    first = calls()
    assert len(found.known.evaluated) == 20 + len(first)
    assert not set(first).intersection(ALL)
    assert len(evaluate()) == 180 - len(first)


def test_a_result_of_unknown_rows_is_refused() -> None:
    write(("max_jobs", "resultfile = 'result.pkl'\nmax_jobs"))
    evaluate()
    Path("psy-work").rename("away")
    with pytest.raises(PsyrunError, match=r"'psy run --continue a' adds to it\."):
        plan()


def test_a_result_whose_rounds_are_gone_is_refused() -> None:
    evaluate()
    for name in ("round-1", "state.json"):
        Path("psy-work/a", name).rename(name)
    with pytest.raises(PsyrunError, match=r"nothing is known of its rows\. Take"):
        plan()


def test_a_run_with_fresh_that_was_not_finished_comes_first() -> None:
    evaluate()
    accept_plan(PATH, is_fresh=True).release()
    with pytest.raises(PsyrunError, match="psy plan keeps the rows that are there"):
        plan()


def test_a_task_that_runs_is_refused() -> None:
    task = accept_plan(PATH)
    with pytest.raises(RunningError, match="Follow it with 'psy attach a'"):
        plan()
    task.release()


def test_a_space_without_points_is_refused() -> None:
    write(("range(1, 11)", "[]"))
    with pytest.raises(PsyrunError, match="pspace"):
        plan()


def test_an_interruption_keeps_what_was_evaluated(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole: Callable[..., RunOutcome] = _Here.run

    def interrupted(self: _Here, **options: Any) -> RunOutcome:
        outcome = whole(self, **options)
        outcome.is_out_of_time, outcome.was_interrupted = False, True
        return outcome

    monkeypatch.setattr(_Here, "most", 3)
    monkeypatch.setattr(_Here, "run", interrupted)
    assert plan(n_pilots=16).status == 130
    assert "3 of 8 assignments are kept. Go on with 'psy plan a'." in (
        capfd.readouterr().err
    )
    first = calls()
    monkeypatch.setattr(_Here, "run", whole)
    monkeypatch.setattr(_Here, "most", 99)
    with contextlib.suppress(FileNotFoundError):
        Path("psy-work/a/stop").unlink()
    plan(n_pilots=8)
    assert not set(calls()).intersection(first)
