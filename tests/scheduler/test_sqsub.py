"""Sqsub's commands and what they print."""

from __future__ import annotations

import pytest

from psyrun.errors import SchedulerError
from psyrun.scheduler import JobStatus, Sqsub
from psyrun.scheduler.options import argv
from psyrun.scheduler.sqsub import parse_sqjobs, sqsub_words

ARGUMENTS = {"timelimit": "15m", "memory": "1G"}
QUEUE = """\
  jobid     queue state ncpus    time command
------- --------- ----- ----- ------- -------
     17    serial     R     1     12s area:split
     18    serial    *Q     1       - area:process:0
     19  threaded     Q     4       - python -c 'a  b'
     20    serial     Z     1      1s area:merge
     21    serial     C     1      1s area:merge
     22    serial     D     1      1s area:merge

"""
SQSUB = """\
for word; do case $word in --idfile=*) echo 42 > "${word#--idfile=}";; esac; done
echo submitted as jobid 42
"""


def test_every_argument_becomes_its_option():
    values = Sqsub().validate({**ARGUMENTS, "n_cpus": 4, "n_nodes": 2}, "a:split")
    assert argv(Sqsub.OPTIONS, values) == [
        *("-r", "15m", "-n", "4", "-N", "2", "--mpp=1G"),
    ]


def test_one_core_is_the_default():
    assert Sqsub().validate(ARGUMENTS, "a:split")["n_cpus"] == 1


@pytest.mark.parametrize("name", ["timelimit", "memory"])
def test_limits_are_required(name):
    rest = {key: value for key, value in ARGUMENTS.items() if key != name}
    with pytest.raises(SchedulerError, match=rf"'{name}' is missing; Sqsub requires"):
        Sqsub().validate(rest, "a:split")


def test_default_arguments_of_new_tasks_are_accepted():
    assert Sqsub().validate(Sqsub.USER_DEFAULT_ARGS, "a") == Sqsub.USER_DEFAULT_ARGS


def test_the_command_line_ends_with_the_command():
    words = sqsub_words(["python", "-c", "a b"], "o.log", "a:merge", [4, 5])
    assert words == [
        *("-j", "a:merge", "-o", "o.log", "-w", "4,5", "python", "-c", "a b"),
    ]


def test_states_are_read():
    assert list(parse_sqjobs(QUEUE)) == [
        JobStatus("17", "R", "area:split"),
        JobStatus("18", "*Q", "area:process:0"),
        JobStatus("19", "Q", "python -c 'a  b'"),
        JobStatus("20", "Z", "area:merge"),
        JobStatus("21", "D", "area:merge"),
        JobStatus("22", "D", "area:merge"),
    ]


def test_nothing_is_read_where_there_are_no_jobs():
    assert list(parse_sqjobs("")) == []


def test_a_job_is_submitted_and_leaves_no_files(command, tmp_path):
    called = command("sqsub", SQSUB)
    workdir = tmp_path / "work/deep"
    job = Sqsub(workdir).submit(["true"], "o.log", "a:split", scheduler_args=ARGUMENTS)
    assert job == "42"
    assert called.read_text().startswith("-r\n15m\n-n\n1\n--mpp=1G\n--idfile=")
    assert list(workdir.iterdir()) == []


def test_no_work_folder_is_needed(command):
    command("sqsub", SQSUB)
    assert Sqsub().submit(["true"], "o.log", scheduler_args=ARGUMENTS) == "42"


def test_a_submission_without_an_id_is_an_error(command):
    command("sqsub", "")
    with pytest.raises(SchedulerError, match=r"^sqsub left no job id"):
        Sqsub().submit(["true"], "o.log", scheduler_args=ARGUMENTS)


def test_the_status_of_a_job_is_asked_for(command):
    command("sqjobs", f"cat <<'END'\n{QUEUE}END")
    assert Sqsub().get_status(17) == JobStatus("17", "R", "area:split")
    assert Sqsub().get_status("3") is None
    assert Sqsub().get_jobs() == ["17", "18", "19", "20"]


def test_an_idle_queue_is_no_error(command):
    command("sqjobs", "exit 1")
    assert Sqsub().get_jobs() == []


def test_a_job_is_killed(command):
    called = command("sqkill", "")
    Sqsub().kill(17)
    assert called.read_text() == "17\n"
