"""Slurm's commands and what they print."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from psyrun.errors import SchedulerError
from psyrun.scheduler import JobStatus, Slurm
from psyrun.scheduler.options import argv
from psyrun.scheduler.slurm import parse_sbatch, parse_squeue, sbatch_words

ARGUMENTS = {
    "sockets-per-node": 2,
    "timelimit": "0-01:00",
    "memory": "1G",
    "memory_per_cpu": "2G",
    "n_cpus": 4,
    "n_nodes": 1,
    "cores-per-socket": 8,
}
QUEUE = """\
7|R|None|area:split
8|PD|Dependency|area:process:0
9_[0-2]|PD|Priority|area:process
9_3|CG|None|area:process
10|CF|None|a b|c
11|S|None|area:merge
12|F|NonZeroExitCode|area:merge
"""


def test_every_argument_becomes_its_option():
    values = Slurm().validate(ARGUMENTS, "a:split")
    assert argv(Slurm.OPTIONS, values) == [
        *("-t", "0-01:00", "--mem=1G", "--mem-per-cpu=2G", "-c", "4", "-N", "1"),
        *("--cores-per-socket=8", "--sockets-per-node=2"),
    ]


def test_nothing_is_required():
    assert Slurm("/scratch").validate({}, "a:split") == {}


def test_default_arguments_of_new_tasks_are_accepted():
    assert Slurm().validate(Slurm.USER_DEFAULT_ARGS, "a") == Slurm.USER_DEFAULT_ARGS


def test_a_function_is_called_with_the_name_of_the_job():
    arguments = {"memory": lambda name: "4G" if name.endswith("merge") else "1G"}
    assert Slurm().validate(arguments, "a:merge") == {"memory": "4G"}
    assert Slurm().validate(arguments, "a:split") == {"memory": "1G"}


def test_a_function_may_leave_an_argument_out():
    assert Slurm().validate({"memory": lambda name: None}, "a:split") == {}


def test_an_unknown_argument_is_named_with_the_known_ones():
    with pytest.raises(SchedulerError, match=r"Did you mean 'n_cpus'\?.*n_nodes"):
        Slurm().validate({"n_cpu": 1}, "a:split")


def test_a_function_that_raises_is_named():
    with pytest.raises(SchedulerError, match=r"'memory' raised ZeroDivisionError"):
        Slurm().validate({"memory": lambda name: 1 / 0}, "a")


def test_the_command_line_states_name_output_and_dependencies():
    command = ["python", "-c", "print('a b')"]
    words = sbatch_words(command, "o.log", "a:merge", [4, "5_1"])
    options = ["-J", "a:merge", "-o", "o.log", "--dependency=afterok:4:5_1", "--wrap"]
    assert words[:-1] == options
    assert shlex.split(words[-1]) == command


def test_the_wrapped_command_survives_a_shell():
    words = sbatch_words(["printf", "%s|", "a b", "$HOME", "'"], "o", "n", [])
    printed = subprocess.run(["sh", "-c", words[-1]], capture_output=True, check=True)
    assert printed.stdout == b"a b|$HOME|'|"


def test_job_ids_are_read():
    assert parse_sbatch("12\n") == "12"
    assert parse_sbatch("12;graham\n") == "12"


def test_states_are_read():
    assert list(parse_squeue(QUEUE)) == [
        JobStatus("7", "R", "area:split"),
        JobStatus("8", "*Q", "area:process:0"),
        JobStatus("9_[0-2]", "Q", "area:process"),
        JobStatus("9_3", "R", "area:process"),
        JobStatus("10", "R", "a b|c"),
        JobStatus("11", "Z", "area:merge"),
        JobStatus("12", "D", "area:merge"),
    ]


def test_a_job_is_submitted(command):
    called = command("sbatch", "echo 42")
    job = Slurm().submit(["true"], "o.log", "a:split", scheduler_args={"n_cpus": 2})
    assert job == "42"
    assert called.read_text().split("\n")[:7] == [
        *("--parsable", "-c", "2", "-J", "a:split", "-o", "o.log"),
    ]


def test_a_refused_job_says_why(command):
    command("sbatch", "echo 'sbatch: error: invalid\n partition' >&2; exit 1")
    with pytest.raises(SchedulerError) as caught:
        Slurm().submit(["true"], "o.log")
    assert str(caught.value).startswith(
        "sbatch failed with exit status 1: sbatch: error: invalid partition"
    )


def test_the_status_of_a_job_is_asked_for(command):
    called = command("squeue", "echo '7|R|None|a:split'")
    assert Slurm().get_status(7) == JobStatus("7", "R", "a:split")
    assert called.read_text().endswith("-j\n7\n")


def test_a_forgotten_job_has_no_status(command):
    command("squeue", "echo 'slurm_load_jobs error: Invalid job id' >&2; exit 1")
    assert Slurm().get_status(7) is None


def test_jobs_are_listed_and_killed(command):
    command("squeue", "printf '7|R|None|a\\n8|PD|None|b\\n'")
    called = command("scancel", "")
    assert Slurm().get_jobs() == ["7", "8"]
    Slurm().kill("7")
    assert called.read_text() == "7\n"


def test_a_machine_without_slurm_says_so(command):
    with pytest.raises(SchedulerError, match=r"^sbatch cannot be run: .* the PATH"):
        Slurm().submit(["true"], "o.log")
