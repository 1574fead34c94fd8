"""Holders of locks that cannot be seen from here are not gone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from psyrun.errors import PsyrunError
from psyrun.utils.process import identity
from psyrun.utils.process.identity import UNSEEN, process_start
from psyrun.workdir.holder import (
    EXPIRY,
    Holder,
    heartbeat_age,
    is_live,
    recorded_holder,
)
from psyrun.workdir.lock import Lock, live_holder

HOLD = """
import sys, time
from pathlib import Path
from psyrun.workdir.lock import Lock
Lock(Path(sys.argv[1]), "task 'a'").acquire()
print("held", flush=True)
time.sleep(1000)
"""
LOOK = """
import os, sys, time
from pathlib import Path
from psyrun.errors import RunningError
from psyrun.workdir.lock import Lock, live_holder
{before}
path = Path(sys.argv[1])
holder = live_holder(path)
try:
    Lock(path, "task 'a'").acquire()
    print(holder is not None, "taken")
except RunningError:
    print(holder is not None, "refused")
os._exit(0)
"""
SEES_OWN = (
    "os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(*[65534] * 3)"
)


def can(*command: str) -> bool:
    program = shutil.which(command[0])
    return (
        program is not None
        and not subprocess.run(
            [program, *command[1:], "true"], capture_output=True, check=False
        ).returncode
    )


UNSHARE = {
    "pid": ("unshare", "--pid", "--fork", "--mount-proc"),
    "pid without proc": ("unshare", "--pid", "--fork"),
    "user and pid": ("unshare", "--user", "--map-root-user", "--pid", "--fork"),
    "user": ("unshare", "--user", "--map-root-user"),
    "uts": ("unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh"),
}
spaces = pytest.mark.parametrize("space", UNSHARE.values(), ids=UNSHARE.keys())


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Have another process hold a lock."""
    yield from holding(tmp_path)


def holding(folder: Path, *command: str) -> Iterator[tuple[Path, int]]:
    path = folder / "lock"
    process = subprocess.Popen(
        [*command, sys.executable, "-c", HOLD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield path, process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def look(path: Path, *command: str, before: str = "") -> str:
    script = LOOK.format(before=before)
    return subprocess.run(
        [*command, sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@spaces
def test_a_lock_is_live_as_seen_from_another_container(
    held: tuple[Path, int], space: tuple[str, ...]
) -> None:
    if not can(*space):
        pytest.skip("needs root, or namespaces of users")
    assert look(held[0], *space) == "True refused"


@spaces
def test_a_lock_in_another_container_is_live(
    tmp_path: Path, space: tuple[str, ...]
) -> None:
    if not can(*space):
        pytest.skip("needs root, or namespaces of users")
    for path, _ in holding(tmp_path, *space):
        assert look(path) == "True refused"


def test_a_dead_holder_in_a_container_is_gone_when_its_heartbeat_expires(
    tmp_path: Path,
) -> None:
    if not can(*UNSHARE["pid"]):
        pytest.skip("needs root")
    for path, pid in holding(tmp_path, *UNSHARE["pid"]):
        os.killpg(pid, signal.SIGKILL)
        assert look(path) == "True refused"
        age(path, EXPIRY + 1)
        assert look(path) == "False taken"


@pytest.mark.parametrize("way", [1, 2])
def test_a_lock_is_live_where_processes_of_others_are_hidden(
    held: tuple[Path, int], way: int
) -> None:
    mount = f'mount -t proc -o hidepid={way} proc /proc; exec "$@"'
    command = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if not can(*command):
        pytest.skip("needs root")
    held[0].chmod(0o644)
    for folder in held[0].parents[:4]:
        if folder.stat().st_mode & 0o5 != 0o5 and folder != Path("/"):
            folder.chmod(0o755)
    held[0].parent.chmod(0o777)
    assert look(held[0], *command, before=SEES_OWN) == "True refused"


@pytest.mark.parametrize("minutes", [-6, 6, 600])
def test_a_wrong_clock_of_the_observer_does_not_matter(
    tmp_path: Path, minutes: int
) -> None:
    path = tmp_path / "lock"
    elsewhere = Holder("elsewhere", 1, "1", 0.0)
    path.write_text(json.dumps(asdict(elsewhere)))
    wrong = f"right = time.time; time.time = lambda: right() + {60 * minutes}"
    assert look(path, before=wrong) == "True refused"
    age(path, EXPIRY + 5)
    assert look(path, before=wrong) == "False taken"


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_the_age_of_a_heartbeat_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    assert abs(heartbeat_age(path)) < 60
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_process_is_live_however_old_its_heartbeat_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    me = Holder.me()
    path.write_text(json.dumps(asdict(me)))
    age(path, 10 * EXPIRY)
    assert is_live(me, path)


def test_a_holder_of_before_a_restart_is_live_until_its_heartbeat_expires(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    before = Holder(**{**asdict(Holder.me()), "boot": "another"})
    path.write_text(json.dumps(asdict(before)))
    assert live_holder(path) == before
    age(path, EXPIRY + 1)
    assert live_holder(path) is None


def test_holders_of_former_versions_are_judged_by_their_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    started = process_start(os.getpid())
    assert started is not None
    record = {"host": socket.gethostname(), "pid": os.getpid(), "since": 1.0}
    for start, is_there in ((started, True), ("1", False)):
        path.write_text(json.dumps({**record, "started": start}))
        assert (live_holder(path) is not None) is is_there


def test_what_a_later_version_adds_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({**asdict(Holder.me()), "colour": "blue"}))
    assert recorded_holder(path) is not None


WRONG = {
    "pid as text": {"pid": "7"},
    "pid of a group": {"pid": -1},
    "no pid": {"pid": 0},
    "pid as truth": {"pid": True},
    "host as number": {"host": 7},
    "escape sequence": {"host": "\x1b[2Jnode"},
    "newline": {"job": "1\n2"},
    "time as text": {"since": "now"},
    "no time": {"since": float("nan")},
    "endless": {"since": float("inf")},
    "far away": {"since": 1e300},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_lock_with_wrong_entries_is_named(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps({**asdict(Holder.me()), **change}))
    with pytest.raises(PsyrunError, match=r"/lock: is not a lock of psyrun; delete"):
        Lock(path, "task 'a'").acquire()


def test_odd_files_in_place_of_a_lock_are_named(tmp_path: Path) -> None:
    kinds = {
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "link to nothing": lambda path: path.symlink_to("nothing"),
        "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00"),
        "deep": lambda path: path.write_text("[" * 100_000),
        "list": lambda path: path.write_text("[1, 2]"),
    }
    for name, make in kinds.items():
        path = tmp_path / name
        make(path)
        with pytest.raises(PsyrunError, match="is not a lock of psyrun; delete"):
            Lock(path, "task 'a'").acquire()


def test_processes_without_proc_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(identity, "_PROC", Path("/nowhere"))
    first, second = process_start(os.getpid()), process_start(process.pid)
    assert first not in (None, UNSEEN) and second not in (None, UNSEEN)
    assert first != second and first == process_start(os.getpid())
    process.kill()
    # A zombie.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(process.pid) is None
    process.communicate()
    assert process_start(process.pid) is None


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file system without hard links, as exFAT is."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


def test_locks_work_without_links(tmp_path: Path, no_links: None) -> None:
    path = tmp_path / "lock"
    path.write_text(json.dumps(asdict(Holder(socket.gethostname(), 1, "1", 0.0))))
    with Lock(path, "task 'a'") as lock:
        assert not lock.is_lost
        assert look(path) == "True refused"
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_was_made_but_is_said_to_exist_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def ask_again(source: Path, target: Path, **options: Any) -> None:
        link(source, target, **options)
        link(source, target, **options)

    monkeypatch.setattr(os, "link", ask_again)
    with Lock(tmp_path / "lock", "task 'a'") as lock:
        assert not lock.is_lost
