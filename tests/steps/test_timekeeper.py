"""Evaluations that take too long are ended, whatever they do; all others go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psyrun import Param
from psyrun.errors import JobError
from psyrun.steps.pool import evaluate
from psyrun.steps.timekeeper import Timekeeper
from psyrun.steps.work_queue import ClaimWorkQueue, PipeWorkQueue
from psyrun.steps.worker import Evaluation
from psyrun.utils.process.offspring import adopt_orphans
from psyrun.workdir import frames, journal
from psyrun.workdir.failures import TIMED_OUT
from psyrun.workdir.in_flight import InFlight

N = 8
LATE = 3
LIMIT = 1.0  # seconds; enough for all else, also on a busy machine
MESSAGE = "took longer than timeout = 1 s"

Execute = Callable[[int], dict[str, Any]]


def run(folder: Path, execute: Execute, pool_size: int, **settings: Any) -> None:
    defaults = {"queue": PipeWorkQueue(N, pool_size), "timeout": LIMIT, "setup": None}
    work = Evaluation(
        space=Param(x=range(N)),
        indices=range(N),
        execute=execute,
        journal=lambda worker: folder / f"0-{worker}.journal",
        session={},
        exclude=(),
        check=lambda row: None,
        **(defaults | settings),
    )
    evaluate(work, pool_size, folder / "slots")


def recorded(folder: Path, kind: int) -> dict[int, journal.Entry]:
    known = journal.latest(sorted(folder.glob("*.journal")), verify=True)
    return {index: entry for index, entry in known.items() if entry.kind == kind}


def failures(folder: Path) -> dict[int, dict[str, Any]]:
    found = recorded(folder, frames.FAILURE)
    return dict(zip(found, journal.failures(found.values()), strict=True))


def at_late(act: Callable[[], Any]) -> Execute:
    def execute(x: int) -> dict[str, Any]:
        if x == LATE:
            act()
        return {"y": x**2}

    return execute


def loop() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(1e6)


def backtrack() -> None:
    # For longer than the universe is old; now and then it looks for signals.
    re.match(r"(a+)+$", "a" * 64 + "b")


def hold_gil() -> None:
    max(range(10**18))  # without a look for signals


def ignore_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            time.sleep(1e6)
        except BaseException:
            continue


def block_all_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    time.sleep(1e6)


def wait_for_thread() -> None:
    thread = threading.Thread(target=time.sleep, args=(1e6,), daemon=True)
    thread.start()
    thread.join()


# What an evaluation does for ever, by the assignment that does it.
ACTS = {
    1: loop,
    2: sleep,
    4: backtrack,
    5: ignore_signals,
    6: hold_gil,
    7: wait_for_thread,
}


def execute_or_act(x: int) -> dict[str, Any]:
    if x in ACTS:
        ACTS[x]()
    return {"y": x**2}


@pytest.mark.parametrize("pool_size", [1, 3])
def test_what_takes_too_long_fails_with_its_stack_and_the_others_go_on(
    tmp_path: Path, pool_size: int
) -> None:
    run(tmp_path, execute_or_act, pool_size)
    assert sorted(recorded(tmp_path, frames.ROW)) == [0, 3]
    found = failures(tmp_path)
    assert sorted(found) == sorted(ACTS)
    for x, failure in found.items():
        assert (failure["type"], failure["message"]) == (TIMED_OUT, MESSAGE)
        assert failure["parameters"] == {"x": str(x)}
        said = failure["traceback"]
        assert said.startswith("Traceback (most recent call last):\n  File ")
        assert said.endswith(f"\n{TIMED_OUT}: {MESSAGE}\n")
        assert "    ACTS[x]()\n" in said
        # Its own stack, and not that of another one.
        assert [act for act in ACTS.values() if f", in {act.__name__}\n" in said] == [
            ACTS[x]
        ]
        assert "psyrun/steps/" not in said
        assert failure["where"].endswith(f", in {ACTS[x].__name__}")
    for entry in recorded(tmp_path, frames.FAILURE).values():
        assert entry.duration >= LIMIT


def test_what_lets_no_signal_through_is_killed_without_its_stack(
    tmp_path: Path,
) -> None:
    run(tmp_path, at_late(block_all_signals), 1)
    assert len(recorded(tmp_path, frames.ROW)) == N - 1
    failure = failures(tmp_path)[LATE]
    assert failure["traceback"] == f"{TIMED_OUT}: {MESSAGE}\n"
    assert failure["where"] == ""


def test_what_it_started_ends_too(tmp_path: Path) -> None:
    def act() -> None:
        code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=1)"
        command = [sys.executable, "-c", f"{code}; time.sleep(1e6)"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            (tmp_path / "child").write_text(str(child.pid))
            child.wait()

    adopt_orphans()
    try:
        # Enough for the child to get as far as that.
        run(tmp_path, at_late(act), 1, timeout=3.0)
    finally:
        adopt_orphans(False)
    assert list(failures(tmp_path)) == [LATE]
    pid = int((tmp_path / "child").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_a_stack_that_is_deep_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    def descend(depth: int) -> None:
        descend(depth - 1) if depth else sleep()

    run(tmp_path, at_late(lambda: descend(300)), 1)
    said = failures(tmp_path)[LATE]["traceback"]
    assert said.startswith("Traceback (most recent call last):\n  ...\n  File ")
    assert ", in sleep\n" in said


def test_paths_with_other_letters_are_told_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "möbius ∞ 𝄞.py"
    path.write_text("import time\n\ndef wait():\n    time.sleep(1e6)\n")
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    run(tmp_path, at_late(namespace["wait"]), 1)
    assert failures(tmp_path)[LATE]["where"] == f'File "{path}", line 4, in wait'


def test_work_that_is_fetched_by_many_jobs_goes_on(tmp_path: Path) -> None:
    queue = ClaimWorkQueue(tmp_path / "claims", N, 2, "0")
    run(tmp_path, at_late(loop), 2, queue=queue)
    assert len(recorded(tmp_path, frames.ROW)) == N - 1
    assert failures(tmp_path)[LATE]["type"] == TIMED_OUT


def test_they_count_as_failures(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="more assignments failed than"):
        run(
            tmp_path,
            at_late(sleep),
            1,
            has_too_many_failures=lambda: (
                bool(list(tmp_path.glob("*.journal"))) and bool(failures(tmp_path))
            ),
        )
    assert sorted(recorded(tmp_path, frames.ROW)) == list(range(LATE))


def test_setup_has_as_much_time_as_it_needs(tmp_path: Path) -> None:
    def setup(number: int) -> dict[str, int]:
        begin = time.monotonic()
        while time.monotonic() < begin + 1.5 * LIMIT:
            pass
        return {}

    run(tmp_path, at_late(lambda: None), 1, setup=setup)
    assert len(recorded(tmp_path, frames.ROW)) == N


def test_many_that_together_take_longer_are_not_ended(tmp_path: Path) -> None:
    run(tmp_path, lambda x: time.sleep(LIMIT / 5) or {"y": x}, 1)
    assert len(recorded(tmp_path, frames.ROW)) == N


def test_without_a_limit_nothing_looks(tmp_path: Path) -> None:
    def execute(x: int) -> dict[str, int]:
        return {"y": signal.getsignal(signal.SIGRTMAX) == signal.SIG_DFL}

    run(tmp_path, execute, 1, timeout=None)
    found = recorded(tmp_path, frames.ROW)
    assert [row["y"] for row in journal.rows(found.values())] == [True] * N


def test_time_in_which_the_job_was_suspended_does_not_count() -> None:
    # A worker of ours that would die if it were asked to.
    worker = subprocess.Popen(["sleep", "1000"])
    keeper = Timekeeper(600.0, lambda: {worker.pid: InFlight(0, 0, 1)})
    for _ in range(10):
        keeper._look(keeper._longest_gap)
    assert keeper.take(worker.pid) is None
    for _ in range(200):
        keeper._look(keeper._longest_gap)
    late = keeper.take(worker.pid)
    assert late is not None
    assert late.lasted == pytest.approx(600.0, abs=keeper._longest_gap)
    assert worker.wait() == -signal.SIGRTMAX


@pytest.mark.parametrize("limit", [10.0, 600.0])
def test_an_evaluation_may_be_suspended_late(limit: float) -> None:
    with subprocess.Popen(["sleep", "1000"]) as worker:
        keeper = Timekeeper(limit, lambda: {worker.pid: InFlight(0, 0, 1)})
        for gap in (0.0, 0.8 * limit, keeper._longest_gap):
            keeper._look(gap)
        worker.kill()
    assert not keeper.is_late(worker.pid)


def test_who_ends_while_it_is_looked_at_does_not_keep_others_from_being_ended() -> None:
    worker = subprocess.Popen(["sleep", "1000"])
    is_looking, goes_on = threading.Event(), threading.Event()

    def find() -> dict[int, InFlight | None]:
        is_looking.set()
        goes_on.wait()
        return {worker.pid: InFlight(0, 0, 1)}

    keeper = Timekeeper(1.0, find)
    keeper._since[worker.pid, InFlight(0, 0, 1)] = 2.0
    taken: list[Any] = []
    taking = threading.Thread(target=lambda: taken.append(keeper.take(worker.pid)))
    with keeper.at_work():
        is_looking.wait()
        taking.start()
        taking.join(0.1)
        goes_on.set()
        taking.join()
        assert worker.wait() == -signal.SIGRTMAX
    assert [late.slot for late in taken] == [InFlight(0, 0, 1)]
    assert keeper.take(worker.pid) is None


def test_a_worker_that_went_on_at_that_moment_loses_nothing(tmp_path: Path) -> None:
    """The one that it is at by then is evaluated again, and is not to blame."""
    calls = tmp_path / "calls"

    def execute(x: int) -> dict[str, int]:
        with calls.open("a") as file:
            file.write(f"{x}\n")
        if x == LATE and calls.read_text().split().count(str(LATE)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"y": x}

    class Late(Timekeeper):
        """Took the end of the worker for its own doing, for the one before."""

        def take(self, pid: int) -> Any:
            return type("_", (), {"slot": InFlight(LATE - 1, LATE - 1, N)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psyrun.steps.pool.Timekeeper", Late)
        run(tmp_path, execute, 1, timeout=1000.0)
    assert len(recorded(tmp_path, frames.ROW)) == N
    assert not failures(tmp_path)


def test_results_may_be_large(tmp_path: Path) -> None:
    run(tmp_path, lambda x: {"y": np.zeros(1 << 20)}, 1, timeout=30.0)
    assert len(recorded(tmp_path, frames.ROW)) == N
