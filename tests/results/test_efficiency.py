"""What jobs in a queue have used of what was reserved for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plans import DESIRED

from psyrun.planning.decide import decide
from psyrun.planning.states import Current
from psyrun.queue.ledger import Batch, Intent, Ledger
from psyrun.queue.past_jobs import forget_submissions
from psyrun.results.efficiency import JobUse, efficiency_of
from psyrun.scheduler import Slurm
from psyrun.store.costs import RECORD, Costs
from psyrun.workdir.failures import Failure
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.origin import Origin

GIB, MIB, HOUR = 2.0**30, 2.0**20, 3600.0
PLAN = decide(DESIRED, Current(), keep_going=False).plan
USE = JobUse(
    "process",
    12,
    12,
    "queue",
    cpu_seconds=3.1 * HOUR,
    core_seconds=8 * HOUR,
    n_cores=1,
    busy_cores=0.4,
    peak_bytes=0.9 * GIB,
    memory_bytes=16 * GIB,
    longest_seconds=41 * 60.0,
    limit_seconds=4 * HOUR,
)


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    return TaskLayout.of(tmp_path, "a")


@pytest.fixture
def sacct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Have sacct print a text; return the file that it is called in."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def install(printed: str, status: int = 0) -> Path:
        path, called = tmp_path / "bin" / "sacct", tmp_path / "called"
        text = f"#!/bin/sh\necho >> '{called}'\nprintf '{printed}'\nexit {status}\n"
        path.write_text(text)
        path.chmod(0o755)
        return called

    return install


def submit(
    layout: TaskLayout,
    n_jobs: int,
    first: int = 7,
    step: str = "process",
    **scheduler_args: Any,
) -> Batch:
    """Record an array of Slurm, as the driver of the queue does."""
    is_process = step == "process"
    names = [f"a:{step}:{i}" if is_process else f"a:{step}" for i in range(n_jobs)]
    values = Slurm().validate(scheduler_args, names[0])
    minutes = Slurm().resources(values).get("runtime")
    commands = ("true",) * n_jobs
    where = (tuple(names), tuple(names), commands, PLAN.round)
    intent = Intent(f"a:{step}", *where, "psyrun.scheduler.slurm:Slurm", values)
    assert minutes is None or isinstance(minutes, int)
    batch = Ledger(layout).begin(replace(intent, minutes=minutes))
    layout.round(PLAN.round).folder.mkdir(exist_ok=True)
    batch.note_ids({i: f"{first}_{i}" for i in range(n_jobs)})
    return batch


def end(batch: Batch, position: int, started: int, seconds: int | None) -> None:
    """Leave the trace of a job; without `seconds` it does not end by itself."""
    text = f"psyrun: start n1 {started}\n"
    if seconds is not None:
        text += f"psyrun: exit 0 {started + seconds}\n"
    batch.array.output(position).write_text(text)


def costs(*rows: tuple[float, float, float]) -> Costs:
    """Return costs of rows: their start, duration and peak in MiB."""
    records = np.zeros(len(rows), RECORD)
    for row, (start, duration, peak) in enumerate(rows):
        records[row]["start"], records[row]["duration"] = start, duration
        records[row]["peak"] = peak * 1024
    return Costs.of_records(records)


def test_what_is_said_fits_on_a_terminal() -> None:
    assert USE.lines == [
        "process: 12 jobs, 3.1 of 8 core-hours used (39 %)",
        "memory 922 MiB of 16 GiB at most, time 41 min of 4 h at most",
        "could be lower: memory 1.25G, timelimit 1h15m",
    ]


def test_the_longest_lines_fit_too() -> None:
    long = replace(
        USE,
        n_jobs=99999,
        n_counted=99999,
        cpu_seconds=1.2345e9,
        core_seconds=9.8765e9,
        longest_seconds=2.9 * 86400,
        limit_seconds=28 * 86400.0,
        n_cores=128,
        busy_cores=12.5,
        is_per_core=True,
    )
    assert len(long.lines) == 3
    assert max(map(len, long.lines)) <= 76


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({}, {"memory": "1.25G", "timelimit": "1h15m"}),
        ({"memory_bytes": 2 * GIB, "limit_seconds": 2 * HOUR}, {}),
        ({"memory_bytes": 2.5 * GIB}, {"memory": "1.25G", "timelimit": "1h15m"}),
        ({"memory_bytes": None, "limit_seconds": None}, {}),
        ({"n_counted": 11}, {}),
        ({"peak_bytes": None, "longest_seconds": None}, {}),
        ({"peak_bytes": 17 * GIB, "longest_seconds": 4 * HOUR}, {}),
        ({"n_cores": 4, "limit_seconds": None, "memory_bytes": None}, {"n_cpus": "1"}),
        (
            {"n_cores": 8, "busy_cores": 3.05, "memory_bytes": None},
            {"timelimit": "1h15m", "n_cpus": "3"},
        ),
        (
            {"n_cores": 8, "busy_cores": 4.2, "memory_bytes": 1.0, "limit_seconds": 1},
            {},
        ),
        ({"n_cores": 8, "busy_cores": None, "memory_bytes": 1, "limit_seconds": 1}, {}),
        (
            {"n_cores": 4, "busy_cores": 4.0, "is_per_core": True},
            {"memory_per_cpu": "320M", "timelimit": "1h15m"},
        ),
    ],
)
def test_what_could_be_lower_is_told(
    changes: dict[str, Any], advice: dict[str, str]
) -> None:
    assert replace(USE, **changes).advice() == advice


@pytest.mark.parametrize("peak", [1.0, 5e7, 1.3e9, 7.7e10])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 299.0, 5000.0, 1e6])
def test_what_is_advised_suffices_and_is_accepted(peak: float, seconds: float) -> None:
    use = replace(
        USE,
        peak_bytes=peak,
        longest_seconds=seconds,
        memory_bytes=1e13,
        limit_seconds=1e8,
    )
    asked = Slurm().resources(Slurm().validate(use.advice(), "a:process:0"))
    assert asked["mem_mb"] * MIB >= 1.25 * peak  # type: ignore[operator]
    assert asked["runtime"] * 60 >= 1.5 * seconds  # type: ignore[operator]


def test_what_is_not_known_is_not_told() -> None:
    assert JobUse("merge", 1, 1, "rows").lines == ["merge: 1 job"]
    timed = JobUse("merge", 1, 1, "rows", core_seconds=72.0, longest_seconds=36.0)
    assert timed.lines == [
        "merge: 1 job, 0.02 core-hours reserved",
        "time 36 s at most",
    ]


def test_the_queue_counts_what_jobs_used(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    submit(layout, 1, first=6, step="split")
    submit(layout, 3, n_cpus=2, memory="1G", timelimit="2h")
    sacct(
        "6_0|COMPLETED|4|00:02|-|1|1|500M|60\\n"
        "7_0|COMPLETED|1000|00:25:00||2|1|1G|120\\n7_0.batch|COMPLETED|||200M||||\\n"
        "7_1|COMPLETED|2000|00:50:00||2|1|1G|120\\n7_1.batch|COMPLETED|||300M||||\\n"
        "7_2|RUNNING|500|00:00:00||2|1|1G|120\\n"
    )
    split, process = efficiency_of(layout, PLAN)
    assert (split.step, split.n_cores, split.cpu_seconds) == ("split", 1, 2.0)
    assert split.busy_cores is None
    assert process == JobUse(
        "process",
        3,
        2,
        "queue",
        cpu_seconds=4500.0,
        core_seconds=6000.0,
        n_cores=2,
        busy_cores=1.5,
        peak_bytes=300 * MIB,
        memory_bytes=GIB,
        longest_seconds=2000,
        limit_seconds=2 * HOUR,
    )
    first = "process: 2 of 3 jobs, 1.25 of 1.67 core-hours used (75 %)"
    assert process.lines[0] == first


def test_rows_tell_what_the_queue_has_not_seen(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    end(submit(layout, 1, n_cpus=2, memory="2G"), 0, 1000, 2)
    known = costs((1000.0, 0.5, 100.0), (1001.0, 0.7, 300.0))
    plan = replace(PLAN, pool_size=2)
    sacct("7_0|COMPLETED|2|00:00:00||2|1|2G|120\\n7_0.batch|COMPLETED|||0||||\\n")
    (use,) = efficiency_of(layout, plan, costs=known)
    assert use.source == "queue"
    assert use.of_rows == ("CPU time", "memory")
    assert (use.cpu_seconds, use.core_seconds) == (pytest.approx(1.2), 4)
    assert use.peak_bytes == 600 * MIB
    assert use.advice()["memory"] == "896M"  # 100 MiB of it for other processes
    assert use.lines[-2] == "CPU time and memory by rows; the queue has seen less"


@pytest.mark.parametrize(
    ("seen", "peak", "of_rows"),
    [
        ("250M", 600, ("memory",)),
        ("300M", 300, ()),
        ("500M", 500, ()),
        ("1G", 1024, ()),
    ],
)
def test_a_peak_that_the_queue_has_missed_is_that_of_rows(
    layout: TaskLayout,
    sacct: Callable[..., Path],
    seen: str,
    peak: int,
    of_rows: tuple[str, ...],
) -> None:
    end(submit(layout, 1, n_cpus=2, memory="2G"), 0, 1000, 100)
    plan = replace(PLAN, pool_size=2)
    sacct(f"7_0|COMPLETED|100|01:50||2|1|2G|2\\n7_0.batch|COMPLETED|||{seen}||||\\n")
    (use,) = efficiency_of(layout, plan, costs=costs((1001.0, 90.0, 300.0)))
    assert (use.peak_bytes, use.of_rows) == (peak * MIB, of_rows)
    assert use.cpu_seconds == 110.0


def test_failed_evaluations_have_used_time_and_memory(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    sacct("", status=1)
    end(submit(layout, 1, n_cpus=2), 0, 1000, 100)
    texts = {"type": "ValueError", "message": "", "where": "", "traceback": ""}
    failures = [
        Failure(
            1, **texts, parameters={}, start=1010.0, duration=30.0, peak=600 * 1024
        ),
        # In an earlier run, and of a time that nobody knows.
        Failure(2, **texts, parameters={}, start=500.0, duration=9.0, peak=1024**2),
        Failure(3, **texts, parameters={}),
    ]
    rows = costs((1001.0, 60.0, 300.0))
    (use,) = efficiency_of(layout, PLAN, costs=rows, failures=failures)
    assert use.cpu_seconds == pytest.approx(90.0)
    assert use.peak_bytes == 600 * MIB


@pytest.mark.parametrize("is_merged", [False, True])
def test_without_accounting_rows_and_traces_count(
    layout: TaskLayout, sacct: Callable[..., Path], is_merged: bool
) -> None:
    sacct("", status=1)
    split = submit(layout, 1, first=6, step="split")
    process = submit(layout, 2, n_cpus=4, memory_per_cpu="1G", timelimit="4h")
    end(split, 0, 990, 5)
    end(process, 0, 1000, 100)
    end(process, 1, 1000, 200)
    if is_merged:
        forget_submissions(layout, PLAN.round)
    before = (500.0, 77.0, 9000.0)
    known = costs(before, (1001.0, 90.0, 100.0), (1010.0, 150.0, 300.0))
    plan = replace(PLAN, pool_size=2)
    assert efficiency_of(layout, plan, costs=known) == [
        JobUse("split", 1, 1, "rows", core_seconds=5.0, n_cores=1, longest_seconds=5.0),
        JobUse(
            "process",
            2,
            2,
            "rows",
            cpu_seconds=240.0,
            core_seconds=1200.0,
            n_cores=4,
            peak_bytes=600 * MIB,
            memory_bytes=4 * GIB,
            is_per_core=True,
            longest_seconds=200.0,
            limit_seconds=4 * HOUR,
        ),
    ]


def test_the_time_of_jobs_that_were_ended_is_not_known(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    sacct("", status=1)
    batch = submit(layout, 3)
    end(batch, 0, 1000, 60)
    end(batch, 1, 1000, None)
    (use,) = efficiency_of(layout, PLAN, costs=costs((1000.0, 50.0, 0.0)))
    assert (use.n_jobs, use.n_counted, use.longest_seconds) == (3, 1, 60.0)
    assert (use.core_seconds, use.cpu_seconds, use.peak_bytes) == (None, 50.0, None)
    assert use.lines[0] == "process: 1 of 3 jobs, 0.0139 core-hours used"


def test_rows_of_unknown_costs_do_not_count(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    sacct("", status=1)
    end(submit(layout, 1), 0, 1000, 60)
    (use,) = efficiency_of(layout, PLAN, costs=Costs.unknown(5))
    assert (use.cpu_seconds, use.peak_bytes) == (None, None)


def test_jobs_that_have_not_ended_are_not_told(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    sacct("7_0|RUNNING|500|00:00:00||2|1|1G|120\\n")
    end(submit(layout, 2), 0, 1000, None)
    assert efficiency_of(layout, PLAN) == []


def test_on_this_machine_no_queue_is_asked(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    called = sacct("")
    assert efficiency_of(layout, PLAN) == []
    assert not called.exists()


def test_a_queue_is_not_asked_about_the_jobs_of_others(
    layout: TaskLayout, sacct: Callable[..., Path]
) -> None:
    called = sacct("7_0|COMPLETED|60|00:50||1|1|1G|120\\n")
    end(submit(layout, 1), 0, 1000, 60)
    (use,) = efficiency_of(layout, PLAN, ask=False)
    assert use.source == "rows"
    forget_submissions(layout, PLAN.round)
    copy = TaskLayout.of(layout.folder.parent / "copy", "a")
    Origin.here(layout).save(layout)
    shutil.copytree(layout.folder, copy.folder)
    (use,) = efficiency_of(copy, PLAN)
    assert use.source == "rows"
    assert not called.exists()
    (use,) = efficiency_of(layout, PLAN)
    assert use.source == "queue"
