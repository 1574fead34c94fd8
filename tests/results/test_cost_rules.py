"""Which assignments cost most, told from the records of a task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from psyrun.cli.main import main
from psyrun.results.assignments import assignment_states
from psyrun.results.cost_rules import TIME_NOISE, CostRule, costliest
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import layout_of

TASK = """\
from psyrun import Param

pspace = Param(solver=["euler", "rk4"]) * Param(n=[1, 2, 3, 4]) * Param(seed=range(25))
max_jobs = 1


def execute(solver, n, seed):
    return {"y": n}
"""
PATH = Path("psy-tasks/task_a.py")
SOLVER, N, SEED = np.indices((2, 4, 25)).reshape(3, -1)
MIB = 1024


def record(durations: np.ndarray, peaks: np.ndarray, n_rows: int = 200) -> None:
    """Write what a job would, with costs that are given."""
    path = layout_of(PATH.parent, "a").round(1).journal(0, 0)
    path.parent.mkdir()
    journal = Journal(path, {})
    for row in range(n_rows):
        costs = 1.0 + row, float(durations[row]), int(peaks[row])
        journal.row(row, *costs, {"solver": "", "n": 0, "seed": 0, "y": 0})
    journal.close()


def rules() -> list[CostRule]:
    return list(assignment_states(PATH, "a").cost_rules)


@pytest.fixture
def divided(done: Callable[..., None]) -> None:
    """Divide the space of a task."""
    done(TASK, "split")


@pytest.mark.usefixtures("divided")
def test_the_slowest_tenth_and_that_with_most_memory_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    noise = np.random.default_rng(0).random(200)
    is_slow = (SOLVER == 1) & (N == 3)
    record(np.where(is_slow, 4, 1) + noise, np.where(SEED >= 23, 300, 100) * MIB)
    time_rule, memory_rule = rules()
    assert time_rule.in_words == (
        "all 20 of 20 have solver = rk4 and n = 4 (of 25 such assignments)"
    )
    assert time_rule.headline.startswith("the slowest tenth took 4.")
    assert memory_rule.headline == (
        "the tenth with most memory used 300 MiB or more; the median is 100 MiB"
    )
    assert (
        memory_rule.in_words == "all 16 of 16 have seed ≥ 23 (of 16 such assignments)"
    )
    assert main(["status", "-v", "a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index(f"a: {time_rule.headline}")
    assert lines[at + 1] == f"  {time_rule.in_words}"


@pytest.mark.usefixtures("divided")
def test_costs_at_random_have_no_rule() -> None:
    random = np.random.default_rng(1)
    record(random.exponential(1.0, 200), random.integers(50, 500, 200) * MIB)
    assert [rule.rule for rule in rules()] == [None, None]


@pytest.mark.usefixtures("divided")
def test_costs_that_are_about_equal_are_not_told() -> None:
    random = np.random.default_rng(1)
    record(1 + random.random(200) / 20, np.full(200, 100 * MIB))
    assert rules() == []


@pytest.mark.usefixtures("divided")
def test_a_few_rows_are_too_few() -> None:
    record(np.arange(200.0), np.arange(200) * MIB, n_rows=19)
    assert rules() == []


@pytest.mark.usefixtures("divided")
def test_only_rows_that_there_are_count() -> None:
    durations = np.where(SEED >= 20, 9.0, 1.0) + np.random.default_rng(0).random(200)
    record(durations, np.full(200, MIB), n_rows=100)
    (rule,) = rules()
    assert rule.in_words == "all 10 of 10 have seed ≥ 20 (of 20 such assignments)"


@pytest.mark.usefixtures("divided")
def test_rows_of_unknown_costs_do_not_count() -> None:
    durations = np.where(SEED >= 20, 9.0, 1.0) + np.random.default_rng(0).random(200)
    durations[SOLVER == 0] = np.nan
    peaks = np.where(SOLVER == 0, 0, np.where(SEED >= 20, 300, 100) * MIB)
    record(durations, peaks)
    time_rule, memory_rule = rules()
    assert time_rule.headline.endswith("the median is 1.7 s")
    words = "all 10 of 10 have seed ≥ 20 (of 20 such assignments)"
    assert time_rule.in_words == words
    assert memory_rule.headline.endswith("the median is 100 MiB")


def test_the_costliest_tenth_of_rows_that_are_known() -> None:
    costs = np.where(np.arange(100) % 10 == 3, 5.0, 1.0)
    costs[:50] = np.nan
    found = costliest(costs)
    assert found is not None
    assert found.tolist() == [53, 63, 73, 83, 93]
    assert costliest(costs[:69]) is None  # of 19 rows


def test_noise_of_the_clock_is_not_told() -> None:
    costs = np.where(np.arange(100) % 10 == 3, 9e-4, 1e-5)
    assert costliest(costs) is not None
    assert costliest(costs, TIME_NOISE) is None
    assert costliest(costs * 1000, TIME_NOISE) is not None
