"""Folders of runs outside of the project go with these, however they end."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import Project, kill_all_of, wait_until

from psyrun.run.own_folders import new_folder, remove_abandoned
from psyrun.utils.leftovers import system_id

TASK = """\
import tempfile, time
from pathlib import Path
from psyrun import Param

pspace = Param(x=range(2))
max_jobs = 1
pool_size = 1


def execute(x):
    while Path("wait").exists():
        Path("started").touch()
        time.sleep(0.05)
    return {"folder": tempfile.gettempdir()}
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Paths of sockets are short.
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="t"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", ["psy", "snakemake"])
def test_what_a_killed_run_has_left_goes_with_the_next(
    tmp_path: Path, temporary: Path, command: str
) -> None:
    project = Project(tmp_path / "project")
    project.write(TASK)
    (project.folder / "wait").touch()
    kept = temporary / "snakemake-of-others"
    kept.mkdir()
    words = ["psyrun.cli", "run"] if command == "psy" else project.snakemake_command()
    process = project.start(*words)
    wait_until((project.folder / "started").exists)
    kill_all_of(process)
    assert len(list(temporary.iterdir())) > 1
    (project.folder / "wait").unlink()
    project.run(*words)
    assert list(temporary.iterdir()) == [kept]
    caches = (tmp_path / "cache").glob("snakemake/**/snakemake-runtime-cache/*")
    assert list(caches) == []
    # What the user wants temporary files to be in is as before for evaluations.
    assert set(project.result()["folder"]) == {str(temporary)}


KILLED = """\
import os, signal, sys
from psyrun.run import own_folders

own_folders.mark = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
own_folders.new_folder(sys.argv[1])
"""


def test_a_folder_goes_that_was_made_but_not_marked(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    # Nobody knows whose these are, or they may live.
    names = {
        "psyrun-of-others",
        "psyrun-1.00000000-abcdefgh",
        f"psyrun-{os.getpid()}.{system_id()}-abcdefgh",
    }
    for name in names:
        (tmp_path / name).mkdir()
    assert len(list(tmp_path.iterdir())) == 1 + len(names)
    mine = Path(new_folder(str(tmp_path)))
    remove_abandoned(tmp_path, "psyrun-")
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, *names}
