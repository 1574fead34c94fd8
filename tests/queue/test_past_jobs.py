"""What jobs asked for and used is known after the ledger has forgotten them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psyrun.queue.ledger import Batch, Intent, Ledger
from psyrun.queue.past_jobs import (
    PastJob,
    forget_submissions,
    past_jobs,
    with_usages,
)
from psyrun.scheduler import Usage
from psyrun.workdir.layout import TaskLayout

SLURM, SQSUB = "psyrun.scheduler.slurm:Slurm", "psyrun.scheduler.sqsub:Sqsub"
GIB = 2.0**30


@pytest.fixture
def layout(tmp_path: Path) -> TaskLayout:
    return TaskLayout.of(tmp_path, "a")


@pytest.fixture
def sacct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have sacct print a text."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def install(printed: str) -> None:
        (folder / "sacct").write_text(f"#!/bin/sh\nprintf '{printed}'\n")
        (folder / "sacct").chmod(0o755)

    return install


def submit(
    layout: TaskLayout,
    *names: str,
    number: int = 1,
    first: int = 7,
    scheduler: str = SLURM,
    minutes: int | None = None,
    **scheduler_args: Any,
) -> Batch:
    commands = ("true",) * len(names)
    batch = Ledger(layout).begin(
        Intent(
            *("a:process", names, names, commands, number, scheduler, scheduler_args),
            minutes=minutes,
        )
    )
    layout.round(number).folder.mkdir(exist_ok=True)
    batch.note_ids({i: f"{first}_{i}" for i in range(len(names))})
    return batch


def job(batch: Batch, name: str, jobid: str, **known: Any) -> PastJob:
    position = int(jobid.partition("_")[2])
    return PastJob(batch.job(position), name, jobid, SLURM, **known)


def test_jobs_are_told_with_what_they_asked_for(layout: TaskLayout) -> None:
    batch = submit(
        *(layout, "a:process:0", "a:process:1"),
        minutes=90,
        timelimit="0-01:30",
        memory="1536M",
        n_cpus=2,
    )
    batch.array.output(0).write_text("psyrun: start n1 100\npsyrun: exit 0 160\n")
    asked = {"n_cores": 2, "memory_bytes": 1.5 * GIB, "limit_seconds": 5400.0}
    assert past_jobs(layout, 1) == [
        job(batch, "a:process:0", "7_0", **asked, started=100, ended=160),
        job(batch, "a:process:1", "7_1", **asked),
    ]
    assert past_jobs(layout, 2) == []


def test_memory_per_core_is_that_of_all_cores(layout: TaskLayout) -> None:
    submit(layout, "a:process:0", memory_per_cpu="1G", n_cpus=4)
    (told,) = past_jobs(layout, 1)
    assert (told.memory_bytes, told.per_core) == (4 * GIB, True)


@pytest.mark.parametrize(
    ("scheduler", "arguments"),
    [
        (SLURM, {}),
        (SLURM, {"memory": "0M"}),
        (SLURM, {"memory": "much", "timelimit": "1"}),
        (SQSUB, {}),
        ("no_such_module:Queue", {"nice": 3}),
        ("os:system", {}),
    ],
)
def test_what_was_not_asked_for_is_not_known(
    layout: TaskLayout, scheduler: str, arguments: dict[str, Any]
) -> None:
    batch = submit(layout, "a:merge", scheduler=scheduler, **arguments)
    assert past_jobs(layout, 1) == [PastJob(batch.job(0), "a:merge", "7_0", scheduler)]


@pytest.mark.parametrize(
    ("name", "step"),
    [("a:split", "split"), ("a:process:12", "process"), ("other", "other")],
)
def test_the_step_of_a_job_is_in_its_name(name: str, step: str) -> None:
    assert PastJob("key:0", name, 1, SLURM).step == step


def test_they_are_kept_as_the_ledger_forgets_them(layout: TaskLayout) -> None:
    first = submit(layout, "a:split", first=7)
    second = submit(layout, "a:process:0", first=8, memory="1G")
    for batch in (first, second):
        batch.array.output(0).write_text("psyrun: start n1 100\npsyrun: exit 0 160\n")
    known = past_jobs(layout, 1)
    assert [each.name for each in known] == ["a:split", "a:process:0"]
    forget_submissions(layout, 1)
    assert Ledger(layout).batches() == []
    assert past_jobs(layout, 1) == known
    third = submit(layout, "a:process:0", first=9)
    third.array.output(0).write_text("psyrun: start n1 170\npsyrun: exit 0 180\n")
    forget_submissions(layout, 1)
    assert [each.id for each in past_jobs(layout, 1)] == ["7_0", "8_0", "9_0"]


def test_a_run_without_a_queue_leaves_no_record(layout: TaskLayout) -> None:
    layout.round(1).folder.mkdir(parents=True)
    forget_submissions(layout, 1)
    assert not layout.round(1).jobs.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"jobs": [{"key": 1}]}', "\x00"])
def test_a_damaged_record_tells_nothing(layout: TaskLayout, text: str) -> None:
    layout.round(1).folder.mkdir(parents=True)
    layout.round(1).jobs.write_text(text)
    assert past_jobs(layout, 1) == []


def test_the_queue_tells_what_was_used(
    layout: TaskLayout, sacct: Callable[[str], None]
) -> None:
    submit(layout, "a:process:0", "a:process:1", memory="1G")
    sacct("7_0|COMPLETED|60|01:00||2|1|1G|90\\n7_1|RUNNING|60|00:00||2|1|1G|90\\n")
    jobs = past_jobs(layout, 1)
    usage = Usage(60, 60.0, None, 2, GIB, 5400.0)
    assert with_usages(jobs, layout.round(1)) == [
        replace(jobs[0], usage=usage),
        jobs[1],
    ]
    assert past_jobs(layout, 1) == jobs


@pytest.mark.parametrize("is_merged", [False, True])
def test_what_the_queue_told_of_all_jobs_is_kept(
    layout: TaskLayout, sacct: Callable[[str], None], is_merged: bool
) -> None:
    batch = submit(layout, "a:process:0", memory="1G")
    batch.array.output(0).write_text("psyrun: start n1 100\npsyrun: exit 0 160\n")
    if is_merged:
        forget_submissions(layout, 1)
    sacct("")
    assert with_usages(past_jobs(layout, 1), layout.round(1))[0].usage is None
    sacct("7_0|COMPLETED|60|01:00||2|1|1G|90\\n")
    told = with_usages(past_jobs(layout, 1), layout.round(1))
    assert told[0].usage is not None
    sacct("")
    assert past_jobs(layout, 1) == told
    assert with_usages(past_jobs(layout, 1), layout.round(1)) == told


def test_a_queue_of_ones_own_is_not_imported_to_ask_it(layout: TaskLayout) -> None:
    submit(layout, "a:process:0", scheduler="no_such_module:Queue")
    jobs = past_jobs(layout, 1)
    assert with_usages(jobs, layout.round(1)) == jobs


def test_a_job_that_ran_for_too_short_a_time_is_another_one(
    layout: TaskLayout, sacct: Callable[[str], None]
) -> None:
    batch = submit(layout, "a:process:0")
    batch.array.output(0).write_text("psyrun: start n1 100\npsyrun: exit 0 160\n")
    sacct("7_0|COMPLETED|57|01:00||2|1|1G|90\\n")
    assert with_usages(past_jobs(layout, 1))[0].usage is None
    sacct("7_0|COMPLETED|58|01:00||2|1|1G|90\\n")
    assert with_usages(past_jobs(layout, 1))[0].usage is not None
