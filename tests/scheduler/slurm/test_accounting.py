"""Why jobs of Slurm ended, as its commands tell it."""

from __future__ import annotations

import os
import pwd

import pytest

from psyrun.scheduler import Cause, Ending, Slurm
from psyrun.scheduler.slurm.accounting import (
    AccountingRecord,
    ending,
    explain,
    parse_sacct,
    parse_scontrol,
)

ME = pwd.getpwuid(os.getuid()).pw_name
SACCT = """\
12|COMPLETED|0:0
13_0|FAILED|3:0
13_[1-2,5%2]|CANCELLED by 4242424|0:0
14|RUNNING|0:0
"""
SCONTROL = """\
JobId=9 JobName=a b UserId=root(0) GroupId=root(0) JobState=FAILED \
Reason=JobLaunchFailure Dependency=(null) Requeue=1 ExitCode=0:9 RunTime=00:00:01
JobId=17 ArrayJobId=15 ArrayTaskId=1 JobName=arr2 JobState=TIMEOUT Reason=None ExitCode=0:15
JobId=30 ArrayJobId=30 ArrayTaskId=3,5-6 JobName=w JobState=CANCELLED Reason=JobHeldUser ExitCode=0:0
JobId=31 JobName=r JobState=RUNNING Reason=None ExitCode=0:0
"""  # noqa: E501
# Tasks 1 and 2 of 40 were cancelled as they were queued, and all of 41.
WITHOUT_CANCELLED = """\
JobId=40 ArrayJobId=40 ArrayTaskId=3 JobName=a JobState=PENDING Reason=JobHeldUser ExitCode=0:0
JobId=42 ArrayJobId=40 ArrayTaskId=0 JobName=a JobState=COMPLETED Reason=None ExitCode=0:0
JobId=41 ArrayJobId=41 ArrayTaskId=4294967294 JobName=a JobState=CANCELLED Reason=JobHeldUser ExitCode=0:0
JobId=43 JobName=r JobState=RUNNING Reason=None ExitCode=0:0
"""  # noqa: E501
OVER_MEMORY = """\
Traceback (most recent call last)
slurmstepd-n2: error: StepId=9.batch exceeded memory limit (330022912 > 104857600), \
being killed
slurmstepd-n2: error: Exceeded job memory limit
slurmstepd-n2: error: *** JOB 9 ON n2 CANCELLED AT 2026-11-25T10:13:01 ***
"""
NO_OUTPUT = "its node could not open its output file; is the folder shared?"


@pytest.mark.parametrize(
    ("state", "code", "expected"),
    [
        ("COMPLETED", "0:0", Ending(Cause.DONE, "completed", 0)),
        ("FAILED", "3:0", Ending(Cause.FAILED, "exit status 3", 3)),
        ("FAILED", "0:11", Ending(Cause.FAILED, "killed by signal SIGSEGV", 139)),
        ("FAILED", "0:125", Ending(Cause.MEMORY, "out of memory")),
        ("FAILED", "0:53", Ending(Cause.NODE, NO_OUTPUT)),
        ("OUT_OF_MEMORY", "0:125", Ending(Cause.MEMORY, "out of memory")),
        ("TIMEOUT", "0:15", Ending(Cause.TIME, "time limit reached")),
        ("DEADLINE", "0:0", Ending(Cause.TIME, "its deadline was reached")),
        ("NODE_FAIL", "1:0", Ending(Cause.NODE, "its node failed")),
        ("BOOT_FAIL", "1:0", Ending(Cause.NODE, "its node did not boot")),
        ("PREEMPTED", "0:0", Ending(Cause.NODE, "preempted by another job")),
        ("CANCELLED", "0:15", Ending(Cause.CANCELLED, "cancelled")),
        (
            f"CANCELLED by {os.getuid()}",
            "0:15",
            Ending(Cause.CANCELLED, f"cancelled by {ME}"),
        ),
        (
            "CANCELLED by 4242424",
            "0:0",
            Ending(Cause.CANCELLED, "cancelled by user 4242424"),
        ),
        ("RUNNING", "0:0", None),
        ("PENDING", "0:0", None),
        ("COMPLETING", "0:0", None),
    ],
)
def test_states_are_causes(state, code, expected):
    assert ending(state, code) == expected


def test_what_sacct_prints_is_read():
    cancelled = ("CANCELLED by 4242424", "0:0")
    assert list(parse_sacct(SACCT)) == [
        AccountingRecord("12", "COMPLETED", "0:0"),
        AccountingRecord("13_0", "FAILED", "3:0"),
        *(AccountingRecord(f"13_{i}", *cancelled) for i in (1, 2, 5)),
        AccountingRecord("14", "RUNNING", "0:0"),
    ]


def test_what_scontrol_prints_is_read():
    assert list(parse_scontrol(SCONTROL)) == [
        AccountingRecord("9", "FAILED", "0:9"),
        AccountingRecord("15_1", "TIMEOUT", "0:15"),
        *(AccountingRecord(f"30_{i}", "CANCELLED", "0:0") for i in (3, 5, 6)),
        AccountingRecord("31", "RUNNING", "0:0"),
    ]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (OVER_MEMORY, Cause.MEMORY),
        ("error: Detected 1 oom_kill event in StepId=9.batch.", Cause.MEMORY),
        ("error: Detected 1 oom-kill event(s) in step 9.batch", Cause.MEMORY),
        ("error: *** JOB 8 ON n2 CANCELLED AT 1 DUE TO TIME LIMIT ***", Cause.TIME),
        ("error: *** JOB 8 ON n CANCELLED AT 1 DUE TO NODE FAILURE ***", Cause.NODE),
        ("error: *** JOB 8 ON n CANCELLED AT 1 DUE TO PREEMPTION ***", Cause.NODE),
        ("error: *** JOB 4 ON n2 CANCELLED AT 2026-11-25 ***", Cause.CANCELLED),
    ],
)
def test_what_slurm_writes_into_the_output_is_read(line, cause):
    line = f"slurmstepd-n2: {line}"
    told = explain(f"my own line\n{line}\n")
    assert told is not None
    assert told.cause is cause


def test_what_a_job_writes_is_not_taken_for_slurms_words():
    assert (
        explain("I exceeded my memory limit\n*** JOB 1 CANCELLED AT noon ***") is None
    )
    assert explain("") is None


def test_sacct_is_asked_first_and_scontrol_for_the_others(command):
    command("sacct", "echo '12|FAILED|3:0'; echo '13|RUNNING|0:0'")
    command("scontrol", "echo 'JobId=13 JobName=a JobState=TIMEOUT ExitCode=0:15'")
    assert Slurm().get_endings(["12", "13", "14"]) == {
        "12": Ending(Cause.FAILED, "exit status 3", 3),
        "13": Ending(Cause.TIME, "time limit reached"),
    }


def test_ids_may_be_numbers(command):
    command("sacct", "echo '12|COMPLETED|0:0'")
    assert list(Slurm().get_endings([12])) == [12]


def test_tasks_that_are_gone_from_their_arrays_were_cancelled(command, tmp_path):
    shown = tmp_path / "shown"
    shown.write_text(WITHOUT_CANCELLED)
    command("scontrol", f"cat '{shown}'")
    jobs = ["40_0", "40_1", "40_2", "40_3", "41_0", "43", "44", "44_0"]
    told = Slurm().why_not_begun(jobs)
    assert list(told) == ["40_1", "40_2", "41_0"]
    assert set(told.values()) == {Ending(Cause.CANCELLED, "cancelled before it began")}
    assert [job.id for job in parse_scontrol(WITHOUT_CANCELLED)] == [
        *("40_3", "40_0", "43"),
    ]


def test_a_controller_that_is_down_tells_of_no_cancelled_tasks(command):
    command("scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert Slurm().why_not_begun(["12_0"]) == {}


def test_sources_that_fail_are_passed_over(command):
    command("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    command("scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert Slurm().get_endings(["12"]) == {}


def test_an_accounting_that_hangs_is_left_alone(command, monkeypatch):
    monkeypatch.setattr("psyrun.scheduler.slurm.accounting.SACCT_TIME_OUT", 0.3)
    command("sacct", "exec sleep 60")
    command("scontrol", "echo 'JobId=12 JobName=a JobState=TIMEOUT ExitCode=0:15'")
    assert Slurm().get_endings(["12"])["12"].cause is Cause.TIME
