"""What a job is given that is tried again: no more than its queue allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psyrun.errors import SchedulerError
from psyrun.queue.driver import Driver, FinishedJob
from psyrun.queue.job import QueuedJob
from psyrun.queue.needs import Need, Needs
from psyrun.queue.retries import Retries
from psyrun.queue.site import QueuedTask
from psyrun.scheduler import Cause, Ending, Slurm
from psyrun.scheduler.limits import Limits

from local_queue import LocalQueue  # isort: skip

MakeTask = Callable[..., QueuedTask]
MakeItem = Callable[..., QueuedJob]
MIB, HOUR = 2**20, 3600.0
SHORT = Limits("partition 'short'", 5 * HOUR, 3000 * MIB)
ELSEWHERE = "choose another partition or queue in scheduler_args"


class Limited(Slurm):
    """Slurm with limits that no command is asked for."""

    def __init__(self, limits: Limits | SchedulerError = SHORT) -> None:
        super().__init__()
        self.found, self.n_asked = limits, 0

    def limits(self, values: Mapping[str, Any]) -> Limits:
        self.n_asked += 1
        if isinstance(self.found, SchedulerError):
            raise self.found
        return self.found


@pytest.fixture
def make_job(make_task: MakeTask, make_item: MakeItem) -> Callable[..., QueuedJob]:
    def make(
        scheduler: Limited | None = None, pool_size: int = 1, **values: Any
    ) -> QueuedJob:
        scheduler, task = scheduler or Limited(), make_task()
        plan = replace(task.plan, pool_size=pool_size)
        item = make_item(replace(task, scheduler=scheduler, plan=plan))
        item.values = scheduler.validate(values, item.name)
        return item

    return make


@pytest.mark.parametrize(
    ("cause", "given", "raised", "shown"),
    [
        (Cause.TIME, {"timelimit": "2h"}, {"timelimit": "0-04:00"}, ""),
        (
            Cause.TIME,
            {"timelimit": "3h"},
            {"timelimit": "0-05:00"},
            ", all the time that partition 'short' allows, 5 h",
        ),
        (Cause.MEMORY, {"memory": "1G"}, {"memory": "2G"}, ""),
        (
            Cause.MEMORY,
            {"memory": "1700M"},
            {"memory": "3000M"},
            ", all the memory that partition 'short' allows, 2.9 GiB",
        ),
        (
            Cause.MEMORY,
            {"memory_per_cpu": "700M", "n_cpus": 3},
            {"memory_per_cpu": "1000M"},
            ", all the memory that partition 'short' allows, 2.9 GiB",
        ),
    ],
)
def test_a_job_gets_no_more_than_its_partition_allows(
    make_job: Callable[..., QueuedJob],
    cause: Cause,
    given: dict[str, Any],
    raised: dict[str, Any],
    shown: str,
) -> None:
    item = make_job(**given)
    retry = Retries().of(item, cause)
    assert retry is not None
    assert retry.values == {**item.values, **raised}
    ((name, value),) = raised.items()
    assert retry.text == f"it is tried again with {name}={value}{shown}"


@pytest.mark.parametrize("asked", range(1, 300, 7))
def test_no_rounding_asks_for_more_than_is_allowed(
    make_job: Callable[..., QueuedJob], asked: int
) -> None:
    item = make_job(timelimit=f"{asked}m", memory=f"{10 * asked + 7}M")
    for cause, name, most in (
        (Cause.TIME, "runtime", 300),
        (Cause.MEMORY, "mem_mb", 3000),
    ):
        had = item.task.scheduler.resources(item.values)[name]
        retry = Retries().of(item, cause)
        assert retry is not None
        assert retry.values is not None
        got = item.task.scheduler.resources(retry.values)[name]
        assert got == min(2 * had, most)


def test_a_job_that_had_all_is_not_tried_again_and_that_is_said(
    make_job: Callable[..., QueuedJob],
) -> None:
    item = make_job(timelimit="5h", memory="3000M")
    retry = Retries().of(item, Cause.TIME)
    assert retry == (
        None,
        "it had all the time that partition 'short' allows, 5 h, and gets no more: "
        f"{ELSEWHERE}, or raise max_jobs, so that each job has less to do",
    )
    had = "it had all the memory that partition 'short' allows, 2.9 GiB, and gets"
    assert Retries().of(item, Cause.MEMORY) == (None, f"{had} no more: {ELSEWHERE}")
    item = make_job(pool_size=4, memory="3000M")
    shared = ", or lower pool_size, as 4 workers share the memory"
    retry = Retries().of(item, Cause.MEMORY)
    assert retry == (None, f"{had} no more: {ELSEWHERE}{shared}")
    # Its machine has failed, which is another matter.
    retry = Retries().of(item, Cause.NODE)
    assert retry == (item.values, "it is tried again")


@pytest.mark.parametrize(
    "limits", [Limits(), Limits("partition 'main'"), SchedulerError("no answer")]
)
def test_where_no_limit_is_known_nothing_is_held_back(
    make_job: Callable[..., QueuedJob], limits: Limits | SchedulerError
) -> None:
    item = make_job(Limited(limits), timelimit="10h", memory="9G")
    assert Retries().of(item, Cause.TIME) == (
        {**item.values, "timelimit": "0-20:00"},
        "it is tried again with timelimit=0-20:00",
    )
    retry = Retries().of(item, Cause.MEMORY)
    assert retry is not None
    assert retry.values == {**item.values, "memory": "18G"}


def test_what_is_predicted_is_bounded_too(
    make_job: Callable[..., QueuedJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "the rest is predicted to take up to 8 h"
    monkeypatch.setattr(Needs, "of", lambda *_: Need(4.0, why))
    retry = Retries().of(make_job(timelimit="2h"), Cause.TIME)
    assert retry is not None
    most = "all the time that partition 'short' allows, 5 h"
    told = f"it is tried again with timelimit=0-05:00, {most}: {why}"
    assert retry.text == told
    # What it had suffices for the rest, so that all of it may be had once more.
    monkeypatch.setattr(Needs, "of", lambda *_: Need(1.0, "it suffices"))
    item = make_job(timelimit="5h")
    retry = Retries().of(item, Cause.TIME)
    assert retry == (item.values, "it is tried again: it suffices")


def test_a_queue_is_asked_once_for_jobs_that_end_together(
    make_job: Callable[..., QueuedJob],
) -> None:
    now, scheduler = 100.0, Limited()
    retries = Retries(lambda: now)
    for _ in range(3):
        retries.of(make_job(scheduler, memory="1G"), Cause.MEMORY)
    assert scheduler.n_asked == 1
    retries.of(make_job(scheduler, memory="1G", partition="long"), Cause.MEMORY)
    assert scheduler.n_asked == 2
    now += 61
    scheduler.found = replace(SHORT, memory=1200 * MIB)
    retry = retries.of(make_job(scheduler, memory="1G"), Cause.MEMORY)
    assert retry is not None
    assert retry.values is not None
    assert retry.values["memory"] == "1200M"


class Narrow(LocalQueue):
    """Ends each job for its memory, and has machines of 2500 MiB."""

    def get_endings(self, jobids: list) -> dict:
        return {i: Ending(Cause.MEMORY, "out of memory") for i in jobids}

    def resources(self, values: dict) -> dict:
        return {"mem_mb": values.get("memory", 1000)}

    def raised(self, values: dict, cause: Cause, factor: float) -> dict:
        return {**values, "memory": round(values.get("memory", 1000) * factor)}

    def limits(self, values: dict) -> Limits:
        return Limits("queue 'narrow'", None, 2500.0 * MIB)


def drive(driver: Driver, item: QueuedJob) -> None:
    driver.add(item)
    ended: list[FinishedJob] = []
    while not ended:
        ended += driver.step()
        time.sleep(0.01)
    assert ended[0].ending.cause is Cause.MEMORY


def test_a_run_tries_up_to_the_limit_and_no_further(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    task = make_task(Narrow(tmp_path / "queue"), retries=9)
    driver = Driver(said.append, lambda: 20 * time.monotonic())
    drive(driver, make_item(task, 0, "kill -KILL $$"))
    asked = [batch.intent.scheduler_args for batch in task.ledger.batches()]
    assert asked == [{}, {"memory": 2000}, {"memory": 2500}]
    most = "all the memory that queue 'narrow' allows, 2.4 GiB"
    assert said == [
        "a:process:0: out of memory; it is tried again with memory=2000.",
        f"a:process:0: out of memory; it is tried again with memory=2500, {most}.",
        f"a:process:0: out of memory; it had {most}, and gets no more: {ELSEWHERE}.",
    ]
    said.clear()
    drive(driver, make_item(task, 1, "kill -KILL $$"))
    # What to do was said already.
    assert len(said) == 2
    assert said[1].endswith(f"; it is tried again with memory=2500, {most}.")
