"""How much more a job needs that was given too little."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from psyrun import Param
from psyrun.queue.driver import Driver
from psyrun.queue.job import QueuedJob
from psyrun.queue.ledger import Intent
from psyrun.queue.needs import Need, Needs
from psyrun.queue.site import QueuedTask
from psyrun.scheduler import Cause, Ending, Slurm
from psyrun.workdir.division import Division
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal

from local_queue import LocalQueue  # isort: skip

MakeTask = Callable[..., QueuedTask]
MakeItem = Callable[..., QueuedJob]
BLOCK, SESSION = 1, "0"
KIB_PER_MB = 1e6 / 1024


def seconds_of(x: int) -> float:
    return 10.0 * (x + 1)


def megabytes_of(x: int) -> float:
    return 100.0 * (x + 1)


class EndedJob:
    """A job that evaluated 10 to 14 of 10 to 19, and was ended as it was at 15."""

    def __init__(self, item: QueuedJob, values: dict[str, Any]) -> None:
        self.item, self.round = item, item.round
        plan = replace(item.task.plan, n_blocks=3)
        item.task = replace(item.task, plan=plan, scheduler=Slurm())
        item.values = Slurm().validate(values, "a:process:1")
        Division(Param(x=range(30)), 3).save(self.round, plan)
        self.round.journals.mkdir(parents=True)
        names = ("a:process:1",)
        intent = Intent("a:process", names, names, ("true",), 1, "x:Y", values)
        self.item.batch = item.task.ledger.begin(intent)
        self.item.batch.note_ids({0: "1"})
        self.item.position = 0
        self.begun = time.time()

    def write(
        self,
        block: int,
        rows: range,
        *,
        megabytes: Callable[[int], float] = megabytes_of,
        seconds: Callable[[int], float] = seconds_of,
    ) -> None:
        assert self.item.batch is not None
        job = self.item.batch.job(0) if block == BLOCK else "other"
        session = {"host": "n", "fingerprint": self.item.task.plan.fingerprint}
        session |= {"queued_as": job, "origin": job}
        journal = Journal(self.round.journal(block, 0, SESSION), session)
        start = self.begun
        for x in rows:
            peak = int(megabytes(x) * KIB_PER_MB)
            journal.row(x, start, seconds(x), peak, {"x": x, "y": 1})
            start += seconds(x)
        journal.close()

    def at(self, index: int) -> None:
        table = InFlightTable(self.round.in_flight(BLOCK, SESSION), 1)
        table.set(0, index, 0, 1)
        table.close()

    def needs(self, cause: Cause) -> Need | None:
        return Needs().of(self.item, cause)


@pytest.fixture
def make_ended(make_task: MakeTask, make_item: MakeItem) -> Callable[..., EndedJob]:
    def make(**values: Any) -> EndedJob:
        return EndedJob(make_item(make_task(), BLOCK), values)

    return make


def test_memory_follows_from_what_the_rest_needs(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="1550M", timelimit="1h")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    need = job.needs(Cause.MEMORY)
    assert need is not None
    # The last one needs 2 GB.
    assert need.factor == pytest.approx(1.2 * 2000 / 1550, rel=0.1)
    assert need.why.startswith("the rest is predicted to need up to 1.9 GiB")


def test_memory_is_shared_by_the_workers_of_a_job(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="3100M", timelimit="1h")
    job.item.task = replace(
        job.item.task, plan=replace(job.item.task.plan, pool_size=2)
    )
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    need = job.needs(Cause.MEMORY)
    assert need is not None
    assert need.factor == pytest.approx(1.2 * 2 * 2000 / 3100, rel=0.1)


def fetching(job: EndedJob, n_blocks: int = 3) -> None:
    """Have jobs of the round fetch their work."""
    plan = replace(job.item.task.plan, fetches=True, n_blocks=n_blocks)
    job.item.task = replace(job.item.task, plan=plan)
    Division(Param(x=range(30)), n_blocks).save(job.round, plan)


def test_who_fetches_may_get_the_largest_that_is_left(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="1550M", timelimit="1h")
    fetching(job)
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    need = job.needs(Cause.MEMORY)
    assert need is not None
    # The last one needs 3 GB, whoever will fetch it.
    assert need.factor == pytest.approx(1.2 * 3000 / 1550, rel=0.1)
    assert need.why.startswith("what is left is predicted to need up to 2.")


@pytest.mark.parametrize("n_finished", [0, 1])
def test_who_fetches_needs_time_for_a_share_of_what_is_left(
    make_ended: Callable[..., EndedJob], n_finished: int
) -> None:
    job = make_ended(memory="4G", timelimit="12m")
    fetching(job)
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    for block in range(n_finished):
        path = job.round.block(2 * block, ".pkl")
        path.parent.mkdir(exist_ok=True)
        path.touch()
    rest = sum(map(seconds_of, range(15, 30))) / (3 - n_finished)
    need = job.needs(Cause.TIME)
    assert need is not None
    assert need.factor == pytest.approx((60 + 1.2 * rest) / 720, rel=0.2)
    assert need.why.startswith("what is left is predicted to take up to")


def test_what_the_model_does_not_explain_is_no_matter_of_it(
    make_ended: Callable[..., EndedJob],
) -> None:
    """The assignment that ended the job took ten times what is predicted."""
    job = make_ended(memory="16G", timelimit="1h")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    assert job.needs(Cause.MEMORY) is None


def test_a_model_that_is_not_sure_says_nothing(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="1550M", timelimit="30m")
    odd = [3000, 10, 700, 90, 2000, 20, 1400, 5, 90, 1100, 8, 600, 30, 1200, 40]
    job.write(0, range(10), megabytes=odd.__getitem__, seconds=odd.__getitem__)
    job.write(BLOCK, range(10, 15), megabytes=odd.__getitem__, seconds=odd.__getitem__)
    job.at(15)
    assert job.needs(Cause.MEMORY) is None
    assert job.needs(Cause.TIME) is None


def test_time_follows_from_what_the_rest_takes(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="4G", timelimit="12m")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    job.at(15)
    rest = sum(map(seconds_of, range(15, 20)))
    need = job.needs(Cause.TIME)
    assert need is not None
    assert need.factor == pytest.approx((60 + 1.2 * rest) / 720, rel=0.15)


def test_no_less_is_asked_for_than_before(make_ended: Callable[..., EndedJob]) -> None:
    """The job stopped itself, as it believed that the rest takes longer."""
    job = make_ended(memory="4G", timelimit="2h")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 15))
    need = job.needs(Cause.TIME)
    assert need is not None
    assert need.factor == 1.0


def test_more_than_twice_the_time_may_be_needed(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="4G", timelimit="3m")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 11))
    job.at(11)
    rest = sum(map(seconds_of, range(11, 20)))
    need = job.needs(Cause.TIME)
    assert need is not None
    # Nobody knows for sure how times go on beyond those that were seen.
    exact = (60 + 1.2 * rest) / 180
    assert 5 < exact < need.factor < 1.5 * exact


def test_an_assignment_that_takes_longer_than_predicted_is_something_else(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="4G", timelimit="2h")
    job.write(0, range(10))
    job.write(BLOCK, range(10, 12))
    job.at(12)
    assert job.needs(Cause.TIME) is None


def test_without_rows_nothing_is_known(make_ended: Callable[..., EndedJob]) -> None:
    job = make_ended(memory="1G", timelimit="1h")
    assert job.needs(Cause.TIME) is None
    assert job.needs(Cause.MEMORY) is None


def test_a_damaged_round_is_no_reason_to_stop(
    make_ended: Callable[..., EndedJob],
) -> None:
    job = make_ended(memory="1550M", timelimit="1h")
    job.write(0, range(10))
    job.round.space.write_bytes(b"")
    assert job.needs(Cause.MEMORY) is None


class Counted(LocalQueue):
    """Kills jobs for their memory, and knows what they asked for."""

    def get_endings(self, jobids: list) -> dict:
        return {i: Ending(Cause.MEMORY, "out of memory") for i in jobids}

    def resources(self, values: dict) -> dict:
        return {"mem_mb": values.get("memory", 1550)}

    def raised(self, values: dict, cause: Cause, factor: float) -> dict:
        return {**values, "memory": round(values.get("memory", 1550) * factor)}


JOB = """\
from pathlib import Path

from psyrun.workdir.attempts import own_job
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round

round_ = Round(Path({round!r}))
table = InFlightTable(round_.in_flight(1, "0"), 1)
table.set(0, 15, 0, 1)
session = {{"host": "n", "fingerprint": {fingerprint!r}, **own_job()}}
journal = Journal(round_.journal(1, 0, "0"), session)
for x in range(15):
    journal.row(x, 0.0, 1.0, int(100 * (x + 1) * 1e6 / 1024), {{"x": x, "y": 1}})
journal.close()
"""


def test_the_next_job_gets_what_is_predicted_and_that_is_said(
    tmp_path: Path, make_task: MakeTask, make_item: MakeItem
) -> None:
    said: list[str] = []
    task = make_task(Counted(tmp_path / "queue"), retries=1)
    task = replace(task, plan=replace(task.plan, n_blocks=1))
    driver, round_ = Driver(said.append), task.layout.round(1)
    Division(Param(x=range(20)), 2).save(round_, task.plan)
    round_.journals.mkdir(parents=True)
    values = {"round": str(round_.folder), "fingerprint": task.plan.fingerprint}
    script = tmp_path / "job.py"
    script.write_text(textwrap.dedent(JOB.format(**values)))
    driver.add(make_item(task, BLOCK, f"{sys.executable} {script}; kill -KILL $$"))
    ended: list[Any] = []
    while not ended:
        ended += driver.step()
        time.sleep(0.01)
    _, batch = task.ledger.batches()
    assert 2000 < batch.intent.scheduler_args["memory"] < 2.0 * 1550
    assert "it is tried again with memory=" in said[0]
    assert "the rest is predicted to need up to 1.9 GiB" in said[0]
