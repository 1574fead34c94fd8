"""Runs with streams that are closed, a home that is not there, and the like."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import TIMEOUT
from slurm_stand_in import SlurmStandIn

pytestmark = pytest.mark.slow

TASK = """\
from psyrun import Param

pspace = Param(x=[1, 2])


def execute(x):
    print("h\xe9", x)
    return {"y": x}
"""
VERBS = [
    "list",
    "test",
    "run",
    "status -v",
    "failed a",
    "attach a",
    "kill a",
    "clean a",
]


def project(folder: Path, task: str = TASK) -> Path:
    (folder / "psy-tasks").mkdir(parents=True)
    (folder / "psy-tasks/task_a.py").write_text(task, encoding="utf-8")
    return folder


def psy(folder: Path, verb: str, streams: str = "", **environment: str) -> int:
    """Call psy from a shell, check that there is no traceback, return the status."""
    command = f"'{sys.executable}' -m psyrun.cli {verb} {streams}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode(errors="replace")
    assert "Traceback" not in printed
    return done.returncode


def result(folder: Path) -> list[int]:
    with (folder / "psy-work/a/result.pkl").open("rb") as file:
        return list(pickle.load(file)["y"])


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(tmp_path: Path, streams: str) -> None:
    folder = project(tmp_path / "project")
    for verb in VERBS[:-1]:
        assert psy(folder, verb, streams) == 0, verb
    assert result(folder) == [1, 2]
    assert psy(folder, "clean a", streams) == 0


ENVIRONMENTS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONUTF8": "0", "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONDEVMODE": "1"},
    {"PYTHONWARNINGS": "error"},
    {"TERM": "dumb"},
    {"PATH": ""},
    {"HOME": "/proc/nothing"},
    {"HOME": ""},
    {"HOME": "'~'"},  # as of a user who is not in the list of users
    {"HOME": f"/{'x' * 300}"},  # can neither be read nor written to
    {"XDG_CACHE_HOME": "/proc/nothing", "XDG_CONFIG_HOME": f"/{'x' * 300}"},
]


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: next(iter(e)))
def test_the_environment_may_be_unusual(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = project(tmp_path / "project")
    for verb in VERBS[:-1]:
        # The shell of this test is found by the path that is replaced.
        where = " ".join(f"{name}={value}" for name, value in environment.items())
        command = f"'{sys.executable}' -m psyrun.cli {verb}"
        assert _shell(folder, f"{where} {command}") == 0, verb
    assert result(folder) == [1, 2]


def test_the_environment_may_be_empty(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    for verb in VERBS[:-1]:
        assert _shell(folder, f"env -i '{sys.executable}' -m psyrun.cli {verb}") == 0
    assert result(folder) == [1, 2]


def _shell(folder: Path, command: str) -> int:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode(errors="replace")
    assert "Traceback" not in printed
    return done.returncode


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_output_is_named_and_does_not_stop_a_run(
    tmp_path: Path, buffered: str
) -> None:
    folder = project(tmp_path / "project")
    assert psy(folder, "run", ">/dev/full 2>said", PYTHONUNBUFFERED=buffered) == 0
    assert "standard output: No space left" in (folder / "said").read_text()
    assert result(folder) == [1, 2]
    for verb in ("list", "status", "test"):
        assert psy(folder, verb, ">/dev/full 2>said", PYTHONUNBUFFERED=buffered) == 2
        (line,) = (folder / "said").read_text().splitlines()
        assert line.startswith("psy: standard output: No space left on device")


@pytest.mark.parametrize("end", ["close()", "detach()", "buffer.close()"])
def test_a_task_file_may_close_the_streams(tmp_path: Path, end: str) -> None:
    text = f"import sys\nsys.stdout.{end}\nsys.stderr.{end}\n{TASK}"
    folder = project(tmp_path / "project", text.replace('print("h\xe9", x)', "pass"))
    assert psy(folder, "run", ">said 2>&1") == 0
    said = (folder / "said").read_text()
    assert "Traceback" not in said
    assert ".  a:merge" in said
    assert result(folder) == [1, 2]


def named(folder: Path, name: bytes) -> Path:
    """Return a path whose last part is not UTF-8, if the file system takes it."""
    path = folder / os.fsdecode(name)
    try:
        path.mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    path.rmdir()
    return path


def test_a_project_folder_need_not_be_utf8(tmp_path: Path) -> None:
    folder = project(named(tmp_path, b"caf\xe9"))
    for verb in VERBS[:-1]:
        assert psy(folder, verb) == 0, verb
    assert result(folder) == [1, 2]


def test_hdf5_says_before_the_run_that_it_needs_utf8(tmp_path: Path) -> None:
    folder = project(named(tmp_path, b"caf\xe9"), f"{TASK}store = '.h5'\n")
    assert psy(folder, "run", "2>said") == 2
    assert "HDF5 takes paths in UTF-8 only" in (folder / "said").read_text()


def test_data_need_not_have_names_in_utf8(tmp_path: Path) -> None:
    text = TASK + "import os\nfile_dep = [os.fsdecode(b'd\\xe9p')]\n"
    folder = project(tmp_path / "project", text)
    data = named(folder, b"d\xe9p")
    data.mkdir()
    (data / os.fsdecode(b"\xff")).write_text("1")
    assert psy(folder, "run") == 0
    (data / os.fsdecode(b"\xff")).write_text("2")
    assert psy(folder, "run", ">said") == 0
    assert ".  a:process:0" in (folder / "said").read_text()


@pytest.mark.parametrize("variable", ["resultfile", "workdir"])
def test_other_paths_that_are_not_utf8_are_refused(
    tmp_path: Path, variable: str
) -> None:
    text = f"{TASK}import os\n{variable} = os.fsdecode(b'w\\xe9.pkl')\n"
    folder = project(tmp_path / "project", text)
    assert psy(folder, "run", "2>said") == 2
    assert f"{variable} is 'w\\udce9.pkl'; it must be" in (folder / "said").read_text()


@pytest.mark.parametrize("missing", [("squeue",), ("sbatch", "scontrol"), ("scancel",)])
def test_commands_of_a_queue_that_are_missing_are_named_at_once(
    tmp_path: Path, missing: tuple[str, ...]
) -> None:
    queue = SlurmStandIn(tmp_path / "queue")
    queue.hold("nothing")
    queue.environment()
    for name in missing:
        (queue.folder / "bin" / name).unlink()
    task = TASK.replace("import Param", "import Param, Slurm")
    folder = project(tmp_path / "project", f"{task}scheduler = Slurm()\n")
    few = tmp_path / "few"
    few.mkdir()
    for name in ("sh", "sed", "bash"):
        (few / name).symlink_to(str(shutil.which(name)))
    assert psy(folder, "run", ">said 2>&1", PATH=f"{queue.folder}/bin:{few}") == 2
    assert (folder / "said").read_text() == (
        f"psy: {', '.join(missing)} cannot be run: not on the PATH. Run psy where the "
        "queue's commands are on the PATH, or choose another scheduler.\n"
    )
    assert not list(queue.jobs())
    queue.environment()
    assert psy(folder, "run", PATH=f"{queue.folder}/bin:{few}") == 0
    assert result(folder) == [1, 2]


def test_accounting_may_be_missing(tmp_path: Path) -> None:
    queue = SlurmStandIn(tmp_path / "queue")
    queue.hold("nothing")
    queue.environment()
    (queue.folder / "bin/sacct").unlink()
    task = TASK.replace("import Param", "import Param, Slurm")
    folder = project(tmp_path / "project", f"{task}scheduler = Slurm()\n")
    assert psy(folder, "run", PATH=f"{queue.folder}/bin:/usr/bin:/bin") == 0
    assert result(folder) == [1, 2]


def block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def ignore() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


@pytest.mark.parametrize("prepare", [block, ignore])
def test_who_starts_a_run_may_have_blocked_signals(
    tmp_path: Path, prepare: Callable[[], None]
) -> None:
    folder = project(tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-m", "psyrun.cli", "run"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        preexec_fn=prepare,
    )
    assert done.returncode == 0, done.stderr
    assert result(folder) == [1, 2]
