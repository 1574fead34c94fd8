"""psyrun's client of Slurm, on a real one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster

from psyrun.errors import QueueFullError, QueueUnreachableError, SchedulerError
from psyrun.scheduler import Cause, JobArray, Slurm, Waiting
from psyrun.testing import SchedulerContract

pytestmark = pytest.mark.cluster

SMALL = {"memory": "50M", "timelimit": "5m"}
OVER_MEMORY = "import time; a = b'x' * (300 << 20); time.sleep(60)"


@pytest.mark.usefixtures("slurm")
class TestSlurm(SchedulerContract):
    kind = Slurm
    scheduler_args = SMALL


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Jobs of a test are known by their working folder, and cancelled at its end."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def make(tmp_path) -> Callable[..., JobArray]:
    """Make an array of a Python program."""

    def make(size: int, code: str, **scheduler_args: object) -> JobArray:
        folder = tmp_path / f"array {uuid.uuid4().hex}"
        folder.mkdir()
        args = (sys.executable, "-c", f"import sys; {code}")
        names = tuple(f"a:process:{i}" for i in range(size))
        values = Slurm().validate({**SMALL, **scheduler_args}, "a")
        return JobArray(args, "a:process", names, folder, values, uuid.uuid4().hex)

    return make


def wait_for(condition: Callable[[], object], patience: float = 90) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def await_end(jobs: list, patience: float = 90) -> None:
    living = Slurm().get_statuses
    wait_for(lambda: all(job.status == "D" for job in living(jobs).values()), patience)


def one(cluster: SlurmCluster, **arguments: object) -> str:
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    job = Slurm().submit(command, "o.log", "a", None, {**SMALL, **arguments})
    cluster.wait_for_state(str(job), "RUNNING")
    return job


def test_an_array_is_one_call_and_its_tasks_run_once(slurm, make):
    array = make(40, "print(sys.argv[1])")
    jobs = Slurm().submit_array(array)
    assert len({job.partition("_")[0] for job in jobs}) == 1
    await_end(jobs)
    printed = [array.output(i).read_text() for i in range(40)]
    assert printed == [f"{i}\n" for i in range(40)]


def test_an_array_is_found_by_its_comment(slurm, make):
    array = make(3, "pass", hold=True)
    jobs = Slurm().submit_array(array)
    (array.folder / "sbatch.out").unlink()
    assert Slurm().find(array) == dict(enumerate(jobs))
    Slurm().kill_all(jobs)
    assert Slurm().find(array) == dict(enumerate(jobs))


def test_a_submission_survives_whoever_submits(slurm, make):
    array = make(2, "pass")
    child = os.fork()
    if child == 0:
        try:
            Slurm().submit_array(array)
        finally:
            os._exit(0)
    # Anywhere between nothing and all is done.
    time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    wait_for(lambda: answers(lambda: Slurm().find(array)) is not None, 30)
    Slurm().submit_array(array)
    squeue = ("squeue", "-h", "-t", "all", "-o", "%F|%k")
    lines = set(slurm.run_cli(*squeue).splitlines())
    assert sum(line.endswith(array.key) for line in lines) == 1


def answers(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except QueueUnreachableError:
        return None


def test_cancelled_tasks_that_had_not_started_have_ended(slurm, make):
    array = make(5, "pass", hold=True)
    jobs = Slurm().submit_array(array)
    Slurm().kill_all([jobs[1], jobs[3]])
    statuses = Slurm().get_statuses(jobs)
    living = [job for job in jobs if job in statuses and statuses[job].status != "D"]
    assert living == [jobs[0], jobs[2], jobs[4]]
    Slurm().kill_all(jobs)
    statuses = Slurm().get_statuses(jobs)
    assert {status.status for status in statuses.values()} <= {"D"}
    assert Slurm().get_jobs() == []
    endings = Slurm().get_endings(jobs)
    assert {ending.cause for ending in endings.values()} == {Cause.CANCELLED}


def test_thousands_of_tasks_are_listed_and_killed_at_once(slurm, make):
    array = make(1001, "pass", hold=True)
    jobs = Slurm().submit_array(array)
    assert list(Slurm().get_statuses(jobs)) == jobs
    # Every second one: the longest way to say it.
    Slurm().kill_all(jobs[::2])
    alive = Slurm().get_statuses(jobs)
    assert [job for job in jobs if alive.get(job, "DD")[1] != "D"] == jobs[1::2]
    Slurm().kill_all(jobs)
    ended = Slurm().get_endings(jobs)
    assert set(jobs[1::2]) <= set(ended)


def test_the_limit_of_arrays_is_that_of_slurm(slurm, make):
    size = Slurm().max_array_size()
    assert size == slurm.settings.max_array_size
    with pytest.raises(SchedulerError, match="Invalid job array specification"):
        Slurm().submit_array(make(size + 1, "pass", hold=True))


def test_why_jobs_ended_is_known_without_accounting(slurm, make):
    code = "i = int(sys.argv[1]); import os; i == 2 and os.kill(os.getpid(), 11); "
    jobs = Slurm().submit_array(make(3, code + "sys.exit(i)"))
    await_end(jobs)
    endings = Slurm().get_endings([*jobs, "99999"])
    assert [endings[job].text for job in jobs] == [
        *("completed", "exit status 1", "killed by signal SIGSEGV"),
    ]
    assert "99999" not in endings


def test_a_job_over_its_memory_is_explained_by_its_output(slurm, make):
    array = make(1, OVER_MEMORY)
    jobs = Slurm().submit_array(array)
    await_end(jobs)
    assert Slurm().get_endings(jobs)[jobs[0]].cause in (Cause.FAILED, Cause.CANCELLED)
    explained = Slurm().explain(array.output(0).read_text())
    assert explained is not None
    assert explained.cause is Cause.MEMORY


def test_a_job_over_its_time_is_known(slurm):
    job = one(slurm, timelimit="1m")
    slurm.end_time_limit(job)
    await_end([job])
    assert Slurm().get_endings([job])[job].cause is Cause.TIME
    explained = Slurm().explain(Path("o.log").read_text())
    assert explained is not None
    assert explained.cause is Cause.TIME


def test_a_node_that_dies_is_known(slurm):
    job = one(slurm, nodelist="n2")
    slurm.kill_node("n2")
    # Slurm itself takes a while to notice; by itself, the job would take longer.
    await_end([job], 240)
    assert Slurm().get_endings([job])[job].cause is Cause.NODE


def test_a_job_that_was_cancelled_is_known(slurm):
    job = one(slurm)
    slurm.run_cli("scancel", job)
    await_end([job])
    assert Slurm().get_endings([job])[job].cause is Cause.CANCELLED
    explained = Slurm().explain(Path("o.log").read_text())
    assert explained is not None
    assert explained.cause is Cause.CANCELLED


def test_why_jobs_wait_is_known(slurm):
    held = Slurm().submit(["true"], "held.log", scheduler_args={"hold": True})
    running = one(slurm)
    told = Slurm().why_queued([held, running])
    assert list(told) == [held]
    assert told[held].startswith("JobHeldUser: you hold it")
    later = Slurm().submit(["true"], "l.log", scheduler_args={"begin": "now+1hour"})
    waiting = Slurm().get_waiting([held, running, later])
    assert waiting.keys() == {held, later}
    assert waiting[held] == Waiting(told[held])
    start = waiting[later].start
    assert start is not None
    assert 3000 < start - time.time() < 4000
    Slurm().kill_all([held, running, later])


def test_a_suspended_job_is_not_ended(slurm):
    job = one(slurm)
    slurm.run_cli("scontrol", "suspend", job)
    assert Slurm().get_status(job).status == "Z"
    assert job in Slurm().get_jobs()
    slurm.run_cli("scontrol", "resume", job)
    assert Slurm().get_status(job).status == "R"


def test_a_controller_that_is_down_is_no_end_of_jobs(slurm, make):
    job, array = one(slurm), make(2, "pass")
    slurm.stop_controller()
    for ask in (
        lambda: Slurm().get_statuses([job]),
        lambda: Slurm().kill_all([job]),
        lambda: Slurm().submit_array(array),
        lambda: Slurm().find(array),
        Slurm().max_array_size,
    ):
        with pytest.raises(QueueUnreachableError, match="Slurm does not answer"):
            ask()
    assert Slurm().get_endings([job]) == {}
    slurm.start_controller()
    assert Slurm().get_status(job).status == "R"
    assert Slurm().find(array) == {}
    assert len(Slurm().submit_array(array)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"partition": "nowhere"}, "invalid partition specified: nowhere"),
        ({"memory": "4T"}, "Memory specification can not be satisfied"),
        ({"gres": "fpga:1"}, "Invalid generic resource"),
        ({"constraint": "fast"}, "Invalid feature specification"),
    ],
)
def test_a_refused_job_says_why(slurm, arguments, said):
    with pytest.raises(SchedulerError, match=said) as caught:
        Slurm().submit(["true"], "o.log", "a", None, {**SMALL, **arguments})
    assert not isinstance(caught.value, QueueUnreachableError | QueueFullError)
    assert len(str(caught.value).splitlines()) == 1


def test_every_option_that_is_known_is_one_of_sbatch(slurm):
    """Apart from those that this version does not have, or no longer has."""
    listed = subprocess.run(["sbatch", "--help"], capture_output=True, text=True).stdout
    manual = subprocess.run(["man", "sbatch"], capture_output=True, text=True).stdout
    newer = {
        *("consolidate-segments", "extra", "oom-kill-step", "resv-ports", "segment"),
        *("stepmgr", "tres-bind", "tres-per-task", "container-id"),
    }
    names = [option.flag.lstrip("-") for option in Slurm.OPTIONS.values()]
    names = [name for name in names if len(name) > 1 and name not in newer]
    if not manual:
        pytest.skip("there is no manual of sbatch on this machine")
    assert [name for name in names if f"--{name}" not in listed + manual] == []


def test_times_and_memory_are_taken_by_sbatch(slurm):
    values = {"timelimit": "1d2h3m", "memory": "0.1G", "exclusive": True, "hold": True}
    job = Slurm().submit(["true"], "o.log", "a", None, values)
    shown = slurm.run_cli("scontrol", "show", "job", job)
    assert "TimeLimit=1-02:03:00" in shown
    assert "MinMemoryNode=103M" in shown
    assert "OverSubscribe=NO" in shown


def test_who_cancelled_is_known_with_accounting(slurm_with_accounting):
    job = one(slurm_with_accounting)
    slurm_with_accounting.run_cli("scancel", job)
    await_end([job])
    me = "cancelled by root"
    wait_for(lambda: Slurm().get_endings([job])[job].text == me, 30)


def test_accounting_tells_of_jobs_that_it_knows(slurm_with_accounting, make):
    array = make(3, "sys.exit(int(sys.argv[1]))")
    jobs = Slurm().submit_array(array)
    await_end(jobs)
    # At once, though the accounting lags.
    assert [Slurm().get_endings(jobs)[job].exit_status for job in jobs] == [0, 1, 2]
    held = Slurm().submit_array(make(4, "pass", hold=True))
    Slurm().kill_all(held)
    wait_for(lambda: len(Slurm().get_endings(held)) == 4, 30)


def test_accounting_that_is_down_is_passed_over(slurm_with_accounting, make):
    jobs = Slurm().submit_array(make(1, "sys.exit(3)"))
    await_end(jobs)
    slurm_with_accounting._share.take_alone()
    slurm_with_accounting._daemons.stop("slurmdbd")
    begin = time.monotonic()
    assert Slurm().get_endings(jobs)[jobs[0]].exit_status == 3
    assert time.monotonic() - begin < 60


def test_a_full_queue_is_told_from_a_refusal(slurm_with_accounting, make):
    slurm_with_accounting.set_max_submit_jobs(3)
    try:
        with pytest.raises(QueueFullError, match="AssocMaxSubmitJobLimit"):
            Slurm().submit_array(make(4, "pass", hold=True))
        assert len(Slurm().submit_array(make(3, "pass", hold=True))) == 3
    finally:
        slurm_with_accounting.set_max_submit_jobs(None)


def test_an_account_that_does_not_exist_is_named(slurm_with_accounting):
    with pytest.raises(SchedulerError, match="Invalid account") as caught:
        Slurm().submit(["true"], "o.log", "a", None, {**SMALL, "account": "nope"})
    assert type(caught.value) is SchedulerError
