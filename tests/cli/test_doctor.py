"""``psy doctor``, without a real queue."""

import os
import subprocess
import sys

import pytest

from psyrun.cli.doctor.finding import problem
from psyrun.utils.leftovers import owner

# A queue that does what a test needs; `run` is the body of `submit`.
QUEUE = """\
import subprocess

from psyrun.scheduler import JobStatus, Scheduler


class Queue(Scheduler):
    OPTIONS = None
    status = None

    def submit(self, args, output_filename, name=None, depends_on=None,
               scheduler_args=None):
        {run}
        return 1

    def get_status(self, jobid):
        return self.status and JobStatus(jobid, self.status, "psy-doctor")

    def get_jobs(self):
        return []

    def kill(self, jobid):
        print("killed", jobid)
"""

RUNS_IT = """with open(output_filename, "w") as out:
            subprocess.run(args, stdout=out, stderr=out)"""
FAILS = """with open(output_filename, "w") as out:
            out.write("psyrun: start far 1\\nno python3\\npsyrun: exit 127 1\\n")"""


@pytest.fixture
def diagnose(project, psy, monkeypatch):
    """Let the doctor look at a queue."""
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    def diagnose(run, *arguments, extra=""):
        (project / "mine.py").write_text(QUEUE.replace("{run}", run) + extra)
        return psy("doctor", "mine.Queue", *arguments)

    return diagnose


@pytest.fixture
def no_queues(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def lines(result):
    """Return what was found, by what it is about."""
    words = [line.split(maxsplit=1) for line in result.out.splitlines()[:-1]]
    return {rest.split(":")[0]: (level, rest) for level, rest in words if rest}


@pytest.mark.usefixtures("no_queues")
def test_a_sound_machine_has_no_problem(psy, write_task):
    write_task()
    result = psy("doctor")
    assert result.status == 0
    assert {level for level, _ in lines(result).values()} <= {"ok", "warning"}
    assert lines(result)["tasks"] == ("ok", "tasks: 1 in psy-tasks")
    assert result.out.endswith("in 5 checks\n")


@pytest.mark.usefixtures("no_queues")
def test_a_folder_that_cannot_be_made_is_a_problem(psy, project):
    (project / "file").write_text("")
    (project / "psy-tasks/psy-conf.py").write_text("workdir = 'file/work'")
    result = psy("doctor")
    assert result.status == 1
    assert lines(result)["work folder"][0] == "problem"
    assert result.out.endswith("1 problem and 0 warnings in 5 checks\n")


@pytest.mark.usefixtures("no_queues")
def test_commands_of_slurm_that_are_missing_are_named(psy):
    result = psy("doctor", "slurm")
    assert result.status == 1
    assert "sbatch, squeue, scancel, scontrol not found" in result.out


@pytest.mark.usefixtures("no_queues")
def test_commands_of_sqsub_that_are_missing_are_named(psy):
    assert "sqsub, sqjobs, sqkill not found" in psy("doctor", "Sqsub").out


def test_a_queue_that_runs_jobs_is_sound(diagnose, project):
    result = diagnose(RUNS_IT)
    assert result.status == 0, result.out
    found = lines(result)
    assert {level for level, _ in found.values()} == {"ok"}
    assert set(found) == {
        "queue",
        "job",
        "shared folder",
        "Python on the node",
        "environment",
        "clock",
    }
    assert not list(project.glob(".psy-doctor*"))


def test_what_a_killed_trial_has_left_goes_with_the_next(diagnose, project):
    died = subprocess.Popen(["true"])
    died.wait()
    words = owner().replace(f".{os.getpid()}.", f".{died.pid}.")
    (project / f".psy-doctor.{words}.abcdefgh.tmp").mkdir()
    assert diagnose(RUNS_IT).status == 0
    assert not list(project.glob(".psy-doctor*"))


def test_the_work_folder_must_be_shared_too(diagnose, project, tmp_path):
    (project / "psy-tasks/psy-conf.py").write_text("workdir = 'elsewhere'")
    assert f"{tmp_path}/elsewhere is seen from both sides" in diagnose(RUNS_IT).out


def test_a_job_that_does_not_start_is_cancelled(diagnose):
    result = diagnose("pass", "--timeout", "1", extra="\n    status = 'Q'\n")
    assert result.status == 1
    assert "killed 1" in result.out
    assert "job 1 is still queued, and was cancelled" in result.out


def test_a_job_that_does_not_end_is_cancelled(diagnose):
    result = diagnose("pass", "--timeout", "1", extra="\n    status = 'R'\n")
    assert "killed 1" in result.out
    assert "job 1 of two seconds is still running" in result.out


def test_a_folder_that_is_not_shared_is_told(diagnose, monkeypatch, tmp_path):
    monkeypatch.setattr("psyrun.cli.doctor.trial_job._LATENCY", 0.1)
    result = diagnose("pass")
    assert result.status == 1
    assert f"nothing that it wrote is in {tmp_path}" in result.out


def test_a_node_without_python_is_told(diagnose):
    result = diagnose(FAILS)
    assert result.status == 1
    assert "on far failed with exit status 127: no python3" in result.out


def test_variables_that_do_not_arrive_are_told(diagnose):
    run = RUNS_IT.replace("args,", "args, env={'PATH': '/bin:/usr/bin'},")
    result = diagnose(run)
    assert result.status == 0
    assert lines(result)["environment"][0] == "warning"


def test_a_queue_that_refuses_the_job_is_told(diagnose):
    refuse = "from psyrun.errors import SchedulerError; raise SchedulerError('No.')"
    assert "problem  job: No.\n" in diagnose(refuse).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "unknown scheduler 'nosuch'"),
        (["slurm", "--arg", "account"], "--arg account: must be NAME=VALUE"),
        (["slurm", "--timeout", "soon"], "--timeout"),
    ],
)
def test_wrong_arguments_are_refused(psy, arguments, said):
    result = psy("doctor", *arguments)
    assert result.status == 2
    assert said in result.err


def test_arguments_that_the_queue_does_not_know_are_told(psy):
    result = psy("doctor", "slurm", "--arg", "acount=lab")
    assert result.status == 1
    assert "Did you mean 'account'?" in result.out


def test_arguments_of_the_site_are_used(psy, project):
    (project / "psy-tasks/psy-conf.py").write_text("scheduler_args = {'acount': 'x'}")
    assert "Did you mean 'account'?" in psy("doctor", "slurm").out


@pytest.mark.usefixtures("no_queues")
def test_arguments_win_over_defaults_with_other_names(psy, project):
    conf = "scheduler_args = {'mem_per_cpu': '1G', 'cpus_per_task': 1}"
    (project / "psy-tasks/psy-conf.py").write_text(conf)
    out = psy("doctor", "slurm", "--arg", "time=5").out
    assert "arguments:" not in out
    assert "sbatch, squeue, scancel, scontrol not found" in out


def test_a_long_finding_is_wrapped() -> None:
    text = "has another content than what was written: its rows are taken from the "
    found = problem("round-1/blocks/117.pkl", text + "result, or from the journals")
    lines = found.wrapped.splitlines()
    assert " ".join(line.strip() for line in lines) == found.line
    assert lines[0].startswith("problem  round-1/blocks/117.pkl: ")
    assert all(len(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 9) for line in lines[1:])
    long = problem("x" * 100, "is long").wrapped.splitlines()
    assert long[0].startswith(f"problem  {'x' * 100}: ")
