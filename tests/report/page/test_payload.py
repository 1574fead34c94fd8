"""What the page is told, within a budget."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from psyrun.report.page.collecting import DONE, FAILED, RUNNING, TO_DO, Sweep
from psyrun.report.page.columns import Label, Measured, Parameter
from psyrun.report.page.encoding import script_text
from psyrun.report.page.pace import Pace, pace_of
from psyrun.report.page.payload import BUDGET, payload_of
from psyrun.report.page.timeline import Timeline
from psyrun.results.efficiency import JobUse
from psyrun.results.failure_rules import TaskFailures
from psyrun.workdir.failures import Failure


def sweep_of(
    n: int, n_results: int = 1, failures: list[Failure] | None = None
) -> Sweep:
    """A sweep of n rows over n levels, with random results."""
    rng = np.random.default_rng(0)
    status = np.full(n, DONE, np.int8)
    for failure in failures or ():
        status[failure.index] = FAILED
    n_failed = int(np.sum(status == FAILED))
    results = [
        Measured(Label(f"y{i}", f"y{i}"), rng.normal(size=n)) for i in range(n_results)
    ]
    return Sweep(
        name="a",
        n_assignments=n,
        n_of_status={DONE: n - n_failed, FAILED: n_failed, RUNNING: 0, TO_DO: 0},
        indices=np.arange(n),
        status=status,
        parameters=[
            Parameter(
                Label("x", "x"), "number", np.arange(n, dtype=float), np.arange(n)
            ),
            Parameter(Label("t", "t"), "text", ["p", "q"], np.arange(n) % 2),
        ],
        results=results,
        costs=[],
        constants={"c": "1"},
        versions=np.ones(n, np.int64),
        version_names=["", "abc", "def"],
        current_versions={"def"},
        failures=TaskFailures(failures or []),
        origin={},
        notes=["told before"],
    )


def failure(index: int, kind: str = "ValueError", where: str = "line 1") -> Failure:
    return Failure(
        index, kind, "bad", where, f"Traceback\n{kind}: bad", {"x": "1"}, 0.5
    )


def size_of(payload: Any) -> int:
    return len(script_text(payload))


def test_few_rows_are_exact() -> None:
    payload = payload_of(sweep_of(100), "done", "", BUDGET)
    (result,) = payload["results"]
    assert result["exact"]
    assert result["column"]["type"] == "f8"
    assert payload["notes"] == ["told before"]
    x, t = payload["parameters"]
    assert x["levels"]["n"] == 100
    assert t["texts"] == ["p", "q"]
    assert payload["counts"] == {"done": 100, "failed": 0, "running": 0, "to_do": 0}


def test_many_levels_of_a_number_are_values() -> None:
    x, _ = payload_of(sweep_of(5000), "done", "", BUDGET)["parameters"]
    assert "levels" not in x
    assert x["column"]["type"] == "u2"


@pytest.mark.parametrize("budget", [2_000_000, 700_000])
def test_more_is_rounded_further_and_said(budget: int) -> None:
    payload = payload_of(sweep_of(200_000, 2), "done", "", budget)
    assert size_of(payload) < budget + 5000
    assert len(payload["results"]) == 2
    assert not any(each["exact"] for each in payload["results"])
    assert "rounded to one of" in payload["notes"][-1]


def test_what_does_not_fit_is_left_out_and_said() -> None:
    payload = payload_of(sweep_of(100_000, 4), "done", "", 400_000)
    names = [each["name"] for each in payload["results"]]
    assert 0 < len(names) < 4
    left_out = {f"y{i}" for i in range(4)} - set(names)
    assert payload["notes"][-1].startswith("Left out, so that the page stays small: ")
    assert all(name in payload["notes"][-1] for name in left_out)


def test_a_million_rows_take_less_than_six_megabytes() -> None:
    payload = payload_of(sweep_of(1_000_000), "done", "", BUDGET)
    assert size_of(payload) < 6_000_000
    assert len(payload["results"]) == 1


@pytest.mark.parametrize(("budget", "n_kept"), [(1_100_000, 5), (600_000, 2)])
def test_drawn_parameters_are_rounded_and_left_out_before_all_results_are(
    budget: int, n_kept: int
) -> None:
    n, rng = 200_000, np.random.default_rng(1)
    drawn = [
        Parameter(Label(f"p{i}", f"p{i}"), "number", rng.random(n), np.arange(n))
        for i in range(4)
    ]
    sweep = replace(sweep_of(n), parameters=[*drawn, sweep_of(n).parameters[1]])
    payload = payload_of(sweep, "done", "", budget)
    assert size_of(payload) < budget + 5000
    assert [each["name"] for each in payload["results"]] == ["y0"]
    names = [each["name"] for each in payload["parameters"]]
    assert names == [*["p0", "p1", "p2", "p3"][: n_kept - 1], "t"]
    assert "rounded to one of 253 steps" in " ".join(payload["notes"])
    says_so = payload["notes"][-1].startswith("Left out, so that the page stays small")
    assert says_so == (n_kept < 5)


def test_failures_are_grouped_with_their_tracebacks() -> None:
    failures = [failure(i) for i in range(30)] + [failure(40, "KeyError", "line 2")]
    told = payload_of(sweep_of(50, failures=failures), "done", "", BUDGET)["failures"]
    first, second = told["groups"]
    assert (first["n"], second["n"]) == (30, 1)
    assert len(first["examples"]) == 20
    assert first["traceback"] == "Traceback\nValueError: bad"
    assert told["seconds"] == 15.5


def test_many_kinds_of_failures_are_counted() -> None:
    failures = [failure(i, where=f"line {i}") for i in range(60)]
    told = payload_of(sweep_of(60, failures=failures), "done", "", BUDGET)["failures"]
    assert (len(told["groups"]), told["n_hidden"]) == (50, 10)


def test_versions_say_which_is_current() -> None:
    versions = payload_of(sweep_of(3), "done", "", BUDGET)["versions"]
    assert [(each["name"], each["current"], each["n"]) for each in versions] == [
        ("", False, 0),
        ("abc", False, 3),
        ("def", True, 0),
    ]


def test_what_jobs_used_is_told_as_psy_status_does() -> None:
    gib = 2.0**30
    use = JobUse(
        "process",
        12,
        12,
        "queue",
        cpu_seconds=3.1 * 3600,
        core_seconds=8 * 3600.0,
        peak_bytes=0.9 * gib,
        memory_bytes=16 * gib,
        longest_seconds=41 * 60.0,
    )
    sweep = replace(sweep_of(3), uses=[use])
    (told,) = payload_of(sweep, "done", "", BUDGET)["uses"]
    assert (told["n_jobs"], told["n_counted"], told["by_queue"]) == (12, 12, True)
    assert told["advice"] == "memory 1.25G"
    texts = [(each["used"], each["reserved"]) for each in told["kinds"]]
    assert texts == [("3.1", "8"), ("922 MiB", "16 GiB"), ("41 min", "")]
    for used, _ in texts:
        assert used in " ".join(use.lines)
    shares = [each["share"] for each in told["kinds"]]
    assert shares == [pytest.approx(3.1 / 8), pytest.approx(0.9 / 16), None]
    sweep = replace(sweep, uses=[replace(use, of_rows=("memory",))])
    (told,) = payload_of(sweep, "done", "", BUDGET)["uses"]
    assert [each["what"] for each in told["kinds"]] == [
        "core-hours, all jobs",
        "memory (by rows), the most of a job",
        "time, the longest job",
    ]


def test_the_expected_end_is_that_of_the_run_or_follows_from_the_rate() -> None:
    newest = 100.0 + np.arange(11.0)
    timeline = Timeline(np.array([100.0]), 10.0, [], newest)
    counts = {DONE: 3, TO_DO: 90, FAILED: 0, RUNNING: 30}
    sweep = replace(sweep_of(3), timeline=timeline, n_of_status=counts)
    told = pace_of(sweep, "14:20 (14:05-14:50)", now=110.0)
    assert told == Pace(1.0, f"at about 14:20 (14:05-14:50) {time.strftime('%Z')}")
    assert pace_of(sweep, now=110.0).end == "in about 2 min, at the rate of late"
    part = replace(sweep, n_not_chosen=90)
    assert pace_of(part, now=120.0) == Pace(0.5, "in about 1 min, at the rate of late")
    assert pace_of(replace(sweep, timeline=None), now=110.0) == Pace(None, "")


def test_all_of_it_is_json() -> None:
    sweep = sweep_of(3, failures=[failure(1)])
    sweep.results[0].values[:] = [np.nan, np.inf, -np.inf]
    assert json.loads(script_text(payload_of(sweep, "done", "", BUDGET)))["n"] == 3
