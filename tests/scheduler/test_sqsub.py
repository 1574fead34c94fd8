"""Sqsub's commands and what they print."""

from __future__ import annotations

import pytest

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler import Cause, JobArray, JobStatus, Sqsub
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


def test_a_state_that_is_not_known_is_no_end():
    held = QUEUE.splitlines()[2].replace(" R ", " H ")
    (job,) = parse_sqjobs("\n".join([*QUEUE.splitlines()[:2], held]))
    assert job.status == "R"


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


def test_a_header_alone_is_an_idle_queue(command):
    header = "\n".join(QUEUE.splitlines()[:2])
    command("sqjobs", f"cat <<'END'\n{header}\nEND\nexit 1")
    assert Sqsub().get_jobs() == []
    assert Sqsub().get_statuses(["17"]) == {}


@pytest.mark.parametrize(
    "script",
    ["echo 'cannot connect to server' >&2; exit 1", "exit 2", "echo sorry; exit 1"],
)
def test_a_queue_that_does_not_answer_is_not_idle(command, script):
    command("sqjobs", script)
    with pytest.raises(QueueUnreachableError, match=r"^sqjobs failed with exit"):
        Sqsub().get_statuses(["17"])


def test_many_jobs_are_asked_for_at_once(command):
    called = command("sqjobs", f"cat <<'END'\n{QUEUE}END")
    found = Sqsub().get_statuses([17, "21", "99"])
    assert {job: status.status for job, status in found.items()} == {17: "R", "21": "D"}
    assert called.read_text() == "\n"


@pytest.mark.parametrize(
    ("given", "written"),
    [("1h30m", "1h30m"), ("2d", "2d"), (90, "90m"), (2.5, "3m"), ("90", "90m")],
)
def test_times_are_passed_on(given, written):
    assert (
        Sqsub().validate({**ARGUMENTS, "timelimit": given}, "a")["timelimit"] == written
    )


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("timelimit", "0-01:00", "'1h30m'"),
        ("memory", "lots", "'500M'"),
        ("n_cpus", 0, "above"),
    ],
)
def test_a_mistake_gets_one_line(name, value, allowed):
    message = rf"^scheduler_args: '{name}' is .*{allowed}"
    with pytest.raises(SchedulerError, match=message):
        Sqsub().validate({**ARGUMENTS, name: value}, "a:split")


def test_other_executors_know_the_arguments():
    values = Sqsub().validate({**ARGUMENTS, "n_nodes": 2}, "a")
    expected = {"runtime": 15, "mem_mb": 1024, "cpus_per_task": 1, "nodes": 2}
    assert Sqsub().resources(values) == expected


def test_memory_and_time_are_raised():
    values = Sqsub().validate(ARGUMENTS, "a")
    assert Sqsub().raised(values, Cause.TIME, 1.5) == {**values, "timelimit": "23m"}
    assert Sqsub().raised(values, Cause.MEMORY, 2) == {**values, "memory": "2G"}
    assert Sqsub().raised(values, Cause.NODE, 2) is None


@pytest.fixture
def array(tmp_path):
    folder = tmp_path / "an array"
    folder.mkdir()
    names = tuple(f"a:process:{i}" for i in range(3))
    return JobArray(("sh", "run.sh"), "a:process", names, folder, ARGUMENTS, "key")


def test_sqsub_itself_notes_the_ids_of_an_array(command, array):
    called = command("sqsub", SQSUB)
    assert Sqsub().submit_array(array) == ["42"] * 3
    words = called.read_text().splitlines()
    assert words[-3:] == ["sh", "run.sh", "2"]
    assert f"--idfile={array.id_file(2)}" in words
    assert words[words.index("-j") + 1] == "a:process:2#key"
    assert Sqsub().find(array) == dict.fromkeys(range(3), "42")


def test_jobs_that_were_submitted_are_not_submitted_again(command, array):
    array.id_file(0).write_text("41\n")
    called = command("sqsub", SQSUB)
    assert Sqsub().submit_array(array) == ["41", "42", "42"]
    called.unlink()
    assert Sqsub().submit_array(array) == ["41", "42", "42"]
    assert not called.exists()


def test_a_job_whose_answer_was_lost_is_found_by_its_name(command, array):
    lines = [
        *QUEUE.splitlines()[:2],
        "30 serial R 1 1s a:process:1#key",
        "31 serial R 1 1s a:process:2#other",
    ]
    command("sqjobs", "cat <<'END'\n" + "\n".join(lines) + "\nEND")
    array.id_file(0).write_text("29\n")
    array.id_file(1).touch()
    assert Sqsub().find(array) == {0: "29", 1: "30"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("connection refused", QueueUnreachableError),
        ("too many jobs in queue", QueueFullError),
        ("no such queue", SchedulerError),
    ],
)
def test_jobs_that_were_not_taken_say_why(command, array, said, kind):
    command("sqsub", f"echo 'sqsub: {said}' >&2; exit 1")
    with pytest.raises(SchedulerError, match=said) as caught:
        Sqsub().submit_array(array)
    assert type(caught.value) is kind


def test_a_queue_that_becomes_full_has_taken_some(command, array):
    full = 'case "$*" in *"run.sh 1") echo too many jobs >&2; exit 1;; esac\n'
    command("sqsub", full + SQSUB)
    assert Sqsub().submit_array(array) == ["42"]


def test_a_job_is_killed(command):
    called = command("sqkill", "")
    Sqsub().kill(17)
    assert called.read_text() == "17\n"
