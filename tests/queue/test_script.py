"""What runs a job on a machine of the queue, and what it leaves there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from psyrun.queue.script import JobTrace, command, write_script
from psyrun.scheduler import Cause


def run(
    folder: Path,
    position: int,
    *commands: str,
    minutes: int | None = None,
    **variables: str,
) -> JobTrace:
    folder.mkdir()
    write_script(folder, "key", commands, Path.cwd(), minutes)
    out = folder / "out"
    with out.open("wb") as file:
        subprocess.run(
            [*command(folder), str(position)],
            env={**os.environ, **variables},
            stdout=file,
            stderr=file,
        )
    return JobTrace.read(out)


def test_a_job_runs_the_command_at_its_position(tmp_path: Path) -> None:
    trace = run(tmp_path / "it's 100%", 1, "echo one", "echo 'two '\"$HOME\"; exit 3")
    assert trace.exit_status == 3
    assert trace.text.startswith("two /")
    assert trace.host


def test_a_job_runs_in_the_project_and_knows_which_it_is(tmp_path: Path) -> None:
    trace = run(tmp_path / "a", 0, "pwd; echo $PSYRUN_JOB")
    assert trace.text.splitlines() == [str(Path.cwd()), "key:0"]


def test_a_job_knows_when_its_time_is_over(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PSYRUN_DEADLINE", "7")
    trace = run(tmp_path / "a", 0, "echo $PSYRUN_DEADLINE", minutes=2)
    assert abs(float(trace.text) - time.time() - 120) < 5
    assert run(tmp_path / "b", 0, "echo $PSYRUN_DEADLINE").text == ""
    of_slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_END_TIME": "1800000000"}
    trace = run(tmp_path / "c", 0, "echo $PSYRUN_DEADLINE", minutes=2, **of_slurm)
    assert trace.text == "1800000000"


SAYS_ENDS = "echo $PSYRUN_DEADLINE-$SLURM_JOB_END_TIME"


@pytest.mark.parametrize("job", ["", "7"])
def test_a_job_does_not_believe_what_a_shell_has_left_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", "1800000000")
    # A queue that is not Slurm lets the job inherit it, and Slurm gives it its own.
    of_job = {"SLURM_JOB_ID": job}
    text = run(tmp_path / "a", 0, SAYS_ENDS, minutes=2, **of_job).text
    assert text.endswith("-")
    assert abs(float(text[:-1]) - time.time() - 120) < 5
    assert run(tmp_path / "b", 0, SAYS_ENDS, **of_job).text == "-"
    own = {**of_job, "SLURM_JOB_END_TIME": "1900000000"}
    known = "1900000000" if job else ""
    assert run(tmp_path / "c", 0, SAYS_ENDS, **own).text == f"-{known}"


@pytest.mark.parametrize("position", [0, 1, 7])
def test_a_job_needs_no_program_of_the_path(tmp_path: Path, position: int) -> None:
    commands = [
        rf"printf '%s\n' 'a\b  {n}'; echo at $PSYRUN_DEADLINE; exit 3" for n in range(8)
    ]
    trace = run(tmp_path / "a", position, *commands, minutes=2, PATH="/nothing")
    assert trace.exit_status == 3
    assert trace.text.splitlines()[-3:-1] == [rf"a\b  {position}", "at"]
    assert trace.host


def test_a_job_without_a_path_gets_one(tmp_path: Path) -> None:
    trace = run(tmp_path / "a", 0, "echo $PATH", PATH="")
    assert "/bin" in trace.text.split(":")


def test_a_job_without_its_command_fails(tmp_path: Path) -> None:
    trace = run(tmp_path / "a", 5, "echo one")
    assert trace.exit_status is None
    assert "cannot be read" in trace.text


def test_python_is_the_one_that_submits(tmp_path: Path) -> None:
    trace = run(tmp_path / "a", 0, "python3 -c 'import psyrun, sys; print(sys.prefix)'")
    import sys

    assert trace.text == sys.prefix


def test_a_trace_may_be_missing_empty_or_torn(tmp_path: Path) -> None:
    path = tmp_path / "out"
    assert JobTrace.read(path) == JobTrace()
    text = "psyrun: start n1 17\nsaid\npsyrun: exit 0 18\n"
    for length in range(len(text)):
        path.write_text(text[:length])
        assert JobTrace.read(path).exit_status is None
    path.write_text(text)
    assert JobTrace.read(path) == JobTrace("n1", 0, "said", 17, 18)


def test_a_job_that_the_queue_starts_again_has_not_ended(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("psyrun: start n1 1\npsyrun: exit 1 2\npsyrun: start n2 3\n")
    assert JobTrace.read(path) == JobTrace("n2", started=3)


@pytest.mark.parametrize(
    ("programs", "host"),
    [
        (["sh", "sed", "date", "uname"], os.uname().nodename),
        (["sh", "sed", "date"], "an unknown machine"),
        (["sh", "sed"], "an unknown machine"),
    ],
)
def test_a_job_starts_on_machines_with_few_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: list[str], host: str
) -> None:
    few = tmp_path / "bin"
    few.mkdir()
    for program in programs:
        (few / program).symlink_to(str(shutil.which(program)))
    monkeypatch.setenv("PATH", str(few))
    assert run(tmp_path / "a", 0, "echo one").host == host


def test_only_the_end_of_long_output_is_read(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(f"psyrun: start n1 1\n{'x' * 200_000}\nlast\npsyrun: exit 0 2\n")
    trace = JobTrace.read(path)
    assert (trace.host, trace.exit_status) == ("n1", 0)
    assert len(trace.text) < 70_000
    assert trace.text.endswith("last")


@pytest.mark.parametrize(("status", "cause"), [(0, Cause.DONE), (2, Cause.FAILED)])
def test_an_exit_status_is_an_ending(status: int, cause: Cause) -> None:
    ending = JobTrace("n1", status).ending
    assert ending is not None
    assert (ending.cause, ending.exit_status) == (cause, status)
    assert JobTrace("n1").ending is None
