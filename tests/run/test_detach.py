"""Runs that go on without the terminal that started them, as real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import pytest
from projects import Project, wait_until

from psyrun.utils.process.identity import process_start
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import live_holder

pytestmark = pytest.mark.slow

SLOW = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while not Path("go").exists():
        time.sleep(0.05)
    return {"y": x**2}
"""
FAILING = """\
from psyrun import Param

pspace = Param(x=[1, 2, 3, 4])
max_jobs = 2


def execute(x):
    if x == 3:
        raise ValueError("no three")
    return {"y": x**2}
"""
IN_SLURM = """\
from psyrun import Param, Slurm

pspace = Param(x=[1, 2, 3, 4])
scheduler = Slurm()


def execute(x):
    return {"y": x**2}
"""
UNREACHABLE = """\
#!/bin/sh
echo "slurm error: Unable to contact slurm controller (connect failure)" >&2
exit 1
"""


def layout(project: Project, name: str = "a") -> TaskLayout:
    return TaskLayout(project.work(name))


def controller(project: Project) -> int:
    holder = live_holder(layout(project).lock)
    assert holder is not None
    return holder.pid


def record(project: Project, name: str = "a") -> dict:
    return json.loads(layout(project, name).run_record.read_text())


@pytest.fixture
def slow(project):
    """A project whose assignments end when told so; nothing is left running."""
    project.write(SLOW)
    yield project
    holder = live_holder(layout(project).lock)
    if holder is not None:
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: process_start(holder.pid) is None)


@pytest.fixture
def unreachable(project, monkeypatch):
    """A project for a Slurm whose controller is down."""
    folder = project.folder / "bin"
    folder.mkdir()
    for name in ("sbatch", "squeue", "sacct", "scontrol", "scancel"):
        (folder / name).write_text(UNREACHABLE)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    project.write(IN_SLURM)
    return project


def is_said(process: subprocess.Popen[str], output: IO[str] | None, text: str) -> bool:
    """Wait until a process says something, and kill it."""
    assert output is not None
    killer = threading.Timer(30, process.kill)
    killer.start()
    found = any(text in line for line in output)
    killer.cancel()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return found


def test_the_command_returns_while_the_run_goes_on(slow):
    told = slow.psy("run", "--detach", "a").stdout
    assert "'psy attach a'" in told and "'psy kill a'" in told
    assert "detached" in slow.psy("status").stdout
    (slow.folder / "go").touch()
    assert "result.pkl" in slow.psy("attach", "a").stdout
    assert slow.result()["y"] == [1, 4, 9, 16]
    assert slow.calls() == [1, 2, 3, 4]


def test_a_logout_does_not_end_it(slow):
    shell = f"{sys.executable} -m psyrun.cli run --detach a; kill -HUP 0"
    process = subprocess.Popen(
        ["sh", "-c", shell], cwd=slow.folder, start_new_session=True
    )
    assert process.wait(60) == -signal.SIGHUP
    pid = controller(slow)
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGHUP)
    (slow.folder / "go").touch()
    slow.psy("attach", "a")
    assert slow.result()["y"] == [1, 4, 9, 16]


def test_nothing_of_it_holds_the_terminal(slow):
    slow.psy("run", "--detach", "a")  # returns only when all its outputs are closed
    pid = controller(slow)
    open_files = {str(Path(f"/proc/{pid}/fd/{n}").readlink()) for n in range(3)}
    log = str(layout(slow).run_log)
    assert open_files == {"/dev/null", log}


def test_mistakes_are_told_at_once(project):
    project.write("pspace = 3\n")
    result = project.psy("run", "--detach", "a", status=2)
    assert "task_a.py" in result.stderr
    assert "attach" not in result.stdout
    result = project.psy("run", "--detach", "b", status=2)
    assert "no task 'b'" in result.stderr


def test_a_task_that_is_done_is_not_run_again(project):
    project.psy("run", "a")
    result = project.psy("run", "--detach", "a")
    assert "-  a:merge" in result.stdout
    assert "attach" not in result.stdout


def test_a_second_run_is_refused(slow):
    slow.psy("run", "--detach", "a")
    for option in ("--detach", "--quiet"):
        result = slow.psy("run", option, "a", status=2)
        assert "is run by process" in result.stderr


def test_all_options_are_handed_on(slow):
    slow.write(FAILING)
    options = ("-q", "-c", "-j", "2", "--accept-failures", "--max-failures", "7")
    slow.psy("run", "--detach", *options, "a", "--", "--verbose")
    assert "without 1 assignment" in slow.psy("attach", "a").stdout
    assert slow.result()["x"] == [1, 2, 4]
    assert "--verbose" not in (slow.work() / "run.log").read_text()


def test_the_exit_status_is_that_of_the_run(project):
    project.write(FAILING)
    project.psy("run", "--detach", "a")
    for _ in range(2):  # while it runs, or just after, and when it is over
        result = project.psy("attach", "a", status=1)
        assert "ValueError: no three" in result.stderr
        assert "Fix the cause" in result.stderr
    assert "nothing runs; the last run ended" in result.stdout


def attach(project):
    """Start following a run; return the process, and the first line that it prints."""
    process = project.start("psyrun.cli", "attach", "a")
    return process, process.stdout.readline()


def test_a_run_in_a_terminal_is_followed(slow):
    run = slow.start("psyrun.cli", "run", "a")
    wait_until(lambda: (slow.folder / "calls").exists())
    attached, first = attach(slow)
    (slow.folder / "go").touch()
    told = first + attached.stdout.read()
    said, _ = run.communicate(timeout=60)
    _, errors = attached.communicate(timeout=60)
    assert (attached.returncode, errors) == (0, "")
    # Now and then a line tells of the progress; each of the two has its own clock.
    told, said = (
        [line for line in text.splitlines() if "assignments done" not in line]
        for text in (told, said)
    )
    assert told == said


def test_plain_snakemake_is_followed(slow):
    run = slow.start("psyrun.cli", "run", "a")
    wait_until(lambda: (slow.folder / "calls").exists())
    layout(slow).run_record.unlink()
    attached, first = attach(slow)
    (slow.folder / "go").touch()
    run.communicate(timeout=60)
    layout(slow).run_record.unlink(missing_ok=True)
    told = first + attached.stdout.read()
    attached.communicate(timeout=60)
    assert "a: " in told
    assert attached.returncode == 0


def test_an_interruption_ends_only_the_following(slow):
    slow.psy("run", "--detach", "a")
    attached = slow.start("psyrun.cli", "attach", "a")
    assert attached.stdout.readline()
    attached.send_signal(signal.SIGINT)
    assert "the run goes on" in attached.communicate(timeout=20)[1]
    assert attached.returncode == 130
    assert controller(slow)


def test_a_controller_that_was_killed_is_told_of(slow):
    slow.psy("run", "--detach", "a")
    wait_until(lambda: (slow.folder / "calls").exists())
    attached = slow.start("psyrun.cli", "attach", "a")
    assert attached.stdout.readline()
    os.kill(controller(slow), signal.SIGKILL)
    told = attached.communicate(timeout=30)[1]
    assert attached.returncode == 1
    assert "ended unexpectedly" in told and "'psy run a'" in told
    assert slow.psy("attach", "a", status=1).stderr == told
    (slow.folder / "go").touch()
    slow.calls()
    slow.psy("run", "a")
    assert slow.result()["y"] == [1, 4, 9, 16]
    assert slow.psy("attach", "a").stdout


def test_kill_stops_it_and_attach_tells_so(slow):
    slow.psy("run", "--detach", "a")
    wait_until(lambda: (slow.folder / "calls").exists())
    attached = slow.start("psyrun.cli", "attach", "a")
    assert attached.stdout.readline()
    assert "a: stopped" in slow.psy("kill", "a").stdout
    assert "stopped by 'psy kill'" in attached.communicate(timeout=30)[1]
    assert attached.returncode == 130


def test_several_tasks_have_one_log(slow):
    slow.write(FAILING, "b")
    slow.psy("run", "--detach", "a", "b")
    (slow.folder / "go").touch()
    for name in "ba":
        assert "no three" in slow.psy("attach", name, status=1).stderr
        assert record(slow, name)["log"] == "psy-work/a/run.log"
        assert record(slow, name)["tasks"].keys() == {"a", "b"}


def test_a_task_that_never_ran_cannot_be_followed(project):
    result = project.psy("attach", "a", status=2)
    assert "'psy run --detach a'" in result.stderr


def test_local_tasks_have_no_queue_for_their_controller(project):
    result = project.psy("run", "--detach=job", "a", status=2)
    assert "Set 'scheduler'" in result.stderr
    assert not Path(project.work() / "run.json").exists()


def test_clean_removes_what_is_recorded_of_runs(project):
    project.psy("run", "--detach", "a")
    project.psy("attach", "a")
    wait_until(lambda: live_holder(layout(project).lock) is None)
    project.psy("clean", "a")
    assert not project.work().exists()


def test_a_queue_that_does_not_answer_is_told_of(unreachable):
    problem = "Unable to contact slurm controller"
    submitting = unreachable.start("psyrun.cli", "run", "--detach=job", "a")
    assert is_said(submitting, submitting.stderr, problem)
    told = unreachable.psy("status").stdout
    assert "submission was cut off" in told and "waits" not in told
    following = unreachable.start("psyrun.cli", "attach", "a")
    assert is_said(following, following.stdout, problem)
