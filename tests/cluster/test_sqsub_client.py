"""psyrun's client of Sharcnet's queue, on the stand-in of it."""

from __future__ import annotations

import time

import pytest

from psyrun.errors import QueueUnreachableError
from psyrun.scheduler import JobArray, Sqsub
from psyrun.testing import SchedulerContract

pytestmark = pytest.mark.cluster

SMALL = {"timelimit": "5m", "memory": "50M"}


@pytest.mark.usefixtures("sqsub")
class TestSqsub(SchedulerContract):
    kind = Sqsub
    scheduler_args = SMALL


@pytest.fixture
def array(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "an array"
    folder.mkdir()
    names = tuple(f"a:process:{i}" for i in range(4))
    values = Sqsub().validate(SMALL, "a")
    args = ("sh", "-c", 'echo "$0"; sleep 60')
    return JobArray(args, "a:process", names, folder, values, "0f3a")


def test_a_queue_that_answers_later_gets_each_job_once(sqsub, array):
    sqsub.fail("sqsub", 2)
    for _ in range(2):
        with pytest.raises(QueueUnreachableError):
            Sqsub().submit_array(array)
        assert Sqsub().find(array) == {}
    jobs = Sqsub().submit_array(array)
    assert Sqsub().find(array) == dict(enumerate(jobs))
    assert sorted(Sqsub().get_jobs()) == sorted(jobs)
    Sqsub().kill_all(jobs)


def test_a_job_whose_answer_was_lost_is_found(sqsub, array):
    sqsub.lose_answers(1)
    with pytest.raises(QueueUnreachableError):
        Sqsub().submit_array(array)
    found = Sqsub().find(array)
    assert list(found) == [0]
    assert list(found.values()) == Sqsub().get_jobs()


def test_a_queue_that_does_not_answer_is_no_end_of_jobs(sqsub, array):
    jobs = Sqsub().submit_array(array)
    sqsub.fail("sqjobs", 1)
    with pytest.raises(QueueUnreachableError):
        Sqsub().get_statuses(jobs)
    sqsub.fail("sqkill", 1)
    with pytest.raises(QueueUnreachableError):
        Sqsub().kill_all(jobs)
    assert list(Sqsub().get_statuses(jobs)) == jobs
    Sqsub().kill_all(jobs)


def test_all_jobs_are_asked_for_with_one_call(sqsub, array):
    jobs = Sqsub().submit_array(array)
    before = len(sqsub.calls("sqjobs"))
    assert len(Sqsub().get_statuses(jobs)) == 4
    assert len(sqsub.calls("sqjobs")) == before + 1
    Sqsub().kill_all(jobs)
    deadline = time.monotonic() + 60
    while Sqsub().get_jobs():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert Sqsub().get_statuses(jobs) == {}
