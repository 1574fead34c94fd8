import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from psyrun.queue.ledger import Intent, Ledger
from psyrun.utils.process.identity import process_start
from psyrun.workdir.holder import Holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import live_holder, running_jobs

SLOW = """\
import os, subprocess, sys, time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(4))
max_jobs = 1


def execute(x):
    if x > 0:
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        Path(f"pids-{x}").write_text(f"{os.getpid()} {child.pid}")
        time.sleep(1000)
    return {"y": x}
"""
LAYOUT = TaskLayout.of("psy-work", "slow")


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def pids():
    """Return the processes of the user's code once it runs."""
    wait_for(lambda: Path("pids-1").exists() and Path("pids-1").read_text())
    return [int(pid) for pid in Path("pids-1").read_text().split()]


def have_ended(processes):
    return all(process_start(pid) is None for pid in processes)


@pytest.fixture
def running(write_task, start_psy):
    """A run that never ends by itself, and its processes."""
    write_task("slow", SLOW)
    run = start_psy("run", "slow")
    yield run, pids()
    for pid in pids():
        if process_start(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_run_is_stopped_with_all_its_processes(psy, running):
    run, processes = running
    result = psy("kill", "slow")
    assert result.status == 0
    assert "slow: stopped" in result.out
    assert run.wait(10) == 130
    assert have_ended(processes)
    assert live_holder(LAYOUT.lock) is None


def test_what_was_evaluated_is_kept(psy, running):
    psy("kill", "slow")
    assert "incomplete  1/4" in psy("status", "slow").out


def test_jobs_that_outlived_their_run_are_stopped(psy, write_task, work):
    write_task("slow", SLOW)
    work("split", name="slow")
    arguments = ["process", str(LAYOUT.folder), "1", "0"]
    command = [sys.executable, "-m", "psyrun.steps", *arguments]
    with subprocess.Popen(command) as job:
        processes = pids()
        assert [name for name, _ in running_jobs(LAYOUT)] == ["process:0"]
        assert "with 1 running job;" in psy("kill", "slow").out
        assert job.wait(10) != 0
    assert have_ended(processes)


def test_a_run_by_plain_snakemake_is_stopped(psy, write_task):
    write_task("slow", SLOW)
    psy("init")
    profile = psy("profile", "local").out.strip()
    command = [sys.executable, "-m", "snakemake", "--profile", profile, "--cores", "1"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as snakemake:
        processes = pids()
        assert psy("kill", "slow").status == 0
        assert snakemake.wait(10) != 0
    assert have_ended(processes)
    assert live_holder(LAYOUT.lock) is None


def test_a_task_that_nobody_runs_is_no_error(psy, write_task, finish):
    write_task()
    finish()
    result = psy("kill", "square")
    assert (result.status, result.out) == (0, "square: nothing is running\n")


def test_without_a_task_nothing_is_stopped(psy, write_task):
    write_task()
    result = psy("kill")
    assert result.status == 2
    assert "psy kill --all" in result.err


def test_a_run_on_another_machine_is_named(psy, write_task, work, monkeypatch):
    # Nobody there will ever heed the request.
    monkeypatch.setattr("psyrun.run.stop._PATIENCE_WITH_OTHERS", 0.5)
    write_task()
    lock = work("split").layout.lock
    lock.write_text(
        '{"host": "node7", "pid": 1, "started": "1", "since": 0.0}', encoding="utf-8"
    )
    result = psy("kill", "square")
    assert result.status == 2
    assert "on node7" in result.err
    assert lock.exists()
    assert (lock.parent / "stop").exists()


def test_a_stale_lock_is_nothing_running(psy, write_task, work):
    write_task()
    lock = work("split").layout.lock
    me = Holder.me()
    lock.write_text(
        f'{{"host": "{me.host}", "pid": {me.pid}, "started": "0", "since": 0.0}}'
    )
    assert "nothing is running" in psy("kill", "square").out


def test_who_waits_for_a_queue_to_stop_a_task_is_not_said_to_run_it(
    psy, write_task, work, start_psy, monkeypatch
):
    write_task("slow", SLOW)
    work("split", name="slow")
    squeue = Path("bin/squeue")
    squeue.parent.mkdir()
    down = "Unable to contact slurm controller"
    squeue.write_text(f"#!/bin/sh\necho {down} >&2; exit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent.absolute()}:/usr/bin:/bin")
    one = ("slow:process:0",)
    slurm = "psyrun.scheduler.slurm:Slurm"
    intent = Intent(one[0], one, one, ("true",), 1, slurm, {})
    Ledger(LAYOUT).begin(intent).note_ids({0: "1"})
    start_psy("kill", "slow")
    wait_for(LAYOUT.stop.exists)
    assert "being stopped by 'psy kill'" in psy("status", "slow").out
