"""What was predicted before a run stands beside what it has cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psyrun.cli.main import main
from psyrun.results.assignments import assignment_states
from psyrun.results.predicted import Comparison, comparison_of
from psyrun.utils.ranges import Range
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import TaskLayout, layout_of
from psyrun.workdir.prediction import PredictionRecord

TASK = """\
from psyrun import Param

pspace = Param(x=range(8))
max_jobs = 1


def execute(x):
    return {"y": x}
"""
PATH = Path("psy-tasks/task_a.py")
HOUR, GIB = 3600.0, 2.0**30
RECORD = PredictionRecord(
    made=1e9,
    n_assignments=100,
    n_known=3,
    total_seconds=Range(3.1 * HOUR, 2.8 * HOUR, 3.5 * HOUR),
    largest_seconds=Range(120.0, 90.0, 180.0),
    largest_parameters={"n": "512", "solver": "'rk4'"},
    peak_bytes=Range(0.9 * GIB, 0.8 * GIB, 1.1 * GIB),
    fits=True,
    reason="",
    fingerprint="",
)
WHOLE = Comparison(RECORD, 100, 100, 3.0 * HOUR, 110.0, 0.85 * GIB)


def test_what_a_whole_run_has_cost_is_compared() -> None:
    assert WHOLE.lines == [
        "time 3 h 6 min (2 h 48 min to 3 h 30 min) on one core; it was 3 h, 3 % less",
        "slowest 2 min (1 min 30 s to 3 min); it was 1 min 50 s",
        "it was to be n=512, solver='rk4'",
        "memory 922 MiB (819 MiB to 1.1 GiB); it was 870 MiB",
    ]


def test_what_a_part_has_cost_is_told_with_its_size() -> None:
    part = replace(WHOLE, n_counted=40, seconds=1.2 * HOUR, slowest=30.0)
    assert part.lines == [
        "time 3 h 6 min (2 h 48 min to 3 h 30 min) on one core; it was "
        "1 h 12 min so far, in 40 of 100 assignments",
        "slowest 2 min (1 min 30 s to 3 min); it was 30 s so far",
        "it was to be n=512, solver='rk4'",
        "memory 922 MiB (819 MiB to 1.1 GiB); it was 870 MiB so far",
    ]


def test_another_space_is_told() -> None:
    larger = replace(WHOLE, n_assignments=120, n_counted=120)
    assert not larger.is_complete
    assert larger.lines[:2] == [
        "time 3 h 6 min (2 h 48 min to 3 h 30 min) on one core; it was "
        "3 h so far, in 120 of 120 assignments",
        "this was for a space of 100 assignments",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3.1 * HOUR, "it was 3 h 6 min, as predicted"),
        (3.4 * HOUR, "it was 3 h 24 min, 10 % more"),
        (3.9 * HOUR, "it was 3 h 54 min, 26 % more, outside of that"),
        (1.55 * HOUR, "it was 1 h 33 min, 50 % less, outside of that"),
    ],
)
def test_the_difference_is_told_and_whether_it_was_expected(
    seconds: float, text: str
) -> None:
    line = replace(WHOLE, seconds=seconds).lines[0]
    assert line.partition("; ")[2] == text


@pytest.mark.parametrize(
    ("changes", "is_outside"),
    [
        ({"slowest": 200.0}, True),
        ({"slowest": 80.0}, True),
        ({"slowest": 80.0, "n_counted": 40}, False),
        ({"slowest": 200.0, "n_counted": 40}, True),
        ({"slowest": 150.0}, False),
    ],
)
def test_the_slowest_may_be_outside_of_what_was_predicted(
    changes: dict[str, Any], is_outside: bool
) -> None:
    line = next(
        line for line in replace(WHOLE, **changes).lines if line.startswith("slowest")
    )
    assert line.endswith(", outside of that") is is_outside


def test_what_is_not_known_is_not_told() -> None:
    record = replace(
        RECORD,
        largest_seconds=Range(120.0, 90.0, math.inf),
        largest_parameters={},
        fits=False,
        reason="2 pilots that succeeded are too few for a model",
    )
    assert replace(WHOLE, record=record, peak_bytes=None).lines[1:] == [
        "slowest 2 min (1 min 30 s or more); it was 1 min 50 s",
        "no model was used, as 2 pilots that succeeded are too few for a model",
    ]
    assert "memory" not in str(
        replace(WHOLE, record=replace(RECORD, peak_bytes=None)).lines
    )


def test_nothing_costs_no_infinite_percentage() -> None:
    record = replace(RECORD, total_seconds=Range(0.0, 0.0, 0.0))
    assert replace(WHOLE, record=record, seconds=0.0).lines[0] == (
        "time < 1 ms on one core; it was < 1 ms"
    )


@pytest.fixture
def layout(done: Callable[..., None]) -> TaskLayout:
    """A task whose space of eight is divided, and of which six have rows."""
    done(TASK, "split")
    found = layout_of(PATH.parent, "a")
    path = found.round(1).journal(0, 0)
    path.parent.mkdir()
    journal = Journal(path, {})
    for row in range(6):
        journal.row(row, 1.0 + row, 2.0 + row, 1024 * (100 + row), {"x": row, "y": 0})
    journal.close()
    return found


def compared(layout: TaskLayout) -> Comparison | None:
    states = assignment_states(PATH, "a")
    assert states.data is not None
    assert states.plan is not None
    return comparison_of(layout, states.plan, states.data)


def test_rows_are_summed_up(layout: TaskLayout) -> None:
    assert compared(layout) is None
    RECORD.save(layout)
    assert compared(layout) == Comparison(RECORD, 8, 6, 27.0, 7.0, 105 * 2.0**20)


def test_what_was_predicted_first_counts(layout: TaskLayout) -> None:
    first = replace(RECORD, n_assignments=8)
    first.save_as_first(layout.round(1))
    RECORD.save(layout)
    found = compared(layout)
    assert found is not None
    assert found.record == first


def test_what_was_predicted_before_the_space_was_divided_counts(
    done: Callable[..., None], layout: TaskLayout
) -> None:
    RECORD.save(layout)
    done(TASK.replace("range(8)", "range(9)"), "split", keep_going=True)
    replace(RECORD, made=2e9).save(layout)
    found = compared(layout)
    assert found is not None
    assert (found.record, found.n_assignments) == (RECORD, 9)


def test_what_all_rows_were_known_for_is_no_prediction(layout: TaskLayout) -> None:
    replace(RECORD, n_known=6).save(layout)
    assert compared(layout) is None


def test_what_was_predicted_for_another_version_does_not_count(
    layout: TaskLayout,
) -> None:
    replace(RECORD, fingerprint="another").save(layout)
    assert compared(layout) is None


def test_a_damaged_record_is_no_reason_to_stop(
    layout: TaskLayout, capsys: pytest.CaptureFixture[str]
) -> None:
    layout.prediction.write_text("{")
    assert main(["status", "-v"]) == 0
    assert "predicted" not in capsys.readouterr().out


def test_status_shows_both(
    layout: TaskLayout, capsys: pytest.CaptureFixture[str]
) -> None:
    RECORD.save(layout)
    assert main(["status"]) == 0
    assert "predicted" not in capsys.readouterr().out
    assert main(["status", "-v"]) == 0
    assert (
        "\na: what was predicted before the run, and what it was\n"
        "  time 3 h 6 min (2 h 48 min to 3 h 30 min) on one core; it was 27 s so far, "
        "in 6 of 8 assignments\n"
        "  this was for a space of 100 assignments\n"
    ) in capsys.readouterr().out
