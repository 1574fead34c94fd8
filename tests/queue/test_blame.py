"""Which assignment has ended a job of a queue, and what is recorded of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from psyrun import Param
from psyrun.queue.blame import EndedJob
from psyrun.queue.script import JobTrace
from psyrun.scheduler.jobs import Cause, Ending
from psyrun.workdir.division import Division
from psyrun.workdir.failures import Failure, failures_of
from psyrun.workdir.in_flight import InFlightTable
from psyrun.workdir.journal import Journal
from psyrun.workdir.layout import Round
from psyrun.workdir.plan import Plan

PLAN = Plan(
    *("a", "task_a.py", "psy-work", "code", 1, False, None, "result.pkl", "python3"),
    *(1, "", False, 1, ".pkl", ".pkl"),
)
JOB = "queue/1:0"
MEMORY = Ending(Cause.MEMORY, "out of memory")
TIME = Ending(Cause.TIME, "over its time limit")


@pytest.fixture
def job(tmp_path: Path) -> EndedJob:
    """A job that has ended in its second assignment."""
    round_ = Round(tmp_path)
    Division(Param(x=range(4)), 1).save(round_, PLAN)
    round_.journals.mkdir()
    session = {"queued_as": JOB, "origin": JOB, "host": "n1"}
    rows = Journal(round_.journal(0, 0), session)
    # Sessions have the time at which they are written.
    begun = time.time()
    rows.row(0, begun, 2.0, 1024, {"x": 0})
    rows.close()
    table = InFlightTable(round_.in_flight(0), 1)
    table.set(0, 1, 1, 4)
    table.close()
    trace = JobTrace(host="n1", started=int(begun), ended=int(begun) + 60)
    return EndedJob(round_, 0, JOB, JOB, trace)


def only_failure(job: EndedJob, ending: Ending) -> Failure:
    assert job.settle(ending) == (1,)
    (failure,) = failures_of(job.round)
    assert (failure.index, failure.type, failure.host) == (1, "JobEnded", "n1")
    return failure


def test_the_evaluation_that_ended_a_job_has_the_time_until_its_end(
    job: EndedJob,
) -> None:
    failure = only_failure(job, MEMORY)
    assert failure.start is not None and failure.duration is not None
    assert failure.start + failure.duration == pytest.approx(job.trace.ended)
    assert 57 <= failure.duration <= 58


def test_a_job_over_its_time_limit_has_ended_when_that_was_over(job: EndedJob) -> None:
    trace = replace(job.trace, ended=None)
    failure = only_failure(replace(job, trace=trace, minutes=10), TIME)
    assert 597 <= (failure.duration or 0) <= 598


def test_of_an_unknown_end_it_is_not_known(job: EndedJob) -> None:
    failure = only_failure(replace(job, trace=replace(job.trace, ended=None)), MEMORY)
    assert failure.start is failure.duration is None
