"""Workers: each assignment is evaluated once, whatever the others do."""

import asyncio
import atexit
import ctypes
import faulthandler
import gzip
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import descendants, wait_until

from psyrun import Param
from psyrun.errors import LostLockError, PsyrunError, StoreError
from psyrun.steps.pool import evaluate
from psyrun.steps.row_check import RowCheck
from psyrun.steps.work_queue import ClaimWorkQueue, PipeWorkQueue
from psyrun.steps.worker import Evaluation
from psyrun.store import PickleStore
from psyrun.utils.environment import EXIT_LIMIT_VARIABLE
from psyrun.workdir import frames, journal
from psyrun.workdir.journal import Entry
from psyrun.workdir.lock import Lock, is_held_in

pools = pytest.mark.parametrize("pool_size", [1, 3])
N = 20
BAD = 7


def accept(row: object) -> None:
    """Take any row."""


@dataclass
class Bench:
    """A folder with journals and a record of all calls."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, text: object) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{text}\n")

    def noted(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def evaluate(self, execute: Callable[..., Any], pool_size: int) -> list[int]:
        def counted(x: int, **extras: Any) -> Any:
            self.note("calls", x)
            return execute(x, **extras)

        defaults = {"setup": None, "exclude": (), "check": accept}
        queue = {"queue": PipeWorkQueue(N, pool_size), "space": Param(x=range(N))}
        settings = defaults | queue | self.settings
        work = Evaluation(
            indices=range(N),
            execute=counted,
            journal=lambda worker: self.folder / f"0-{worker}.journal",
            session={},
            **settings,
        )
        return evaluate(work, pool_size, self.folder / "slots")

    @property
    def known(self) -> dict[int, Entry]:
        return journal.latest(sorted(self.folder.glob("*.journal")), verify=True)

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        found = {i: e for i, e in self.known.items() if e.kind == frames.ROW}
        return dict(zip(found, journal.rows(found.values()), strict=True))

    @property
    def failures(self) -> dict[int, dict[str, Any]]:
        found = {i: e for i, e in self.known.items() if e.kind == frames.FAILURE}
        return dict(zip(found, journal.failures(found.values()), strict=True))

    def assert_only_failed(self, *bad: int) -> None:
        good = [x for x in range(N) if x not in bad]
        assert self.rows == {x: {"x": x, "y": x**2} for x in good}
        assert sorted(self.failures) == sorted(bad)
        assert Counter(map(int, self.noted("calls"))) == Counter(range(N))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def square(x: int) -> dict[str, int]:
    return {"y": x**2}


def at_bad(act: Callable[[], Any]) -> Callable[[int], Any]:
    """Return a function that does something else for one assignment."""

    def execute(x: int) -> Any:
        return act() if x == BAD else square(x)

    return execute


@pools
def test_each_assignment_is_evaluated_once(bench: Bench, pool_size: int) -> None:
    bench.evaluate(square, pool_size)
    bench.assert_only_failed()


@pools
def test_an_exception_is_recorded_and_its_neighbours_go_on(
    bench: Bench, pool_size: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        raise ValueError("no good")

    bench.evaluate(at_bad(act), pool_size)
    bench.assert_only_failed(BAD)
    failure = bench.failures[BAD]
    assert (failure["type"], failure["message"]) == ("ValueError", "no good")
    assert failure["parameters"] == {"x": str(BAD)}
    assert "psyrun/" not in failure["traceback"]
    assert "no good" in capfd.readouterr().err


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    faulthandler.disable()
    ctypes.string_at(0)


DEATHS: dict[str, tuple[Callable[[], Any], str]] = {
    "os._exit(0)": (lambda: os._exit(0), "exit status 0"),
    "os._exit(3)": (lambda: os._exit(3), "exit status 3"),
    "SIGKILL": (kill, "SIGKILL"),
    "segfault": (crash, "SIGSEGV"),
}


@pools
@pytest.mark.parametrize(("act", "cause"), DEATHS.values(), ids=DEATHS.keys())
def test_a_worker_that_dies_is_recorded_and_its_neighbours_go_on(
    bench: Bench, pool_size: int, act: Callable[[], Any], cause: str
) -> None:
    bench.evaluate(at_bad(act), pool_size)
    bench.assert_only_failed(BAD)
    assert bench.failures[BAD]["type"] == "WorkerDied"
    assert cause in bench.failures[BAD]["message"]


@pytest.mark.parametrize("bad", [0, BAD])
def test_it_is_recorded_how_long_an_evaluation_took_that_ended_its_worker(
    bench: Bench, bad: int
) -> None:
    def set_up(proc_id: int) -> None:
        bench.note("times", time.time())

    def execute(x: int) -> Any:
        if x == bad:
            time.sleep(0.05)
            os._exit(3)
        bench.note("times", time.time())
        return square(x)

    bench.settings["setup"] = set_up
    bench.evaluate(execute, 1)
    failure = bench.known[bad]
    before = float(bench.noted("times")[bad])
    # That of the new worker.
    after = float(bench.noted("times")[bad + 1])
    assert before <= failure.start
    assert failure.start + failure.duration <= after
    assert failure.duration >= 0.05


@pytest.mark.parametrize("code", [74, 75, 76])
def test_an_exit_status_that_workers_use_themselves_is_like_any_other(
    bench: Bench, code: int
) -> None:
    bench.evaluate(at_bad(lambda: os._exit(code)), 1)
    bench.assert_only_failed(BAD)


@pools
def test_assignments_that_die_one_after_the_other_are_all_recorded(
    bench: Bench, pool_size: int
) -> None:
    bad = [0, 1, 2, 9, N - 1]
    bench.evaluate(lambda x: kill() if x in bad else square(x), pool_size)
    bench.assert_only_failed(*bad)


@pools
@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
)
def test_exceptions_that_are_no_errors_are_failures(
    bench: Bench, pool_size: int, error: type[BaseException]
) -> None:
    def act() -> None:
        raise error("left")

    bench.evaluate(at_bad(act), pool_size)
    bench.assert_only_failed(BAD)
    failure = bench.failures[BAD]
    assert (failure["type"], failure["message"]) == (error.__name__, "left")
    assert "in act" in failure["where"]


class Speechless(Exception):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise ValueError


def test_an_exception_without_a_text_is_a_failure(bench: Bench) -> None:
    def act() -> None:
        raise Speechless

    bench.evaluate(at_bad(act), 1)
    bench.assert_only_failed(BAD)
    failure = bench.failures[BAD]
    assert (failure["type"], failure["message"]) == (
        "Speechless",
        "<exception str() failed>",
    )


@pytest.mark.parametrize("result", [None, [1], 1.0, "text", {1, 2}], ids=repr)
def test_a_result_that_is_no_mapping_is_a_failure(bench: Bench, result: object) -> None:
    bench.evaluate(at_bad(lambda: result), 1)
    bench.assert_only_failed(BAD)
    message = f"execute returned {type(result).__name__}"
    assert bench.failures[BAD]["message"].startswith(message)


@pytest.mark.parametrize("key", [(1, 2), b"y", np.int64(3)], ids=repr)
def test_a_key_that_is_no_name_is_a_failure(
    bench: Bench, tmp_path: Path, key: object
) -> None:
    bench.settings["check"] = RowCheck(PickleStore(), tmp_path / "keys.json")
    bench.evaluate(at_bad(lambda: {key: 1}), 1)
    bench.assert_only_failed(BAD)
    assert bench.failures[BAD]["type"] == "ResultError"
    assert type(key).__name__ in bench.failures[BAD]["message"]


def test_keys_that_a_power_failure_left_empty_are_agreed_on_anew(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "keys.json").touch()
    bench.settings["check"] = RowCheck(PickleStore(), tmp_path / "keys.json")
    bench.evaluate(square, 3)
    assert bench.known.keys() == set(range(len(bench.known)))
    assert (tmp_path / "keys.json").read_text()


@pytest.mark.parametrize("keys", ["{", "[[1]]", "5"])
def test_damaged_keys_end_the_job_and_are_told(
    bench: Bench, tmp_path: Path, keys: str
) -> None:
    (tmp_path / "keys.json").write_text(keys)
    bench.settings["check"] = RowCheck(PickleStore(), tmp_path / "keys.json")
    with pytest.raises(PsyrunError, match=r"keys\.json: is damaged \(.*\); restore"):
        bench.evaluate(square, 3)
    assert bench.known == {}


def test_a_row_that_is_refused_is_a_failure(bench: Bench) -> None:
    def check(row: dict[str, Any]) -> None:
        if row["x"] == BAD:
            raise StoreError("not this one")

    bench.settings["check"] = check
    bench.evaluate(square, 3)
    bench.assert_only_failed(BAD)


def test_a_row_that_cannot_be_pickled_is_a_failure(bench: Bench) -> None:
    bench.evaluate(at_bad(lambda: {"y": lambda: 0}), 1)
    bench.assert_only_failed(BAD)
    failure = bench.failures[BAD]
    assert failure["type"] == "StoreError"
    assert "key 'y' holds a value of type function" in failure["message"]


@pytest.mark.parametrize("error", [ValueError, StoreError])
def test_a_check_that_raises_makes_a_failure(
    bench: Bench, error: type[Exception]
) -> None:
    def check(row: dict[str, Any]) -> None:
        if row["x"] == BAD:
            raise error("not this one")

    bench.settings["check"] = check
    bench.evaluate(square, 1)
    bench.assert_only_failed(BAD)
    assert bench.failures[BAD]["type"] == error.__name__


@pools
def test_an_evaluation_that_changes_its_arguments_changes_no_other(
    bench: Bench, pool_size: int
) -> None:
    def execute(
        x: int, options: dict[str, int], names: list[str], weights: Any
    ) -> dict[str, float]:
        names.append("more")
        weights += 1
        return {"y": x * options.pop("rate") + len(names) + weights.sum()}

    space = Param(options={"rate": 2}, names=[["a"]], weights=np.zeros((1, 3)))
    bench.settings["space"] = space * Param(x=range(N))
    bench.evaluate(execute, pool_size)
    assert [bench.rows[x]["y"] for x in range(N)] == [2 * x + 5 for x in range(N)]
    for row in bench.rows.values():
        assert (row["options"], row["names"]) == ({"rate": 2}, ["a"])
        assert not row["weights"].any()


def test_excluded_keys_are_left_out(bench: Bench) -> None:
    bench.settings["exclude"] = ("x", "z", "absent")
    bench.evaluate(lambda x: {"y": x**2, "z": object()}, 1)
    assert bench.rows == {x: {"y": x**2} for x in range(N)}


@pools
def test_setup_is_called_once_in_each_worker(bench: Bench, pool_size: int) -> None:
    def setup(proc_id: int) -> dict[str, int]:
        bench.note("setup", proc_id)
        return {"extra": proc_id}

    bench.settings["setup"] = setup
    bench.evaluate(lambda x, extra: {"worker": extra}, pool_size)
    assert sorted(map(int, bench.noted("setup"))) == list(range(pool_size))
    assert {row["worker"] for row in bench.rows.values()} <= set(range(pool_size))
    assert len(bench.rows) == N


def test_a_worker_in_place_of_a_dead_one_has_its_number(bench: Bench) -> None:
    bench.settings["setup"] = lambda proc_id: bench.note("setup", proc_id)
    bench.evaluate(at_bad(kill), 1)
    assert bench.noted("setup") == ["0", "0"]


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, SystemExit])
def test_a_setup_that_raises_ends_the_job_and_is_told(
    bench: Bench, error: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    def setup(proc_id: int) -> None:
        raise error("no device")

    line = setup.__code__.co_firstlineno + 1
    place = rf"test_pool\.py:{line}: `setup` raised {error.__name__}: no device\."
    bench.settings["setup"] = setup
    with pytest.raises(PsyrunError, match=place):
        bench.evaluate(square, 3)
    assert bench.known == {}
    assert "no device" in capfd.readouterr().err


def test_a_setup_that_raises_with_a_text_that_cannot_be_encoded_is_told(
    bench: Bench,
) -> None:
    def setup(proc_id: int) -> None:
        raise ValueError("no device \udc80")

    bench.settings["setup"] = setup
    with pytest.raises(PsyrunError, match=r"raised ValueError: no device \\udc80\."):
        bench.evaluate(square, 1)


def test_a_setup_that_fails_in_a_library_is_told_by_its_own_line(bench: Bench) -> None:
    bench.settings["setup"] = lambda proc_id: subprocess.run(["/no/such/program"])
    with pytest.raises(PsyrunError, match=r"test_pool\.py:\d+: `setup` raised File"):
        bench.evaluate(square, 1)


def test_a_setup_that_returns_no_mapping_is_told(bench: Bench) -> None:
    bench.settings["setup"] = lambda proc_id: 5
    with pytest.raises(PsyrunError, match=r"^`setup` raised TypeError: "):
        bench.evaluate(square, 1)


@pytest.mark.parametrize("status", [0, 3])
def test_a_setup_that_ends_its_process_is_told(bench: Bench, status: int) -> None:
    bench.settings["setup"] = lambda proc_id: os._exit(status)
    said = rf"exit status {status} while it was set up\. Fix"
    with pytest.raises(PsyrunError, match=said):
        bench.evaluate(square, 1)


def test_a_setup_that_kills_its_process_is_told(bench: Bench) -> None:
    bench.settings["setup"] = lambda proc_id: os.kill(os.getpid(), signal.SIGKILL)
    with pytest.raises(PsyrunError, match=r"SIGKILL.* in `setup` or between"):
        bench.evaluate(square, 1)


def test_a_record_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    (tmp_path / "0-0.journal").mkdir()
    with pytest.raises(
        PsyrunError, match=r"0-0\.journal: results could not be .*directory"
    ):
        bench.evaluate(square, 1)


def test_workers_draw_different_random_numbers(bench: Bench) -> None:
    def execute(x: int) -> dict[str, float]:
        time.sleep(0.01)
        return {"y": random.random()}

    bench.evaluate(execute, 3)
    assert len({row["y"] for row in bench.rows.values()}) == N


def test_workers_can_use_openmp_after_their_parent_did(bench: Bench) -> None:
    in_openmp_threads = openmp()

    def execute(x: int) -> dict[str, int]:
        signal.alarm(10)
        in_openmp_threads()
        return square(x)

    in_openmp_threads()
    bench.evaluate(execute, 2)
    bench.assert_only_failed()


def openmp() -> Callable[[], None]:
    """Return what has two threads do something."""
    try:
        runtime = ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("needs GNU's OpenMP runtime")
    task = ctypes.CDLL(None).getppid
    return lambda: runtime.GOMP_parallel(task, None, 2, 0)


def test_hundreds_of_workers_share_a_million_assignments() -> None:
    script = "from psyrun.steps.work_queue import PipeWorkQueue;"
    script += "s = PipeWorkQueue(10**6, 500);"
    script += "print(sum(len(piece) for piece in s.take()))"
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, timeout=20, capture_output=True, text=True)
    assert ended.stdout == "1000000\n"


ENDLESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2])))
from test_pool import Bench
bench = Bench(Path(sys.argv[1]))
bench.evaluate(lambda x: time.sleep(60), 3)
"""


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    arguments = [str(tmp_path), str(Path(__file__).parent)]
    helpers = str(Path(__file__).parents[1] / "helpers")
    path = os.pathsep.join([helpers, *sys.path])
    parent = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, *arguments],
        env={**os.environ, "PYTHONPATH": path},
    )
    calls = tmp_path / "calls"
    wait_until(lambda: calls.exists() and len(calls.read_text().split()) == 3)
    workers = descendants(parent.pid)
    assert len(workers) == 3
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 10)


def to_be_saved(folder: Path, how: str) -> Callable[[int], None]:
    """Return what has its results saved at the end of the process, in one way."""
    seen: list[int] = []
    path = folder / f"saved-{os.getpid()}"

    def save() -> None:
        path.write_text("\n".join(map(str, seen)))

    def save_later() -> None:
        time.sleep(0.3)
        save()

    if how == "exit handler":
        atexit.register(save)
    elif how == "thread":
        threading.Thread(target=save_later).start()
    elif how == "executor":
        ThreadPoolExecutor(1).submit(save_later)
    else:
        file = gzip.open(path, "wt") if how == "gzip" else path.open("w")  # noqa: SIM115
        LEFT_OPEN.append(file)
        return lambda x: print(x, file=file)
    return seen.append


LEFT_OPEN: list[Any] = []
WAYS_TO_SAVE = ["exit handler", "thread", "executor", "file", "gzip"]


@pytest.mark.parametrize("how", WAYS_TO_SAVE)
def test_what_a_process_does_at_its_end_is_done_in_workers(
    bench: Bench, how: str
) -> None:
    def setup(proc_id: int) -> dict[str, Any]:
        return {"note": to_be_saved(bench.folder, how)}

    def execute(x: int, note: Callable[[int], None]) -> dict[str, int]:
        note(x)
        return square(x)

    bench.settings["setup"] = setup
    bench.evaluate(execute, 2)
    saved = [path.read_bytes() for path in bench.folder.glob("saved-*")]
    texts = [(gzip.decompress(one) if how == "gzip" else one).decode() for one in saved]
    assert sorted(map(int, " ".join(texts).split())) == list(range(N))


def test_a_file_of_the_parent_is_written_once(bench: Bench) -> None:
    with (bench.folder / "log").open("a") as file:
        file.write("begin\n")
        bench.evaluate(lambda x: {"y": file.write(f"{x}\n")}, 2)
    lines = (bench.folder / "log").read_text().split()
    assert sorted(lines) == sorted(["begin", *map(str, range(N))])


def test_the_end_of_a_worker_has_a_limit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def setup(proc_id: int) -> None:
        threading.Thread(target=time.sleep, args=[1000], name="endless").start()

    monkeypatch.setenv(EXIT_LIMIT_VARIABLE, "0.2")
    bench.settings["setup"] = setup
    bench.evaluate(square, 1)
    bench.assert_only_failed()
    said = capfd.readouterr().err
    assert "within 0.2 s after its work was done (threads: endless)" in said


def test_a_worker_that_dies_at_its_end_has_done_its_work(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.settings["setup"] = lambda proc_id: atexit.register(kill) and None
    bench.evaluate(square, 1)
    bench.assert_only_failed()
    assert "SIGKILL" in capfd.readouterr().err


@pytest.fixture
def vigilant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workers look at their lock after each assignment, as after a pause."""
    monkeypatch.setattr("psyrun.steps.worker._LOOK_AT_LOCK", -1.0)


@pools
def test_workers_stop_when_the_lock_is_lost_and_keep_their_rows(
    bench: Bench, vigilant: None, pool_size: int
) -> None:
    lock = Lock(bench.folder / "lock", "job")

    def lose_lock() -> dict[str, int]:
        lock.path.unlink(missing_ok=True)
        return square(BAD)

    lock.acquire()
    session = lock.session
    bench.settings["holds_lock"] = lambda: is_held_in(lock.path, session)
    with pytest.raises(LostLockError, match="another run has taken it over"):
        bench.evaluate(at_bad(lose_lock), pool_size)
    lock.release()
    # What was recorded before is there; what was in flight may be lost.
    calls = [int(x) for x in bench.noted("calls")]
    assert set(calls) - bench.rows.keys() <= set(calls[-pool_size:])
    assert bench.rows.keys() <= set(calls)
    assert len(calls) < N


def test_a_job_that_has_lost_its_lock_fetches_no_work(bench: Bench) -> None:
    claims = bench.folder / "claims"
    bench.settings["queue"] = ClaimWorkQueue(claims, N, 2, "0")
    bench.settings["holds_lock"] = lambda: False
    with pytest.raises(LostLockError):
        bench.evaluate(square, 2)
    assert list(claims.iterdir()) == [] and bench.noted("calls") == []


@pools
def test_what_was_killed_is_left_for_later_if_it_may_be(
    bench: Bench, pool_size: int
) -> None:
    bench.settings["defers_killed"] = True
    bad = [0, 1, 9]
    deaths = {0: kill, 1: kill, 9: crash}
    left = bench.evaluate(lambda x: deaths.get(x, lambda: square(x))(), pool_size)
    assert sorted(left) == [0, 1]
    # Not what would crash again.
    assert sorted(bench.failures) == [9]
    assert sorted(bench.rows) == [x for x in range(N) if x not in bad]
