"""Files appear whole or not at all, whatever the store."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.store import AutodetectStore
from psyrun.testing.store import as_lists

STORE = AutodetectStore()
OLD = {"a": [0.0, 1.0, 2.0]}

# A limit on the size of files stands in for a full disk.
FULL_DISK = """
import resource, sys
import numpy as np
from psyrun.errors import StoreError
from psyrun.store import AutodetectStore

store, (path, action) = AutodetectStore(), sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
many = {"a" if action != "new key" else "b": np.random.random(100_000)}
try:
    if action == "save":
        store.save(path, many)
    elif action == "write":
        with store.writer(path) as writer:
            for _ in range(100):
                writer.append({"a": np.random.random(1000)})
    else:
        store.append(path, many)
except StoreError as error:
    print(error)
"""


@pytest.fixture(params=[".pkl", ".npz", ".h5"])
def path(request, tmp_path) -> Path:
    return tmp_path / f"r{request.param}"


@pytest.mark.parametrize("action", ["save", "append", "new key", "write"])
def test_a_full_disk_leaves_the_file_as_it_was(path, action) -> None:
    STORE.save(path, OLD)
    command = [sys.executable, "-c", FULL_DISK, str(path), action]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path}: File too large")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert as_lists(STORE.load(path)) == OLD
    assert list(path.parent.iterdir()) == [path]


def test_the_umask_decides_who_may_read_the_file(path) -> None:
    before = os.umask(0o027)
    try:
        STORE.save(path, OLD)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(path) -> None:
    (path.parent / "scratch").mkdir()
    target = path.parent / "scratch" / path.name
    path.symlink_to(target)
    STORE.save(path, OLD)
    assert path.is_symlink()
    assert as_lists(STORE.load(target)) == OLD


def test_long_file_names_are_fine(path) -> None:
    longest = path.with_name("é" * 120 + path.suffix)
    STORE.save(longest, OLD)
    assert as_lists(STORE.load(longest)) == OLD


@pytest.mark.parametrize("ext", [".pkl", ".npz", ".h5"])
def test_errors_of_the_system_are_told_apart_as_those_of_open_are(tmp_path, ext):
    with pytest.raises(FileNotFoundError) as missing:
        STORE.load(tmp_path / f"missing{ext}")
    assert missing.value.errno == errno.ENOENT
    (tmp_path / f"folder{ext}").mkdir()
    with pytest.raises(OSError, match=f"folder{ext}: "):
        STORE.load(tmp_path / f"folder{ext}")
    with pytest.raises(StoreError):
        STORE.load(tmp_path / f"missing{ext}")


def test_a_missing_folder_is_named(path) -> None:
    with pytest.raises(StoreError, match=r"no-folder.*no such file or folder"):
        STORE.save(path.parent / "no-folder" / path.name, OLD)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_reported(path, part) -> None:
    STORE.save(path, {"a": np.arange(10_000.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(StoreError, match=f"r{path.suffix}: .*not whole") as raised:
        STORE.load(path)
    assert len(str(raised.value).splitlines()) == 1


def test_a_file_of_something_else_is_reported(path) -> None:
    path.write_text("This is text.\n" * 100)
    for read in (STORE.load, STORE.count, STORE.keys):
        with pytest.raises(StoreError, match=path.name):
            read(path)


def test_a_folder_in_place_of_the_file_is_reported(path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match=path.name):
        STORE.load(path)
    with pytest.raises(StoreError, match=path.name):
        STORE.save(path, OLD)
    assert list(path.parent.iterdir()) == [path]


def test_a_single_value_is_not_a_column(path) -> None:
    with pytest.raises(StoreError, match="'a' holds a single float"):
        STORE.save(path, {"a": 1.0})
    with pytest.raises(StoreError, match="'a' holds a single str"):
        STORE.save(path, {"a": "abc"})


def test_unequal_columns_are_named_with_their_lengths(path) -> None:
    with pytest.raises(StoreError, match="'a' has 1, 'b' has 2"):
        STORE.save(path, {"a": [1], "b": [1, 2]})


def test_importing_the_stores_imports_neither_numpy_nor_tables() -> None:
    code = "import psyrun.store, sys; from psyrun.store import PickleStore; "
    code += "sys.exit(bool({'numpy', 'tables'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_user_guide_s_import_paths_work() -> None:
    from psyrun.store import AutodetectStore, H5Store, NpzStore, PickleStore
    from psyrun.store.h5 import H5Store as H5
    from psyrun.store.npz import NpzStore as Npz

    assert (H5, Npz) == (H5Store, NpzStore)
    assert pickle.loads(pickle.dumps(AutodetectStore())).ext == ""
    assert PickleStore.ext == ".pkl"
