"""What the page shows is what psyrun.load and psyrun.failed return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import psyrun
from psyrun.errors import PsyrunError
from psyrun.report.page.collecting import (
    DONE,
    FAILED,
    RUNNING,
    TO_DO,
    Sweep,
    collect,
)
from psyrun.report.sweep import Sweep as PlottedSweep
from psyrun.results.costs import cost_columns
from psyrun.results.failure_rules import TaskFailures
from psyrun.results.load import RecordedTask, find_task

Evaluated = Callable[..., RecordedTask]
SQUARE = """\
from psyrun import Param

pspace = Param(x=[1, 2])


def execute(x):
    return {"y": x**2}
"""
DONE_STEPS = ("split", "process 0", "process 1", "merge")


def named(sweep: Sweep) -> tuple[list[str], list[str], list[str]]:
    groups = (sweep.parameters, sweep.results, sweep.costs)
    p, r, c = ([each.label.name for each in group] for group in groups)
    return p, r, c


def rows_by_parameter(sweep: Sweep) -> dict[str, list[object]]:
    return {
        each.label.name: [each.levels[code] for code in each.codes]
        for each in sweep.parameters
    }


@pytest.mark.parametrize("steps", [DONE_STEPS, DONE_STEPS[:3]])
def test_numbers_are_those_of_load(evaluated: Evaluated, steps: tuple[str]) -> None:
    task = evaluated(*steps, keep_going=True)
    sweep = collect(task)
    assert named(sweep) == (["n", "solver", "seed"], ["error"], ["time", "memory"])
    is_done = sweep.status == DONE
    columns = psyrun.load("sweep", partial=True, costs=True)
    np.testing.assert_array_equal(sweep.results[0].values[is_done], columns["error"])
    time, memory = sweep.costs
    np.testing.assert_array_equal(time.values[is_done], columns["cost_duration"])
    peaks = np.asarray(columns["cost_peak_memory"]) / 2**20
    np.testing.assert_array_equal(memory.values[is_done], peaks)
    assert np.isnan(sweep.results[0].values[~is_done]).all()
    rows = rows_by_parameter(sweep)
    for key in ("n", "solver", "seed"):
        done = [
            value for value, is_one in zip(rows[key], is_done, strict=True) if is_one
        ]
        assert done == list(columns[key])


def test_each_assignment_has_its_state(evaluated: Evaluated) -> None:
    task = evaluated("split", "process 1", keep_going=True)
    sweep = collect(task, running=[2])
    assert list(sweep.status[:6]) == [TO_DO, TO_DO, RUNNING, TO_DO, TO_DO, TO_DO]
    failed = psyrun.failed("sweep")
    assert list(np.flatnonzero(sweep.status == FAILED)) == failed["number"] == [10, 11]
    assert sweep.n_of_status == {DONE: 4, FAILED: 2, RUNNING: 1, TO_DO: 5}
    assert len(sweep) == sweep.n_assignments == 12
    assert [each.index for each in sweep.failures.failures] == [10, 11]


def test_failed_assignments_are_in_the_timeline(evaluated: Evaluated) -> None:
    sweep = collect(evaluated("split", "process 1", keep_going=True))
    assert sweep.timeline is not None
    lanes = sweep.timeline.lanes
    assert sum(lane.n_rows for lane in lanes) == sweep.n_of_status[DONE]
    assert sum(lane.n_failed for lane in lanes) == 2
    times = [each.duration for each in sweep.failures.failures]
    in_vain = sum(lane.failed_seconds for lane in lanes)
    # Durations have 24 bits, and lanes times of a day.
    assert in_vain == pytest.approx(sum(times), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("steps", [DONE_STEPS, DONE_STEPS[:3]])
def test_what_was_not_chosen_is_to_do(
    evaluated: Evaluated, steps: tuple[str, ...]
) -> None:
    task = evaluated(*steps, part=("n=2,4", "solver=euler"))
    sweep = collect(task)
    assert sweep.n_assignments == 12
    assert sweep.n_of_status == {DONE: 4, FAILED: 0, RUNNING: 0, TO_DO: 8}
    assert len(sweep) == 4
    note = "8 assignments that 'psy run -p' did not choose are counted as to do"
    assert any(each.startswith(note) for each in sweep.notes)
    plotted = PlottedSweep.of(task)
    assert (plotted.n_open, plotted.n_assignments) == (8, 12)


def test_titles_and_units_are_those_of_the_task_file(evaluated: Evaluated) -> None:
    sweep = collect(evaluated(*DONE_STEPS, keep_going=True))
    assert sweep.parameters[0].label.unit == "steps"
    assert sweep.results[0].label.title == "largest error"
    assert sweep.results[0].label.unit == "m"


def test_what_is_left_out_is_said(evaluated: Evaluated) -> None:
    notes = collect(evaluated(*DONE_STEPS, keep_going=True)).notes
    assert [note.partition(":")[0] for note in notes] == ["wave", "name"]
    assert "array" in notes[0]
    assert "text" in notes[1]


def test_a_random_space_has_an_axis_for_each_parameter(evaluated: Evaluated) -> None:
    text = """\
import numpy as np
from psyrun import Param

rng = np.random.default_rng(0)
pspace = Param(a=rng.normal(size=9), b=rng.choice(["x", "y"], 9), c=1.5)
max_jobs = 2


def execute(a, b, c):
    return {"y": a}
"""
    sweep = collect(evaluated(*DONE_STEPS, text=text))
    assert named(sweep)[0] == ["a", "b"]
    assert sweep.constants == {"c": "1.5"}
    a, y = sweep.parameters[0], sweep.results[0]
    np.testing.assert_array_equal(np.asarray(a.levels)[a.codes], y.values)


def test_what_does_not_differ_is_no_axis(evaluated: Evaluated) -> None:
    text = """\
from psyrun import Param

pspace = (Param(x=[1, 2]) * Param(y=["a", "b"]))[:2]
max_jobs = 2


def execute(x, y):
    return {"z": x}
"""
    sweep = collect(evaluated(*DONE_STEPS, text=text))
    assert named(sweep)[0] == ["y"]
    assert sweep.constants == {"x": "1"}


def test_failures_are_told_in_words(evaluated: Evaluated) -> None:
    # Of fewer failures nothing is said.
    text = SQUARE.replace("[1, 2])", "range(-20, 20))\nmax_jobs = 1")
    text = text.replace("x**2", "math.sqrt(x)").replace(
        "from", "import math\n\nfrom", 1
    )
    sweep = collect(evaluated("split", "process 0", text=text))
    words = sweep.failures.in_words()
    assert words == "all 20 of 20 failures have x ≤ -1 (of 20 such assignments)"
    assert words == TaskFailures.load(find_task("sweep", None).layout).in_words()


@pytest.fixture
def with_costs(
    evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Sweep]:
    """Return a function that collects 50 rows of ``x`` with the costs that it gets."""

    def collected(**costs: NDArray[np.float64]) -> Sweep:
        text = SQUARE.replace("[1, 2])", "range(50))\nmax_jobs = 1")
        task = evaluated("split", "process 0", "merge", text=text)
        monkeypatch.setattr(
            "psyrun.report.page.collecting.cost_columns",
            lambda known: cost_columns(known) | costs,
        )
        return collect(task)

    return collected


@pytest.mark.parametrize(("slow", "expected"), [(0.2, True), (2e-6, False)])
def test_the_slowest_rows_are_told_but_not_of_microseconds(
    with_costs: Callable[..., Sweep], slow: float, expected: bool
) -> None:
    sweep = with_costs(cost_duration=1e-6 + slow * (np.arange(50) >= 45))
    told = "all 5 of 5 slowest rows have x ≥ 45 (of 5 such assignments)"
    assert sweep.slowest == (told if expected else "")


def test_the_rows_with_most_memory_are_told(with_costs: Callable[..., Sweep]) -> None:
    sweep = with_costs(cost_peak_memory=2.0**26 * (1 + (np.arange(50) < 5)))
    told = "all 5 of 5 rows with most memory have x ≤ 4 (of 5 such assignments)"
    assert sweep.largest == told
    assert with_costs(cost_peak_memory=np.full(50, 2.0**26)).largest == ""


def test_repeats_are_known_by_their_names(evaluated: Evaluated) -> None:
    sweep = collect(evaluated("split"))
    assert [each.is_repeat for each in sweep.parameters] == [False, False, True]


def test_repeats_without_a_parameter_are_an_axis(evaluated: Evaluated) -> None:
    text = """\
from psyrun import Param

pspace = Param(x=[1, 2]).repeat(3)
max_jobs = 2


def execute(x):
    return {"y": x}
"""
    x, repeat = collect(evaluated(*DONE_STEPS, text=text)).parameters
    assert (x.is_repeat, repeat.is_repeat) == (False, True)
    assert list(repeat.codes) == [0, 1, 2, 0, 1, 2]


def test_rows_of_another_version_are_known(evaluated: Evaluated) -> None:
    task = evaluated(*DONE_STEPS, keep_going=True)
    sweep = collect(task)
    done = sweep.versions[sweep.status == DONE]
    names = {sweep.version_names[i] for i in done}
    assert len(names) == 1
    assert names <= set(sweep.current_versions)
    assert names == set(sweep.origin) == set(psyrun.provenance("sweep"))


def test_before_anything_is_done(evaluated: Evaluated) -> None:
    sweep = collect(evaluated())
    assert (len(sweep), sweep.n_assignments, sweep.results) == (0, 0, [])
    sweep = collect(evaluated("split"))
    assert sweep.n_of_status == {DONE: 0, FAILED: 0, RUNNING: 0, TO_DO: 12}
    assert named(sweep) == (["n", "solver", "seed"], [], [])


def test_a_task_that_was_never_run_is_refused(evaluated: Evaluated) -> None:
    evaluated("split")
    Path("psy-tasks/task_new.py").write_text(SQUARE)
    with pytest.raises(PsyrunError, match=r"'new': was never run. .* 'psy run new'"):
        collect(find_task("new", None))


def test_of_a_huge_space_what_ended_is_listed(evaluated: Evaluated) -> None:
    text = """\
from psyrun import Param

pspace = Param(x=range(3000)) * Param(y=range(1000))
max_jobs = 1000
min_items = 3000


def execute(x, y):
    return {"z": x + y}
"""
    sweep = collect(evaluated("split", "process 1", text=text))
    assert (len(sweep), sweep.n_assignments) == (3000, 3_000_000)
    assert list(sweep.indices[:2]) == [3000, 3001]
    assert rows_by_parameter(sweep)["x"][0] == 3
    assert "2997000 assignments" in sweep.notes[0]
