"""A file that the system does not give is not damaged: it stays, and so do its rows."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from projects import TIMEOUT, Project

from psyrun.errors import StoreError, is_refusal
from psyrun.utils.files import explained
from psyrun.workdir.copies import settle
from psyrun.workdir.damage import try_to
from psyrun.workdir.layout import TaskLayout

TASK = """\
import os

from psyrun import Param

pspace = Param(x=range(6))
max_jobs = 3
keep_blocks = True


def execute(x):
    with open("calls", "a") as file:
        file.write(f"{x}\\n")
    if x == 5 and os.path.exists("broken"):
        raise ValueError("as asked")
    return {"y": 2 * x}
"""
REFUSED = (
    "EMFILE",
    "ENFILE",
    "ENOMEM",
    "EACCES",
    "EPERM",
    "EIO",
    "ESTALE",
    "ETIMEDOUT",
)
OF_THE_FILE = ("ENOENT", "EISDIR", "ENOTDIR", "ELOOP", "EINVAL", "EBADMSG", "ENXIO")
RUN, REPAIR = ("run",), ("doctor", "--repair", "a")
TRIALS = [
    ("state.json", RUN, "EIO"),
    ("round-#/split.json", RUN, "EACCES"),
    ("round-#/space.pkl", RUN, "ESTALE"),
    ("round-#/blocks/.#.json", RUN, "EACCES"),
    ("state.json", REPAIR, "EACCES"),
    ("round-#/split.json", REPAIR, "EIO"),
    ("round-#/space.pkl", REPAIR, "EACCES"),
    ("round-#/keys.json", REPAIR, "EIO"),
    ("round-#/blocks/.#.json", REPAIR, "ESTALE"),
    ("round-#/blocks/#.pkl", REPAIR, "EIO"),
    ("round-#/journal/#-#-#.journal", REPAIR, "EACCES"),
]


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_system_refuses_is_raised_as_it_is(name: str) -> None:
    def read() -> None:
        with explained("a file"):
            raise OSError(getattr(errno, name), "refused")

    with pytest.raises(StoreError, match="a file: refused"):
        try_to(read)


@pytest.mark.parametrize("name", OF_THE_FILE)
def test_what_a_file_is_or_lacks_counts_as_damage(name: str) -> None:
    assert not is_refusal(OSError(getattr(errno, name), "not as it should be"))


def test_a_refusal_is_known_by_its_cause() -> None:
    with pytest.raises(StoreError) as raised:
        try:
            os.close(os.open("/proc/self/mem", os.O_RDONLY))
            raise OSError(errno.EIO, "refused")
        except OSError as error:
            raise StoreError("a list: is not read") from error
    assert is_refusal(raised.value)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of which a block is missing, as one of its assignments failed."""
    project = Project(tmp_path_factory.mktemp("stopped"))
    project.write(TASK)
    (project.folder / "broken").touch()
    project.psy("run", status=1)
    (project.folder / "broken").unlink()
    assert project.calls() == [0, 1, 2, 3, 4, 5]
    return project


@pytest.fixture
def project(stopped: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    shutil.copytree(stopped.folder, folder)
    settle(TaskLayout(folder / "psy-work/a"))
    return Project(folder)


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("there is no compiler, or no LD_PRELOAD")
    path = tmp_path_factory.mktemp("shim") / "faults.so"
    source = Path(__file__).parents[1] / "chaos/faults.c"
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", path, source, "-ldl"]
    subprocess.run(command, check=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("n_files", range(4, 16, 3))
def test_too_few_open_files_damage_nothing(project: Project, n_files: int) -> None:
    limit = (n_files, n_files)
    done = subprocess.run(
        [sys.executable, "-m", "psyrun.cli", "doctor", "--repair", "a"],
        cwd=project.folder,
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limit),
    )
    assert not (project.work() / "damaged").exists(), done.stdout
    if n_files < 6:
        assert "Too many open files" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("file", "command", "name"), TRIALS)
def test_a_file_that_is_not_given_is_not_set_aside(
    project: Project, shim: Path, file: str, command: tuple[str, ...], name: str
) -> None:
    number = getattr(errno, name)
    variables = {
        "LD_PRELOAD": str(shim),
        "FAULT_ROOT": str(project.folder),
        "FAULT_SITE": f"psy/0 open psy-work/a/{file}",
        "FAULT_ACTION": str(number),
        "FAULT_FIRED": str(project.folder / "fired"),
        "FAULT_LASTS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "psyrun.cli", *command],
        cwd=project.folder,
        env={**os.environ, **variables},
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
        check=False,
    )
    assert (project.folder / "fired").exists()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert os.strerror(number) in done.stderr
    assert not (project.work() / "damaged").exists()


@pytest.mark.slow
def test_what_was_not_given_is_used_by_the_next_run(
    project: Project, shim: Path
) -> None:
    trial = "round-#/blocks/.#.json", ("run",), "ESTALE"
    test_a_file_that_is_not_given_is_not_set_aside(project, shim, *trial)
    project.psy("run")
    assert project.calls() == [5]
