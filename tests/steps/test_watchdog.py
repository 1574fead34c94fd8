"""What seems to hang among the workers of a job is noted, and nothing else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from projects import wait_until

from psyrun import Param
from psyrun.steps.pool import evaluate
from psyrun.steps.watchdog import Watchdog
from psyrun.steps.work_queue import PipeWorkQueue
from psyrun.steps.worker import Evaluation
from psyrun.utils.environment import HANG_LIMIT_VARIABLE
from psyrun.workdir import frames, journal
from psyrun.workdir.hanging import Hanging, hanging
from psyrun.workdir.layout import Round

N = 20
LIMIT = 1.0


class Bench:
    """A job that evaluates N assignments with a watchdog."""

    def __init__(self, folder: Path) -> None:
        self.round = Round(folder)
        self.round.journals.mkdir()

    @property
    def found(self) -> list[Hanging]:
        return hanging(self.round)

    def evaluate(
        self, execute: Callable[..., Any], pool_size: int = 1, **settings: Any
    ) -> None:
        defaults = {"setup": None, "exclude": (), "check": lambda row: None}
        work = Evaluation(
            space=Param(x=range(N)),
            indices=range(N),
            queue=PipeWorkQueue(N, pool_size),
            execute=execute,
            journal=lambda worker: self.round.journal(0, worker),
            session={},
            **(defaults | settings),
        )
        with Watchdog(self.round.hanging_of("process-0")) as watchdog:
            slots = self.round.in_flight(0)
            evaluate(work, pool_size, slots, watchdog=watchdog)

    def assert_done(self) -> None:
        known = journal.latest(self.round.journals_of(0))
        assert [known[i].kind for i in range(N)] == [frames.ROW] * N
        assert not list(self.round.hanging.glob("*"))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv(HANG_LIMIT_VARIABLE, str(LIMIT))
    return Bench(tmp_path)


def test_a_worker_that_waits_is_noted_until_it_goes_on(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = time.time()

    def execute(x: int) -> dict[str, str]:
        if x == 7:
            wait_until(lambda: bench.found)
            (one,) = bench.found
            assert begin < one.since < time.time() - LIMIT
            return {"y": f"{one.pid} {one.job} {one.at}"}
        if x == 8:
            wait_until(lambda: not bench.found)
        return {"y": ""}

    bench.evaluate(execute)
    bench.assert_done()
    known = journal.latest(bench.round.journals_of(0))
    *_, text = next(journal.rows([known[7]]))["y"].partition(" ")
    assert text == "process:0 in assignment 7 (x=7)"
    assert "seems to hang: no CPU time used for" in capfd.readouterr().err


def test_a_worker_whose_lock_was_held_at_the_fork_is_noted_and_lives(
    bench: Bench,
) -> None:
    """A real deadlock: only another process can end it."""
    lock = threading.Lock()
    lock.acquire()

    def rescue() -> None:
        wait_until(lambda: bench.found)
        os.kill(bench.found[0].pid, signal.SIGKILL)

    def execute(x: int) -> dict[str, int]:
        if x == 3:
            lock.acquire()
        return {"y": x}

    thread = threading.Thread(target=rescue)
    thread.start()
    bench.evaluate(execute)
    thread.join()
    known = journal.latest(bench.round.journals_of(0))
    failed = [index for index, one in known.items() if one.kind == frames.FAILURE]
    assert failed == [3] and len(known) == N


def beside_one_that_waits(
    bench: Bench, work: Callable[[Callable[[], object]], None]
) -> list[Hanging]:
    """Have a worker do something until it is noted that another one hangs.

    The first has begun before the other one. `work` is called with what tells that.
    Returns what is noted then.
    """
    begun, end, found = (bench.round.folder / name for name in ("a", "b", "c"))

    def execute(x: int) -> dict[str, int]:
        if x == 0:
            wait_until(begun.exists)
            wait_until(end.exists)
        elif x == N - 1:
            begun.touch()
            work(lambda: bench.found)
            found.write_text(repr(bench.found))
            end.touch()
        return {"y": x}

    bench.evaluate(execute, 2)
    bench.assert_done()
    noted: list[Hanging] = eval(found.read_text())
    return noted


BUSY = "while True: pass"


def test_a_worker_whose_child_works_does_not_hang(bench: Bench) -> None:
    def work(is_told: Callable[[], object]) -> None:
        with subprocess.Popen([sys.executable, "-c", BUSY]) as child:
            wait_until(is_told)
            child.kill()

    assert [one.at for one in beside_one_that_waits(bench, work)] == [
        "in assignment 0 (x=0)"
    ]


def test_a_worker_whose_grandchild_works_does_not_hang(bench: Bench) -> None:
    """It has also detached itself."""
    middle = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
        f"{BUSY!r}], start_new_session=True)"
    )

    def work(is_told: Callable[[], object]) -> None:
        subprocess.run([sys.executable, "-c", middle], check=True)
        wait_until(is_told)

    assert len(beside_one_that_waits(bench, work)) == 1


def test_workers_that_sleep_briefly_do_not_hang(bench: Bench) -> None:
    end = bench.round.folder / "end"

    def execute(x: int) -> dict[str, int]:
        if x == 0:
            wait_until(end.exists)
        elif x == N - 1:
            wait_until(lambda: bench.found)
            end.write_text(" ".join(one.at for one in bench.found))
        else:
            time.sleep(LIMIT / 8)
        return {"y": x}

    bench.evaluate(execute, 2)
    bench.assert_done()
    assert end.read_text() == "in assignment 0 (x=0)"


def test_a_worker_that_waits_for_a_child_for_ever_hangs(bench: Bench) -> None:
    """The child waits for the end of what the worker would write."""

    def execute(x: int) -> dict[str, str]:
        if x:
            return {"y": ""}
        reader = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        with subprocess.Popen(reader, stdin=subprocess.PIPE) as child:
            wait_until(lambda: bench.found)
            child.kill()
        return {"y": ""}

    bench.evaluate(execute)
    bench.assert_done()


def test_a_worker_that_hangs_in_setup_is_noted(bench: Bench) -> None:
    def setup(proc_id: int) -> dict[str, str]:
        wait_until(lambda: bench.found)
        (one,) = bench.found
        return {"noted": one.at}

    def execute(x: int, noted: str) -> dict[str, str]:
        return {"y": noted}

    bench.evaluate(execute, setup=setup)
    bench.assert_done()
    known = journal.latest(bench.round.journals_of(0))
    row = next(journal.rows([known[0]]))
    assert row["y"] == "in `setup` or between two assignments"


def test_zero_seconds_mean_never(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HANG_LIMIT_VARIABLE, "0")
    before = threading.active_count()
    with Watchdog(bench.round.hanging_of("merge")):
        assert threading.active_count() == before


def test_the_note_of_an_earlier_job_is_removed(bench: Bench) -> None:
    path = bench.round.hanging_of("merge")
    path.parent.mkdir()
    path.write_text("{}")
    with Watchdog(path):
        assert not path.exists()


def test_a_job_that_hangs_by_itself_is_noted_with_what_it_is_at(bench: Bench) -> None:
    path = bench.round.hanging_of("split")
    with Watchdog(path, lambda: "in the import of the task file"):
        wait_until(lambda: bench.found)
        (one,) = bench.found
    assert (one.job, one.at) == ("split", "in the import of the task file")
    assert not path.exists()
