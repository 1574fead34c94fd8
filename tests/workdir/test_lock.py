"""Locks: one holder at a time, and none that is dead."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
from projects import wait_until

from psyrun.errors import LostLockError, PsyrunError, RunningError
from psyrun.utils.process.identity import process_start
from psyrun.workdir.holder import EXPIRY, Holder
from psyrun.workdir.layout import TaskLayout
from psyrun.workdir.lock import (
    Lock,
    is_held_in,
    jobs_of,
    live_holder,
    live_holders,
    remove_abandoned_rights,
    remove_stale_locks,
    running_jobs,
)

HOLD = """
import sys, time
from pathlib import Path
from psyrun.workdir.lock import Lock
Lock(Path(sys.argv[1]), "task 'a'").acquire()
print("held", flush=True)
time.sleep(60)
"""


def lock(folder: Path) -> Lock:
    return Lock(folder / "lock", "task 'a'")


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds a lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    process.send_signal(number)
    process.communicate()


def dead_holder(host: str | None = None) -> Holder:
    process = subprocess.Popen(["true"])
    process.wait()
    return Holder(host or socket.gethostname(), process.pid, "1", 0.0)


def write(path: Path, holder: Holder, age: float = 0.0) -> None:
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age,) * 2)


def test_a_lock_is_there_while_it_is_held(tmp_path: Path) -> None:
    with lock(tmp_path) as held:
        assert live_holder(held.path) is not None
    assert list(tmp_path.iterdir()) == []


def test_who_holds_a_lock_is_said_to_whoever_else_wants_it(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    try:
        with pytest.raises(RunningError) as error:
            lock(tmp_path).acquire()
    finally:
        end(holder)
    expected = (
        f"task 'a' is run by process {holder.pid} on {socket.gethostname()} since"
    )
    assert str(error.value).startswith(expected)


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    end(holder)
    with lock(tmp_path) as held:
        assert (tmp_path / "lock").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        mine = live_holder(held.path)
        assert mine is not None and mine.pid == os.getpid()


def test_it_is_told_whose_lock_was_taken_over(tmp_path: Path) -> None:
    former = dead_holder()
    write(tmp_path / "lock", former)
    taken = lock(tmp_path)
    assert taken.acquire() == former
    taken.release()


def test_a_process_that_ends_by_itself_gives_its_lock_back(tmp_path: Path) -> None:
    script = HOLD.replace("time.sleep(60)", "")
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    subprocess.run(command, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_a_process_number_used_again_is_not_the_holder(tmp_path: Path) -> None:
    write(tmp_path / "lock", Holder(socket.gethostname(), os.getpid(), "1", 0.0))
    assert live_holder(tmp_path / "lock") is None
    lock(tmp_path).acquire()
    assert live_holder(tmp_path / "lock") is not None


def test_a_zombie_holds_no_lock(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    holder.kill()
    wait_until(lambda: live_holder(tmp_path / "lock") is None, 10)
    assert Path(f"/proc/{holder.pid}").exists()
    end(holder)


def test_a_lock_of_another_host_is_live_until_its_heartbeat_expires(
    tmp_path: Path,
) -> None:
    elsewhere = Holder("elsewhere", os.getpid(), "1", 0.0)
    write(tmp_path / "lock", elsewhere, age=EXPIRY - 30)
    assert live_holder(tmp_path / "lock") == elsewhere
    with pytest.raises(RunningError, match="on elsewhere since"):
        lock(tmp_path).acquire()
    write(tmp_path / "lock", elsewhere, age=EXPIRY + 1)
    assert live_holder(tmp_path / "lock") is None
    with lock(tmp_path):
        pass


def test_a_forked_child_does_not_release(tmp_path: Path) -> None:
    with lock(tmp_path) as held:
        pid = os.fork()
        if pid == 0:
            held.release()
            os._exit(0)
        os.waitpid(pid, 0)
        assert live_holder(held.path) is not None


def test_a_lock_that_somebody_took_over_is_not_released(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    other = Holder("elsewhere", 1, "1", 0.0)
    write(tmp_path / "lock", other)
    held.release()
    assert live_holder(tmp_path / "lock") == other


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have locks renewed several times a second."""
    monkeypatch.setattr("psyrun.workdir.holder.HEARTBEAT", 0.02)


def age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def test_a_lock_is_renewed_while_it_is_held(tmp_path: Path, quick: None) -> None:
    with lock(tmp_path) as held:
        os.utime(held.path, (0, 0))
        wait_until(lambda: age(held.path) < EXPIRY, 10)
        assert not held.is_lost
    assert not held.is_lost


def test_a_lock_that_somebody_took_over_is_not_renewed(
    tmp_path: Path, quick: None
) -> None:
    held = lock(tmp_path)
    held.acquire()
    beating = threading.enumerate()[-1]
    other = tmp_path / "other"
    write(other, Holder("elsewhere", 1, "1", 0.0), age=EXPIRY + 1)
    other.replace(held.path)
    beating.join(10)
    assert not beating.is_alive()
    assert held.is_lost
    assert age(held.path) > EXPIRY


def test_a_lock_that_was_removed_is_lost_for_good(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    content = held.path.read_bytes()
    held.path.unlink()
    assert held.is_lost
    held.path.write_bytes(content)
    assert held.is_lost


def test_a_lock_that_cannot_be_read_now_is_not_lost(tmp_path: Path) -> None:
    with lock(tmp_path) as held:
        content = held.path.read_bytes()
        held.path.write_text("")
        assert not held.is_lost
        held.path.write_bytes(content)


def test_a_lock_that_cannot_be_removed_makes_nothing_fail(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir()
    with Lock(folder / "lock", "a task") as lock:
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("a file has taken the place of the folder")
        with pytest.raises(NotADirectoryError):
            lock.path.unlink()
    assert not lock.token


@pytest.mark.parametrize("ahead", [-100.0, 10_000.0])
def test_a_breaker_that_was_killed_keeps_nobody_out(
    tmp_path: Path, ahead: float
) -> None:
    former = dead_holder()
    write(tmp_path / "lock", former)
    right = tmp_path / f".lock.{former.pid}-{former.started}"
    os.link(tmp_path / "lock", right)
    os.utime(right, (time.time() + ahead,) * 2)
    with lock(tmp_path) as held:
        mine = live_holder(held.path)
        assert mine is not None and mine.pid == os.getpid()


def test_rights_of_killed_breakers_are_removed_and_others_stay(tmp_path: Path) -> None:
    layout = TaskLayout(tmp_path / "a")
    locks = layout.round(1).locks
    locks.mkdir(parents=True)
    dead, live = [
        (layout.folder / f".lock.{number}-123ab", locks / f".process-0.{number}-123ab")
        for number in (1, 2)
    ]
    for path in dead:
        write(path, dead_holder())
    for path in live:
        write(path, Holder.me())
    # As former versions make them.
    (old := locks / ".merge.3-4").touch()
    os.utime(old, (0, 0))
    (new := locks / ".merge.5-6").touch()
    (strange := layout.folder / ".lock.swp").touch()
    remove_abandoned_rights(layout)
    left = {path for path in layout.folder.rglob("*") if path.is_file()}
    assert left == {*live, new, strange}


def test_a_lock_that_was_taken_meanwhile_is_not_broken(tmp_path: Path) -> None:
    with lock(tmp_path) as held:
        # What `acquire` does where the holder that it saw is gone by then.
        lock(tmp_path)._break_stale()
        assert live_holder(held.path) is not None


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_damaged_lock_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content)
    with pytest.raises(PsyrunError, match=r"/lock: is not a lock of psyrun; delete"):
        lock(tmp_path).acquire()


def contend(
    folder: Path, start: float, rounds: int, found: "Queue[tuple[int, int]]"
) -> None:
    """Hold a lock, stale at first, in turn; tell how often it was not alone."""
    wins = collisions = 0
    time.sleep(max(0.0, start - time.time()))
    for number in range(rounds):
        wanted = lock(folder / str(number))
        for _ in range(10):
            try:
                wanted.acquire()
            except RunningError:
                continue
            wins += 1
            mark = folder / str(number) / "held"
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                collisions += 1
            time.sleep(0.001)
            mark.unlink(missing_ok=True)
            wanted.release()
    found.put((wins, collisions))


def test_of_many_who_break_a_stale_lock_one_at_a_time_holds_it(tmp_path: Path) -> None:
    n_processes, rounds = 8, 50
    for number in range(rounds):
        (tmp_path / str(number)).mkdir()
        write(tmp_path / str(number) / "lock", dead_holder())
    context = get_context("spawn")
    found: Queue[tuple[int, int]] = context.Queue()
    arguments = (tmp_path, time.time() + 1.5, rounds, found)
    processes = [
        context.Process(target=contend, args=arguments) for _ in range(n_processes)
    ]
    for process in processes:
        process.start()
    counts = [found.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sum(wins for wins, _ in counts) >= rounds
    assert sum(collisions for _, collisions in counts) == 0
    assert not list(tmp_path.glob("*/lock"))


def test_live_locks_of_a_folder_are_named(tmp_path: Path) -> None:
    write(tmp_path / "process-1", dead_holder())
    write(tmp_path / ".process-3.host-7", Holder.me())
    with Lock(tmp_path / "process-2", "job"):
        assert list(live_holders(tmp_path)) == ["process-2"]
    assert live_holders(tmp_path / "no such folder") == {}


def test_running_jobs_of_all_rounds_are_found(tmp_path: Path) -> None:
    layout = TaskLayout.of(tmp_path, "a")
    first, second = layout.round(1), layout.round(2)
    process = Lock(first.lock("process-3"), "job of the first")
    again = Lock(second.lock("process-3"), "job of the second")
    with process, again, Lock(second.lock("merge"), "job"):
        names = [name for name, _ in running_jobs(layout)]
        assert names == ["process:3", "merge", "process:3"]
        assert list(jobs_of(first)) == ["process:3"]
        assert list(jobs_of(second)) == ["merge", "process:3"]
    assert running_jobs(layout) == []


def test_the_start_of_a_process_stays_the_same() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid())
    assert process_start(os.getpid()) != process_start(1)
    assert process_start(dead_holder().pid) is None


def test_a_job_waits_for_who_is_about_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = lock(tmp_path)
    other, sleep = hold(held.path), time.sleep

    def end_it(seconds: float) -> None:
        """Let the other end as soon as it is waited for."""
        other.kill()
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", end_it)
    former = Lock(held.path, "job", patience=60).acquire()
    assert former is not None and former.pid == other.pid
    other.communicate()


def test_who_does_not_end_is_named_when_patience_is_over(tmp_path: Path) -> None:
    with lock(tmp_path) as held, pytest.raises(RunningError, match="is run by process"):
        Lock(held.path, "job", patience=0.1).acquire()


def test_a_heartbeat_of_before_the_clock_was_set_back_is_fresh(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    elsewhere = Holder("elsewhere", 1, "1", 0.0)
    write(path, elsewhere, age=-10 * EXPIRY)
    assert live_holder(path) == elsewhere


def test_a_heartbeat_of_before_the_clock_was_set_back_expires(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    elsewhere = Holder("elsewhere", 1, "1", 0.0)
    write(path, elsewhere, age=-10 * EXPIRY)
    with pytest.raises(RunningError):
        lock(tmp_path).acquire()
    assert path.stat().st_mtime <= time.time()
    assert live_holder(path) == elsewhere
    write(path, elsewhere, age=EXPIRY + 1)
    assert lock(tmp_path).acquire() == elsewhere


def test_a_heartbeat_by_a_clock_that_is_a_bit_ahead_stays(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    write(path, Holder("elsewhere", 1, "1", 0.0), age=-30)
    modified = path.stat().st_mtime_ns
    with pytest.raises(RunningError):
        lock(tmp_path).acquire()
    assert path.stat().st_mtime_ns == modified


def test_only_a_session_that_holds_the_lock_holds_it(tmp_path: Path) -> None:
    held = lock(tmp_path)
    held.acquire()
    session = held.session
    assert is_held_in(held.path, session)
    assert not is_held_in(held.path, "0000000000abcdef1")
    content = held.path.read_bytes()
    # What cannot be read now may still be ours.
    held.path.write_text("{")
    assert is_held_in(held.path, session)
    held.path.write_bytes(content)
    held.release()
    assert not is_held_in(held.path, session)
    with held:
        assert held.session != session


def test_what_fails_after_a_lock_was_lost_tells_of_the_lock(tmp_path: Path) -> None:
    with (
        pytest.raises(LostLockError, match="removed or taken over"),
        lock(tmp_path) as held,
    ):
        held.path.unlink()
        raise FileNotFoundError("what another run has removed")


def test_locks_of_jobs_that_were_killed_are_removed_by_their_machine(
    tmp_path: Path,
) -> None:
    layout = TaskLayout.of(tmp_path, "a")
    locks = layout.round(1).locks
    locks.mkdir(parents=True)
    write(locks / "process-0", dead_holder())
    write(locks / "process-1", Holder("elsewhere", 1, "1", 0.0))
    write(locks / "process-2", Holder.me())
    remove_stale_locks(layout)
    assert list(live_holders(locks)) == ["process-1", "process-2"]
    assert not (locks / "process-0").exists()


def test_sessions_that_follow_one_another_at_once_are_in_order(tmp_path: Path) -> None:
    sessions = []
    for _ in range(20):
        with Lock(tmp_path / "lock", "job") as held:
            sessions.append(held.session)
    assert sessions == sorted(sessions)
