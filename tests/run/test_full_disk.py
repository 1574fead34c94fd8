"""A disk that fills up: a clear error, nothing torn, and the rest after it has room."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from projects import Project

from psyrun.store.registry import store_named
from psyrun.workdir import journal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system"),
]

N_ASSIGNMENTS = 200
N_VALUES = 1_000  # 8 kB in a row, 1.6 MB in all
N_WORKERS = 2

TASK = """\
from pathlib import Path
import numpy as np
from psyrun import Param
from psyrun.store.registry import store_named

pspace = Param(x=range({n_assignments}))
store = store_named("{ext}")
workdir = "small"
max_jobs = {n_workers}


def execute(x):
    with Path("calls").open("a") as file:
        file.write(f"{{x}}\\n")
    return {{"y": np.random.default_rng(x).random({n_values})}}
"""

# What fills the disk, one job after the other: the journal of the first, the block of
# the second beside its journal, or the result beside the blocks.
SIZES = {"journals": "700k", "blocks": "2200k", "result": "2900k"}


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory."""
    disk = tmp_path / "project/small"
    disk.mkdir(parents=True)
    options = f"size={request.param}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems in memory cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def make_room(disk: Path) -> None:
    options = "remount,size=64m"
    subprocess.run(["mount", "-o", options, str(disk)], check=True)


@pytest.fixture
def project(disk: Path, ext: str) -> Project:
    project = Project(disk.parent)
    text = TASK.format(
        n_assignments=N_ASSIGNMENTS, n_values=N_VALUES, n_workers=N_WORKERS, ext=ext
    )
    project.write(text)
    return project


def check_files(disk: Path, ext: str) -> None:
    """Read all there is: data files are whole, and so is each record."""
    for path in disk.glob(f"a/round-*/blocks/*{ext}"):
        # Blocks are emptied when the result has their rows.
        n_rows = N_ASSIGNMENTS / N_WORKERS
        if path.stat().st_size:
            assert len(store_named(ext).load(str(path))["x"]) == n_rows
    for path in disk.rglob("*.journal"):
        entries = list(journal.scan(path, verify=True))
        assert entries[-1].offset + entries[-1].length == path.stat().st_size
    assert not list(disk.rglob("*.tmp"))


@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
def test_a_full_disk_is_told_and_mended(project, disk, ext) -> None:
    output = project.psy("run", "-j", "1", status=2).stderr
    assert "No space left on device" in output
    assert "Traceback" not in output
    check_files(disk, ext)
    assert not (disk / f"a/result{ext}").exists()

    make_room(disk)
    project.psy("run", "-j", str(N_WORKERS))
    check_files(disk, ext)
    result = store_named(ext).load(str(disk / f"a/result{ext}"))
    assert list(result["x"]) == list(range(N_ASSIGNMENTS))
    expected = [np.random.default_rng(x).random(N_VALUES) for x in range(N_ASSIGNMENTS)]
    assert np.array_equal(result["y"], expected)
    calls = project.calls()
    assert set(calls) == set(range(N_ASSIGNMENTS))
    assert len(calls) <= N_ASSIGNMENTS + N_WORKERS
