"""Mistakes in the code of a scheduler of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_queue import LocalQueue
from projects import Project

from psyrun.errors import BrokenSchedulerError, QueueFullError
from psyrun.scheduler import JobArray

TASK = """\
import sys
sys.path.append({folder!r})
from local_queue import LocalQueue
from psyrun import Param

pspace = Param(x=[1])


class Mine(LocalQueue):
{method}


scheduler = Mine("queue")


def execute(x):
    return {{"y": x}}
"""
SUBMIT = """\
    def submit(self, args, output, name=None, depends_on=None, scheduler_args=None):
        """


def project(folder: Path, method: str) -> Project:
    made = Project(folder)
    made.write(TASK.format(folder=str(Path(__file__).parent), method=method))
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "told"),
    [
        (
            f'{SUBMIT}raise ValueError("boom")',
            "psy-tasks/task_a.py:11: Mine.submit raised ValueError: boom.",
        ),
        (
            "    def submit(self, args, output):\n        return 1",
            "psy-tasks/task_a.py:10: Mine.submit must take the parameters of "
            "Scheduler.submit (TypeError: ",
        ),
        (
            f"{SUBMIT}pass",
            "psy-tasks/task_a.py:10: Mine.submit returned None; it must return what "
            "the queue calls the job, an int or a str.",
        ),
    ],
)
def test_a_submission_that_goes_wrong_leaves_one_line_and_no_record(
    tmp_path: Path, method: str, told: str
) -> None:
    made = project(tmp_path, method)
    shown = made.run("psyrun.cli", "run", status=2)
    assert told in shown.stderr + shown.stdout
    assert "Traceback" not in shown.stderr
    assert "queued" not in made.run("psyrun.cli", "status").stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('raise KeyError("no")', "11: Mine.get_status raised KeyError: 'no'."),
        (
            'return "R"',
            "10: Mine.get_status returned 'R'; it must return a JobStatus or None.",
        ),
    ],
)
def test_a_status_that_is_none_ends_the_run_in_one_line(
    tmp_path: Path, body: str, told: str
) -> None:
    method = f"    def get_status(self, jobid):\n        {body}"
    shown = project(tmp_path, method).run("psyrun.cli", "run", status=2)
    (line,) = [line for line in shown.stderr.splitlines() if line.startswith("psy: ")]
    assert f"psy-tasks/task_a.py:{told}" in line
    assert "Traceback" not in shown.stderr


class Choking(LocalQueue):
    """Fails with its second job."""

    def submit(self, args, output_filename, name=None, depends_on=None, values=None):
        if self.get_jobs():
            raise OSError("no more")
        return super().submit(args, output_filename, name, depends_on, values)

    def submit_array(self, array: JobArray) -> list:
        return super().submit_array(array)


def test_jobs_that_were_taken_before_an_error_are_told(tmp_path: Path) -> None:
    command = ("sh", "-c", "sleep 5")
    array = JobArray(command, "a", ("a:0", "a:1"), tmp_path, {}, "key")
    queue = Choking(tmp_path / "queue")
    jobs = queue.submit_array(array)
    assert len(jobs) == 1
    queue.kill_all(jobs)


class Asking(LocalQueue):
    def get_jobs(self):
        raise KeyError("nothing")

    def kill(self, jobid):
        try:
            self.get_jobs()
        except KeyError as error:
            raise QueueFullError("said well.") from error


def test_methods_of_a_scheduler_see_what_others_of_it_raise(tmp_path: Path) -> None:
    with pytest.raises(QueueFullError, match="said well"):
        Asking(tmp_path).kill(1)
    with pytest.raises(BrokenSchedulerError, match=r"raised KeyError: 'nothing'\.$"):
        Asking(tmp_path).get_jobs()
