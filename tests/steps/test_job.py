"""A job and the run that it belongs to."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from plans import PLAN

from psyrun.errors import LostLockError
from psyrun.steps.job import Job
from psyrun.utils.environment import JOB_VARIABLE
from psyrun.utils.files import write_text
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import MERGE, TaskLayout
from psyrun.workdir.lock import Lock, local_controller

ELSEWHERE = json.dumps(asdict(Holder("elsewhere", 1, "1", 0.0, token="theirs")))


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job of a run of this process."""
    layout = TaskLayout.of(tmp_path, "a")
    with Lock(layout.lock, "task 'a'"):
        yield Job(PLAN, layout, None, local_controller(layout))


def test_no_file_takes_its_name_once_the_run_has_lost_its_task(job: Job) -> None:
    # Its own lock stays: the other run is at another round.
    result = job.layout.folder / "result.pkl"
    with pytest.raises(LostLockError, match="another run's"), job.locked(MERGE):
        write_text(result, "before")
        job.layout.lock.write_text(ELSEWHERE)
        write_text(result, "after")
    assert result.read_text() == "before"
    assert not job.is_controlled


@pytest.mark.parametrize("content", [None, ELSEWHERE])
def test_what_fails_then_is_not_told_as_an_error(job: Job, content: str | None) -> None:
    with pytest.raises(LostLockError), job.locked(MERGE):
        job.layout.lock.unlink()
        if content is not None:
            job.layout.lock.write_text(content)
        raise FileNotFoundError("what another run has removed")


def test_a_lock_that_cannot_be_read_for_a_moment_is_not_lost(job: Job) -> None:
    content = job.layout.lock.read_bytes()
    with job.locked(MERGE):
        job.layout.lock.write_text("{")
        write_text(job.layout.folder / "result.pkl", "")
        job.layout.lock.write_bytes(content)


def test_jobs_in_a_queue_and_elsewhere_go_on_without_their_run(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JOB_VARIABLE, "queued:1")
    assert local_controller(job.layout) is None
    monkeypatch.delenv(JOB_VARIABLE)
    assert local_controller(job.layout) == job.controller
    job.layout.lock.write_text(ELSEWHERE)
    assert local_controller(job.layout) is None
    with replace(job, controller=None).locked(MERGE):
        write_text(job.layout.folder / "result.pkl", "")
