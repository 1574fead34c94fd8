"""What processes leave that are killed while they write."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from psyrun.utils import leftovers
from psyrun.utils.files import place, replacing
from psyrun.utils.leftovers import (
    hidden_beside,
    name_it,
    nameless,
    owner,
    probe,
    remove_abandoned,
    remove_all_abandoned,
)

KILLED = """\
import os, signal, sys
from psyrun.utils.files import folder_beside, replacing

with replacing(sys.argv[1]), replacing(sys.argv[2]):
    kept = folder_beside(sys.argv[1])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_writers_have_left_is_removed(tmp_path: Path) -> None:
    mine, other = tmp_path / "result.pkl", tmp_path / "other.pkl"
    subprocess.run([sys.executable, "-c", KILLED, mine, other], check=False)
    strangers = [".result.pkl.swp", ".result.pkl.tmp", ".result.pkl.host.1.ab.tmp"]
    for name in strangers:
        (tmp_path / name).touch()
    n_left = len(list(tmp_path.iterdir()))
    assert n_left == 3 + len(strangers)
    with replacing(mine) as beside:
        # Those of a file of that name only, and not of who still writes.
        remove_abandoned(tmp_path, mine.name)
        assert beside.exists()
        assert len(list(tmp_path.iterdir())) == 2 + len(strangers)
    remove_abandoned(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {mine.name, *strangers}


def killed_in(call: str, *arguments: object) -> None:
    """Have a process make a call, and be killed when that forces a file to disk."""
    text = f"""\
import os, signal, sys
from pathlib import Path
from psyrun.utils import files, leftovers

{CANNOT if "--named" in arguments else ""}
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
files.{call}
"""
    done = subprocess.run([sys.executable, "-c", text, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL


CANNOT = "files.nameless = lambda folder: None"


def test_who_is_killed_while_it_places_a_file_leaves_nothing(tmp_path: Path) -> None:
    if (file := nameless(tmp_path)) is None:
        pytest.skip("files have names from the beginning on this file system")
    os.close(file)
    killed_in('place(Path(sys.argv[1]), "text")', tmp_path / "word")
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_it_leaves_what_is_known_as_its_own(tmp_path: Path) -> None:
    killed_in('place(Path(sys.argv[1]), "text")', tmp_path / "word", "--named")
    assert len(list(tmp_path.iterdir())) == 1
    remove_abandoned(tmp_path, "word")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_removed_at_any_depth_but_not_behind_links(
    tmp_path: Path,
) -> None:
    inner, other = tmp_path / "work" / "round-1" / "locks", tmp_path / "other"
    for folder in (inner, other):
        folder.mkdir(parents=True)
        killed_in('write_text(Path(sys.argv[1]), "text")', folder / "record.json")
    (tmp_path / "work" / "link").symlink_to(other)
    remove_all_abandoned(tmp_path / "work")
    assert list(inner.iterdir()) == []
    assert len(list(other.iterdir())) == 1


def test_what_lives_or_is_elsewhere_keeps_what_it_writes(tmp_path: Path) -> None:
    mine = hidden_beside(tmp_path / "mine")
    parts = owner().split(".")
    elsewhere = [
        tmp_path / f".r.pkl.{host}.{pid}.{there}.0123abcd.tmp"
        for host, pid, there in [
            ("another", "1", parts[-1]),
            (socket.gethostname(), parts[-2], "00000000"),
        ]
    ]
    for path in (mine, *elsewhere):
        path.touch()
    remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == {mine, *elsewhere}
    # Nobody writes for days without a change, as far as can be told from here.
    for path in (mine, *elsewhere):
        os.utime(path, (0, 0))
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
    remove_abandoned(tmp_path, of_all=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_named", [False, True])
def test_a_probe_has_no_name_or_is_gone_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    if is_named:
        monkeypatch.setattr(leftovers, "nameless", lambda folder: None)
    with probe(tmp_path) as file:
        status = os.fstat(file)
    assert status.st_uid == os.geteuid()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError), probe(tmp_path / "none"):
        pass


def test_a_nameless_file_gets_a_name_that_is_free(tmp_path: Path) -> None:
    if (file := nameless(tmp_path)) is None:
        pytest.skip("files have names from the beginning on this file system")
    path = tmp_path / "file"
    assert name_it(file, path)
    # Network file systems may ask for a link that was made already.
    assert name_it(file, path)
    (tmp_path / "other").touch()
    with pytest.raises(FileExistsError):
        name_it(file, tmp_path / "other")
    assert not name_it(file, tmp_path / "none" / "file")
    os.close(file)


def test_a_placed_file_has_the_permissions_that_the_umask_leaves(
    tmp_path: Path,
) -> None:
    former = os.umask(0o027)
    try:
        place(tmp_path / "file", "text")
    finally:
        os.umask(former)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
