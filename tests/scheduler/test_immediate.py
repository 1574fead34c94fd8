"""Jobs that run at once."""

from __future__ import annotations

import sys

import pytest

from psyrun.errors import JobError, SchedulerError
from psyrun.scheduler import ImmediateRun

PRINT = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_job_has_ended_when_it_is_submitted(tmp_path):
    log = tmp_path / "log"
    scheduler = ImmediateRun()
    job = scheduler.submit(python(PRINT), str(log), name="a:split")
    assert log.read_text() == "out\nerr\n"
    assert scheduler.get_status(job) is None
    assert scheduler.get_jobs() == []
    scheduler.kill(job)


def test_output_is_added_to_what_is_there(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    ImmediateRun().submit(python("print(1)"), str(log))
    assert log.read_text() == "before\n1\n"


def test_jobs_have_numbers_of_their_own(tmp_path):
    scheduler, log = ImmediateRun(), str(tmp_path / "log")
    first = scheduler.submit(python(""), log)
    assert scheduler.submit(python(""), log, depends_on=[first]) != first


def test_a_failing_job_says_where_its_output_is(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(JobError, match=r"^a:split: .* failed with exit status 3\."):
        ImmediateRun().submit(python("raise SystemExit(3)"), str(log), name="a:split")


def test_a_command_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SchedulerError, match=r"^no-such-command: .* cannot be run"):
        ImmediateRun().submit(["no-such-command"], str(tmp_path / "log"))


def test_arguments_for_a_queue_have_no_effect(tmp_path):
    arguments = {"timelimit": "1h"}
    log = str(tmp_path / "log")
    ImmediateRun().submit(python(""), log, scheduler_args=arguments)
    assert ImmediateRun().validate(arguments, "a:split") == {}
