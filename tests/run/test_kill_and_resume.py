"""Runs that are killed, or asked to end, at any moment: nothing is lost."""

import json
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from projects import Project, descendants, wait_until

from psyrun.workdir.holder import Holder, recorded_holder

pytestmark = pytest.mark.slow

SLOW = """\
import time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(40))
max_jobs = 2


def waits():
    try:
        n_calls = int(Path("hold").read_text())
    except FileNotFoundError:
        return False
    return len(Path("calls").read_text().split()) >= n_calls


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{x}\\n")
    while waits():
        time.sleep(0.02)
    return {"y": x**2}
"""
ALL = list(range(40))


@pytest.fixture
def slow(project: Project) -> Project:
    """The project with a task of two blocks, which can be held."""
    project.write(SLOW)
    return project


def start_and_hold(project: Project, n: int, *command: str) -> subprocess.Popen[str]:
    """Start a command, and return when it has begun with `n` assignments.

    It goes on when it is let go, however long the test takes until then.
    """
    (project.folder / "hold").write_text(str(n))
    process = project.start(*command)
    wait_until(lambda: n_calls(project) >= n)
    return process


def let_go(project: Project) -> None:
    (project.folder / "hold").unlink()


def n_calls(project: Project) -> int:
    path = project.folder / "calls"
    return len(path.read_text().split()) if path.exists() else 0


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def find(pids: list[int], text: str) -> int:
    return next(pid for pid in pids if text in command_of(pid))


def workers(pids: list[int]) -> list[int]:
    """Return the processes at the ends of the fork server's tree."""
    server = find(pids, "psyrun.steps.forkserver")
    return [pid for pid in descendants(server) if not descendants(pid)]


VICTIMS = {
    "psy": lambda psy, pids: [psy],
    "snakemake": lambda psy, pids: [find(pids, "snakemake")],
    "server": lambda psy, pids: [find(pids, "psyrun.steps.forkserver")],
    "worker": lambda psy, pids: workers(pids)[:1],
    "all": lambda psy, pids: [psy, *pids],
}


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS.keys())
def test_after_a_kill_only_what_is_missing_is_evaluated(slow, victims) -> None:
    process = start_and_hold(slow, 8, "psyrun.cli", "run", "-j", "2")
    for pid in victims(process.pid, descendants(process.pid)):
        # Some end by themselves, as soon as others are gone.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    let_go(slow)
    process.communicate(timeout=60)
    slow.psy("run", "-j", "2")
    calls = slow.calls()
    # At most the evaluation in flight in each of the two jobs is repeated.
    assert set(calls) == set(ALL)
    assert len(calls) <= len(ALL) + 2
    assert slow.result() == {"x": ALL, "y": [x**2 for x in ALL]}


def test_killed_plain_snakemake_takes_its_jobs_along(slow) -> None:
    process = start_and_hold(slow, 8, *_plain_snakemake())
    family = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    wait_until(lambda: not any(map(command_of, family)))
    let_go(slow)
    slow.psy("run")
    assert len(slow.calls()) <= len(ALL) + 2


def _plain_snakemake() -> list[str]:
    from psyrun.utils.resources import shipped

    snakefile, profile = shipped("workflow", "Snakefile"), shipped("profiles", "local")
    return [
        *("snakemake", "--snakefile", str(snakefile)),
        *("--profile", str(profile), "--cores", "2"),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_end_says_what_is_kept(slow, number) -> None:
    process = start_and_hold(slow, 5, "psyrun.cli", "run")
    family = descendants(process.pid)
    process.send_signal(number)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "of 40 assignments are kept" in errors and "psy run a" in errors
    assert not any(map(command_of, family))
    let_go(slow)
    slow.psy("run")
    assert len(slow.calls()) <= len(ALL) + 1


def test_a_missing_remainder_is_divided_anew(slow) -> None:
    process = start_and_hold(slow, 24, "psyrun.cli", "run")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    let_go(slow)
    slow.edit("max_jobs = 2", "max_jobs = 5")
    lines = slow.psy("run", "-j", "2").stdout.splitlines()
    assert ".  a:process:4" in lines
    assert len(slow.calls()) <= len(ALL) + 2
    assert slow.result() == {"x": ALL, "y": [x**2 for x in ALL]}


def test_a_second_run_says_who_runs_the_task(slow) -> None:
    process = start_and_hold(slow, 1, "psyrun.cli", "run")
    errors = slow.psy("run", status=2).stderr
    assert f"process {process.pid} on {os.uname().nodename} since" in errors
    assert "is run by process" in slow.snakemake(status=1).stderr
    let_go(slow)
    process.communicate(timeout=60)
    assert slow.calls() == ALL


def test_different_tasks_run_side_by_side(slow) -> None:
    other = SLOW.replace('"calls"', '"calls_b"').replace('"hold"', '"hold_b"')
    slow.write(other, "b")
    process = start_and_hold(slow, 1, "psyrun.cli", "run", "a")
    slow.psy("run", "b", "-j", "2")
    let_go(slow)
    process.communicate(timeout=60)
    assert slow.calls() == slow.calls("calls_b") == ALL


def test_a_stale_lock_is_taken_over_and_said(slow) -> None:
    process = start_and_hold(slow, 1, "psyrun.cli", "run")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    let_go(slow)
    assert f"taking over from process {process.pid}" in slow.psy("run").stdout


ELSEWHERE = Holder("elsewhere", 1, "1", 0.0)


def suspend(process: subprocess.Popen[str]) -> None:
    """Stop a controller, and nothing that it started."""
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: state_of(process.pid) == "T")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_suspended_run_ends_if_another_host_took_over(slow) -> None:
    process = start_and_hold(slow, 3, "psyrun.cli", "run")
    family = descendants(process.pid)
    suspend(process)
    (slow.work() / "lock").write_text(json.dumps(asdict(ELSEWHERE)))
    record = slow.work() / "run.json"
    record.write_text(record.read_text().replace('"token": "', '"token": "other'))
    theirs = record.read_bytes()
    process.send_signal(signal.SIGCONT)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 2
    (told,) = errors.splitlines()
    assert told.startswith(f"psy: task 'a' is run by {ELSEWHERE} now")
    assert "psy attach a" in told
    assert recorded_holder(slow.work() / "lock") == ELSEWHERE
    assert not any(map(command_of, family))
    assert not (slow.work() / "result.pkl").exists()
    assert record.read_bytes() == theirs


def test_a_run_that_was_done_by_another_host_meanwhile_tells_no_end(slow) -> None:
    process = start_and_hold(slow, 3, "psyrun.cli", "run", "-j", "2")
    snakemake = find(descendants(process.pid), "snakemake")
    suspend(process)
    # Snakemake goes on, and comes to its end.
    let_go(slow)
    wait_until(lambda: (slow.work() / "result.pkl").exists())
    wait_until(lambda: state_of(snakemake) == "Z")
    (slow.work() / "lock").unlink()
    process.send_signal(signal.SIGCONT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "lock of this run was removed" in errors and "psy run a" in errors
    assert "result.pkl" not in output


def test_clean_refuses_while_the_task_runs(slow) -> None:
    process = start_and_hold(slow, 1, "psyrun.cli", "run", "-j", "2")
    assert "is run by" in slow.psy("clean", "a", status=2).stderr
    let_go(slow)
    process.communicate(timeout=60)
    assert len(slow.result()["x"]) == len(ALL)


def test_workers_of_a_run_draw_different_random_numbers(project) -> None:
    project.write(
        "import random\nimport numpy as np\nfrom psyrun import Param\n"
        "pspace = Param(x=range(24))\nmax_jobs = 6\npool_size = 2\n"
        "rng = np.random.default_rng(1)\n"
        "seeds = np.random.SeedSequence(1)\n"
        "def execute(x):\n"
        "    a, b, c = random.random(), np.random.random(), rng.random()\n"
        "    d = rng.spawn(1)[0].random()\n"
        "    e = np.random.default_rng(seeds.spawn(1)[0]).random()\n"
        "    return {'a': a, 'b': b, 'c': c, 'd': d, 'e': e}\n"
    )
    project.psy("run", "-j", "2")
    result = project.result()
    for key in "abcde":
        assert len(set(result[key])) == 24


def test_a_dead_worker_is_reported_and_its_neighbours_go_on(project) -> None:
    project.edit('return {"y"', 'if x == 2:\n        os._exit(0)\n    return {"y"')
    project.edit("from pathlib", "import os\nfrom pathlib")
    errors = project.psy("run", status=1).stderr
    assert "exit status 0" in errors and "3 of 4 assignments are kept" in errors
    assert project.calls() == [1, 2, 3, 4]
    project.psy("run", status=1)
    assert project.calls() == [2]
