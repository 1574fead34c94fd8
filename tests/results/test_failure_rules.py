"""Where a task fails, told from its records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from psyrun.results.failure_rules import NO_PATTERN, TaskFailures
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import layout_of

TASK = """\
from psyrun import Param

pspace = Param(solver=["euler", "rk4"]) * Param(n=[1, 2, 3, 4]) * Param(seed=range(10))
max_jobs = 4


def execute(solver, n, seed):
    if solver == "rk4" and n > 2 and seed != 5:
        raise ValueError(n)
    return {"y": n}
"""
RULE = "all 18 of 18 failures have solver = rk4 and n ≥ 3 (of 20 such assignments)"
BLOCKS = [f"process {block}" for block in range(4)]


def failures() -> TaskFailures:
    return TaskFailures.load(layout_of(Path("psy-tasks"), "a"))


def test_rows_in_blocks_and_journals_are_known(done: Callable[..., None]) -> None:
    done(TASK, "split", *BLOCKS)
    assert failures().in_words() == RULE


def test_so_they_are_after_a_merge_without_what_failed(
    done: Callable[..., None],
) -> None:
    done(TASK, accept=True)
    assert failures().in_words() == RULE


def test_so_they_are_where_jobs_fetch_their_work(done: Callable[..., None]) -> None:
    backend = "from psyrun.backend import LoadBalancingBackend\n"
    done(f"{backend}{TASK}\nbackend = LoadBalancingBackend\n", "split", *BLOCKS)
    assert failures().in_words() == RULE


@pytest.mark.slow
def test_so_are_rows_of_before_that_are_kept(done: Callable[..., None]) -> None:
    done(TASK.replace('"euler", "rk4"', '"euler"'))
    done(TASK, "split", *BLOCKS)
    assert failures().in_words() == RULE


def test_what_is_not_evaluated_is_not_known(done: Callable[..., None]) -> None:
    done(TASK, "split", "process 2", "process 3")
    # All with this solver: with more of it, this could not be told.
    assert failures().in_words() == (
        "all 18 of 18 failures have n ≥ 3 (of 20 such assignments)"
    )


def test_failures_here_and_there_have_no_pattern(done: Callable[..., None]) -> None:
    everywhere = TASK.replace('solver == "rk4" and n > 2', "(7 * n + seed) % 8 == 3")
    done(everywhere, "split", *BLOCKS)
    found = failures()
    assert len(found.failures) >= 5
    assert found.in_words() == NO_PATTERN


def test_two_failures_are_too_few_to_say_so(done: Callable[..., None]) -> None:
    done(TASK.replace("seed != 5", "seed + n == 7"), "split", *BLOCKS)
    found = failures()
    assert len(found.failures) == 2
    assert found.in_words() == ""


def test_one_failure_has_nothing_in_common(done: Callable[..., None]) -> None:
    done(TASK.replace("seed != 5", "seed + n == 13"), "split", *BLOCKS)
    assert len(failures().failures) == 1
    assert failures().in_words() == ""


def test_where_all_that_is_known_failed_nothing_is_told(
    done: Callable[..., None],
) -> None:
    done(TASK, "split")
    path = layout_of(Path("psy-tasks"), "a").round(1).journal(0, 0)
    path.parent.mkdir()
    journal = Journal(path, {})
    told = {"type": "KeyError", "message": "", "where": "", "traceback": ""}
    for index in range(5):
        journal.failure(index, 1.0 + index, 0.1, 0, {**told, "parameters": {}})
    journal.close()
    found = failures()
    assert (len(found.failures), found.in_words()) == (5, "")


def test_without_its_space_there_is_no_rule(done: Callable[..., None]) -> None:
    done(TASK, "split", *BLOCKS)
    found = failures()
    layout_of(Path("psy-tasks"), "a").round(1).space.write_bytes(b"no pickle")
    assert (len(found.failures), found.in_words()) == (18, "")


def test_a_task_that_was_never_run_has_no_failures(done: Callable[..., None]) -> None:
    Path("psy-tasks/task_a.py").write_text(TASK)
    assert failures().failures == []
    assert failures().in_words() == ""
