"""Sharcnet's commands: the stand-in and psyrun's client, held to the same transcripts.

This cannot show that the real sqsub is like the transcripts.
"""

from __future__ import annotations

import shlex
import subprocess
import time

import pytest
from transcript import FOLDER, Exchange, exchanges, fill_in, match

from psyrun.errors import QueueUnreachableError, SchedulerError
from psyrun.scheduler import JobStatus, Sqsub
from psyrun.scheduler.options import argv
from psyrun.scheduler.sqsub import parse_sqjobs, sqsub_words

TRANSCRIPTS = sorted(path.name for path in FOLDER.glob("*.txt"))
ARGUMENTS = {"timelimit": "15m", "memory": "100M"}
NAMES = {"a": "17", "b": "18", "c": "19", "time": "12s", "log": "l", "idfile": "i"}
# How the transcript of a session comes about: arguments of the client, and its words.
SUBMISSIONS = [
    (ARGUMENTS, (["sleep", "300"], "l", "area:split", [])),
    (
        {"timelimit": "1h30m", "memory": "100M", "n_cpus": 4, "n_nodes": 1},
        (["sleep", "300"], "l", "area:process", []),
    ),
    (
        {"timelimit": "1h", "memory": "100M"},
        (["echo", "a  b"], "l", "area:merge", [17, 18]),
    ),
]


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, shell=True, capture_output=True, text=True)


def wait_for(jobid: str, state: str) -> None:
    end = time.monotonic() + 60
    while run(f"sqjobs {jobid}").stdout.splitlines()[-1].split()[2] != state:
        assert time.monotonic() < end, run(f"sqjobs; squeue -j {jobid}").stdout
        time.sleep(0.2)


def follow(exchange: Exchange, names: dict[str, str]) -> None:
    """Run a command of a transcript and compare what it does."""
    command = fill_in(exchange.command, names)
    if command.startswith("wait "):
        wait_for(*command.split()[1:])
        return
    done = run(command)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line]
    assert len(lines) == len(exchange.printed), (command, lines)
    for pattern, line in zip(exchange.printed, lines, strict=True):
        assert match(pattern, line, names), (command, pattern, line)
    assert done.returncode == exchange.status, command


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_stand_in_does_what_the_transcript_shows(name, sqsub, tmp_path):
    names = {"log": str(tmp_path / "100%job.log"), "idfile": str(tmp_path / "id")}
    for exchange in exchanges(name):
        follow(exchange, names)


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_client_reads_what_the_transcript_shows(name):
    for exchange in exchanges(name):
        if exchange.command.startswith("sqjobs"):
            printed = fill_in("\n".join(exchange.printed), NAMES)
            expected = [
                JobStatus(fill_in(jobid, NAMES), status, job_name)
                for jobid, status, job_name in exchange.read
            ]
            assert list(parse_sqjobs(printed)) == expected


def client_words(arguments: dict[str, object], job: tuple) -> list[str]:
    options = argv(Sqsub.OPTIONS, Sqsub().validate(arguments, "area"))
    return [*options, "--idfile=i", *sqsub_words(*job)]


def test_the_client_submits_as_the_transcript_shows():
    shown = [
        shlex.split(fill_in(exchange.command, NAMES))[1:]
        for exchange in exchanges("states.txt")
        if exchange.command.startswith("sqsub")
    ]
    said = [client_words(*submission) for submission in SUBMISSIONS]
    # The order of the options is free, that of the words after them is not.
    assert [sorted(words) for words in said] == [sorted(words) for words in shown]
    assert [words[-2:] for words in said] == [words[-2:] for words in shown]


def test_the_client_submits_lists_and_kills(sqsub, tmp_path):
    scheduler = Sqsub(tmp_path / "work")
    log = tmp_path / "a log.txt"
    first = scheduler.submit(["sleep", "60"], str(log), "a:split", None, ARGUMENTS)
    second = scheduler.submit(["true"], str(log), "a:merge", [first], ARGUMENTS)
    wait_for(first, "R")
    wait_for(second, "*Q")
    assert scheduler.get_status(first) == JobStatus(first, "R", "a:split")
    assert sorted(scheduler.get_jobs()) == sorted([first, second])
    scheduler.kill(first)
    wait_for(second, "C")
    assert scheduler.get_jobs() == []
    assert scheduler.get_status(second).status == "D"


def test_output_and_error_go_into_the_log(sqsub, tmp_path):
    log = tmp_path / "job.log"
    command = ["sh", "-c", "echo out; echo err >&2; pwd"]
    job = Sqsub().submit(command, str(log), "a:split", None, ARGUMENTS)
    wait_for(job, "C")
    assert log.read_text().splitlines()[:2] == ["out", "err"]


def test_a_failed_job_is_done(sqsub, tmp_path):
    log = str(tmp_path / "log")
    job = Sqsub().submit(["false"], log, "a:split", None, ARGUMENTS)
    wait_for(job, "D")


def test_a_queue_that_does_not_answer_is_not_an_empty_one(sqsub):
    sqsub.fail("sqjobs", times=1)
    with pytest.raises(QueueUnreachableError):
        Sqsub().get_jobs()
    assert Sqsub().get_jobs() == []
    assert len(sqsub.calls("sqjobs")) == 2


def test_a_refused_submission_submits_nothing(sqsub, tmp_path):
    sqsub.fail("sqsub", times=1)
    with pytest.raises(SchedulerError):
        Sqsub().submit(["true"], str(tmp_path / "log"), "a", None, ARGUMENTS)
    assert run("sqjobs").returncode == 1


def test_an_answer_may_be_lost(sqsub, tmp_path):
    sqsub.lose_answers(times=1)
    with pytest.raises(SchedulerError):
        Sqsub().submit(["sleep", "60"], str(tmp_path / "log"), "a", None, ARGUMENTS)
    assert len(Sqsub().get_jobs()) == 1


def test_queues_of_two_tests_do_not_see_each_other(sqsub, tmp_path, monkeypatch):
    Sqsub().submit(["sleep", "60"], str(tmp_path / "log"), "a", None, ARGUMENTS)
    monkeypatch.setenv("SQSUB_STAND_IN_QUEUE", "another")
    assert Sqsub().get_jobs() == []
