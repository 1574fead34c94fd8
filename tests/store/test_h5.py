"""What only H5Store does."""

import contextlib
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from psyrun.errors import StoreError
from psyrun.store import H5Store
from psyrun.store.h5.attributes import raw_attributes
from psyrun.store.h5.layout import MAX_CHUNKS, key_of, node_name
from psyrun.store.merging import merge
from psyrun.testing.store import as_lists

STORE = H5Store()
MIB = 1 << 20
IO_COUNTERS = Path("/proc/self/io")


@pytest.fixture
def path(tmp_path):
    """Where a test keeps its file, which no test leaves open."""
    yield tmp_path / "r.h5"
    assert not tables.file._open_files.handlers


def peak_memory(call) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_pytables_finds_the_columns_by_name(path) -> None:
    STORE.save(path, {"a": [1, 2], "b": [[0.5], [1.5]]})
    with tables.open_file(path) as file:
        assert file.root.psyrun.a[:].tolist() == [1, 2]
        assert file.root.psyrun.b.shape == (2, 1)


def test_files_of_psyrun_0_8_are_read_and_extended(path) -> None:
    with tables.open_file(path, "w") as file:
        group = file.create_group("/", "psyrun")
        for key in ("b", "a"):
            file.create_earray(group, key, obj=np.array([1.0, 2.0]))
    STORE.append(path, {"a": [3.0], "b": [4.0]})
    assert as_lists(STORE.load(path)) == {"a": [1, 2, 3], "b": [1, 2, 4]}


@pytest.mark.parametrize(
    "value", ["text", b"bytes", None, [1, "a"], np.datetime64(0, "s")]
)
def test_only_numbers_are_taken(path, value) -> None:
    with pytest.raises(StoreError, match=r"'k'.*(Npz|Pickle)Store"):
        STORE.check({"k": value})
    with pytest.raises(StoreError, match=r"'k'.*(Npz|Pickle)Store"):
        STORE.save(path, {"k": [value]})


def test_appending_leaves_the_old_rows_where_they_are(path) -> None:
    STORE.save(path, {"a": np.arange(5000.0), "b": np.ones((5000, 3))})
    inode, marker = path.stat().st_ino, np.arange(1000.0, 1500.0).tobytes()
    place = path.read_bytes().index(marker)
    for _ in range(200):
        STORE.append(path, {"a": np.zeros(10), "b": np.zeros((10, 3))})
    assert path.stat().st_ino == inode
    assert path.read_bytes().index(marker) == place
    assert STORE.count(path) == 7000


def test_growing_files_are_written_anew_a_few_times_only(path) -> None:
    rows = np.ones((20, 1024))
    STORE.save(path, {"a": rows})
    inodes = set()
    for _ in range(200):
        STORE.append(path, {"a": rows})
        inodes.add(path.stat().st_ino)
        with tables.open_file(path) as file:
            array = file.root.psyrun.a
            assert -(-array.nrows // array.chunkshape[0]) <= MAX_CHUNKS
    assert len(inodes) <= 6
    assert (STORE.load(path)["a"] == 1).all()


def test_many_columns_take_a_time_in_proportion(path) -> None:
    few = {f"c{i}": [float(i)] for i in range(100)}
    many = {f"c{i}": [float(i)] for i in range(800)}

    def cpu_seconds(data) -> float:
        begun = time.process_time()
        STORE.save(path, data)
        STORE.append(path, data)
        assert list(STORE.load(path)) == list(data)
        return time.process_time() - begun

    # Of what grows with the square, there would be 64 times as much.
    assert cpu_seconds(many) < 24 * cpu_seconds(few)


def test_counting_does_not_open_the_columns(path, monkeypatch) -> None:
    STORE.save(path, {"a": [1, 2], "b": [3, 4]})

    def fail(group):
        raise AssertionError("opened")

    monkeypatch.setattr("psyrun.store.h5.arrays", fail)
    assert STORE.count(path) == 2


def test_surplus_rows_of_a_torn_append_do_not_count(path) -> None:
    STORE.save(path, {"a": [1.0, 2.0], "b": [3.0, 4.0]})
    with tables.open_file(path, "r+") as file:
        file.root.psyrun.a.append(np.array([9.0]))
    assert STORE.count(path) == 2
    assert as_lists(STORE.load(path, -1)) == {"a": [2], "b": [4]}
    STORE.append(path, {"a": [5.0], "b": [6.0]})
    assert as_lists(STORE.load(path)) == {"a": [1, 2, 5], "b": [3, 4, 6]}


APPEND = """
import sys
import numpy as np
from psyrun.store import H5Store

H5Store().append(sys.argv[1], {"a": np.arange(2000.0, 5000.0)})
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_being_killed_at_any_write_leaves_the_old_rows(path, tmp_path) -> None:
    STORE.save(path, {"a": np.arange(2000.0)})
    torn, status, write = tmp_path / "torn.h5", -9, 0
    while status == -9:
        write += 1
        shutil.copy(path, torn)
        kill = f"inject=pwrite64:signal=SIGKILL:when={write}"
        command = ["strace", "-f", "-o", os.devnull, "-e", kill, sys.executable]
        status = subprocess.call([*command, "-c", APPEND, str(torn)])
        assert STORE.count(torn) in (2000, 5000)
        np.testing.assert_array_equal(
            STORE.load(torn)["a"], np.arange(STORE.count(torn))
        )
    assert (status, STORE.count(torn)) == (0, 5000)
    assert write > 5


def test_one_row_is_read_without_the_others(path) -> None:
    with STORE.writer(path) as writer:
        for _ in range(20):
            writer.append({"a": np.ones((10, 65536 // 8))})
    assert path.stat().st_size > 12 * MIB
    assert peak_memory(lambda: STORE.load(path, 150)) < MIB
    assert peak_memory(lambda: STORE.count(path)) < MIB


def test_a_writer_holds_no_more_than_one_piece(path) -> None:
    def write() -> None:
        with STORE.writer(path) as writer:
            for i in range(32):
                writer.append({"a": np.full(MIB // 8, i)})

    assert peak_memory(write) < 8 * MIB
    assert STORE.count(path) == 32 * MIB // 8


def test_many_small_pieces_take_no_more_space_than_one(path) -> None:
    with STORE.writer(path) as writer:
        for i in range(1000):
            writer.append({"a": [i], "b": [-i]})
        (beside,) = path.parent.iterdir()
        assert beside.stat().st_size < 100_000
    assert path.stat().st_size < 50_000


def test_merging_and_rewriting_hold_little_in_memory(path, tmp_path) -> None:
    STORE.save(path, {"a": np.ones(4 * MIB)})
    assert peak_memory(lambda: merge([path], tmp_path / "m.h5")) < 8 * MIB
    assert peak_memory(lambda: STORE.append(path, {"b": [1.0]})) < 8 * MIB
    assert STORE.count(path) == 4 * MIB + 1


def bytes_written(call) -> int:
    def written() -> int:
        lines = IO_COUNTERS.read_text().splitlines()
        return int(dict(line.split(": ") for line in lines)["wchar"])

    before = written()
    call()
    return written() - before


@pytest.mark.skipif(not IO_COUNTERS.exists(), reason="needs Linux")
def test_merging_does_not_copy_arrays_that_grow(path, tmp_path) -> None:
    sources = [tmp_path / f"{number}.h5" for number in range(40)]
    for number, source in enumerate(sources):
        STORE.save(source, {"x": [number] * 8, "a": np.full((8, MIB // 128), number)})
    size = 40 * 8 * MIB // 16
    assert bytes_written(lambda: merge(sources, path)) < 1.2 * size
    loaded = STORE.load(path)
    assert loaded["x"].tolist() == loaded["a"][:, -1].tolist()
    assert loaded["x"].tolist() == sorted([*range(40)] * 8)
    place = path.stat().st_ino
    STORE.append(path, loaded)
    assert (path.stat().st_ino, STORE.count(path)) == (place, 640)


def test_a_later_piece_may_need_another_type_or_shape(path) -> None:
    with STORE.writer(path) as writer:
        writer.append({"a": [1, 2], "b": [True, True]})
        writer.append({"a": [[0.5, 1.5]], "b": [2]})
    loaded = STORE.load(path)
    np.testing.assert_array_equal(loaded["a"], [[1, np.nan], [2, np.nan], [0.5, 1.5]])
    assert loaded["b"].tolist() == [1, 1, 2]
    assert list(loaded) == ["a", "b"]


def test_a_writer_goes_on_after_a_piece_that_it_refused(path) -> None:
    with STORE.writer(path) as writer:
        writer.append({"a": [1, 2], "b": [2**60 + 1, 4]})
        for wrong in ({"a": [3], "b": [0.5]}, {"a": [3.5], "b": ["x"]}):
            with pytest.raises(StoreError, match="'b'"):
                writer.append(wrong)
        writer.append({"a": [5], "b": [6]})
    assert as_lists(STORE.load(path)) == {"a": [1, 2, 5], "b": [2**60 + 1, 4, 6]}


def test_a_refused_append_leaves_the_file_as_it_was(path) -> None:
    STORE.save(path, {"a": [1, 2], "b": [2**60 + 1, 4]})
    for wrong in ({"a": [3], "b": [0.5]}, {"a": [3], "b": ["x"]}, {"a": [3]}):
        with pytest.raises(StoreError, match="'b'"):
            STORE.append(path, wrong)
    assert as_lists(STORE.load(path)) == {"a": [1, 2], "b": [2**60 + 1, 4]}
    assert list(path.parent.iterdir()) == [path]


def test_rows_without_elements_are_kept(path) -> None:
    STORE.save(path, {"a": np.empty((2, 0, 3))})
    STORE.append(path, {"a": np.empty((1, 0, 3))})
    assert STORE.load(path)["a"].shape == (3, 0, 3)
    STORE.append(path, {"a": np.ones((1, 1, 3))})
    assert np.isnan(STORE.load(path)["a"][:3]).all()


def test_a_file_in_use_is_reported(path) -> None:
    STORE.save(path, {"a": [1]})
    with tables.open_file(path, "r+"), pytest.raises(StoreError, match=r"r\.h5.*open"):
        STORE.load(path)


def test_a_file_locked_by_another_process_is_reported(path) -> None:
    STORE.save(path, {"a": [1]})
    code = "import sys, tables; f = tables.open_file(sys.argv[1], 'r+'); "
    code += "print(flush=True); input(); f.close()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        with pytest.raises(StoreError, match="another process is using the file"):
            STORE.append(path, {"a": [2]})
        other.communicate(b"\n")


@pytest.mark.parametrize("node", ["", "/", "psyrun", "/a b", "/a/", "/1"])
def test_a_node_that_is_no_path_is_refused(node) -> None:
    with pytest.raises(StoreError, match="'/psyrun' or '/results/first'"):
        H5Store(node=node)


def test_another_hdf5_file_is_refused(path) -> None:
    with tables.open_file(path, "w") as file:
        file.create_array("/", "a", [1, 2])
    for call in (STORE.load, STORE.count, lambda p: STORE.append(p, {"a": [1]})):
        with pytest.raises(StoreError, match="no group '/psyrun'"):
            call(path)


@pytest.mark.parametrize("rows", [None, 3])
def test_columns_that_are_too_short_are_reported(path, rows) -> None:
    with tables.open_file(path, "w") as file:
        group = file.create_group("/", "psyrun")
        file.create_earray(group, "a", obj=np.zeros(2))
        file.create_earray(group, "b", obj=np.zeros(3))
        if rows:
            group._v_attrs.rows = rows
    with pytest.raises(StoreError, match="different lengths"):
        STORE.load(path)


@given(st.one_of(st.text(), st.text("_xa4f5 /é"), st.from_regex("_[cfgvipx]_.*")))
def test_every_key_has_a_node_name_of_its_own(key) -> None:
    name = node_name(key)
    assert key_of(name) == key
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tables.path.check_name_validity(name)
    assert tables.path.isvisiblename(name)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("pos_x", "pos_x"),
        ("a_x_b", "a_x_b"),
        ("a b", "a_x20_b"),
        ("x/y", "x_x2f_y"),
        ("1x", "_x31_x"),
        ("class", "_x63_lass"),
        ("a_xb_", "a_x5f_xb_"),
        ("", "_x_"),
        ("_x_", "_x5f_x_"),
        ("__members__", "_x5f__members__"),
    ],
)
def test_node_names_stay_readable(key, name) -> None:
    assert (node_name(key), key_of(name)) == (name, key)


@pytest.mark.parametrize("write", ["save", "append"])
def test_text_is_refused_by_an_error_that_scripts_of_0_8_expect(tmp_path, write):
    with pytest.raises(NotImplementedError, match="H5Store takes bool, int") as caught:
        getattr(H5Store(), write)(tmp_path / "a.h5", {"a": ["text"]})
    assert isinstance(caught.value, StoreError)


class _Runs:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


PLACES = ["/", "/psyrun_results", "/psyrun_results/x"]
ATTRIBUTES = ["TITLE", "FILTERS", "CLASS", "VERSION", "FLAVOR", "EXTDIM", "position"]


@pytest.mark.parametrize("name", [*ATTRIBUTES, "rows", "row_shape", "other"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_nothing_in_a_file_is_unpickled(tmp_path: Path, place: int, name: str) -> None:
    path, mark = tmp_path / "a.h5", tmp_path / "mark"
    store = H5Store()
    store.save(str(path), {"x": [1, 2], "y": [0.5, 1.5]})
    payload = np.bytes_(pickle.dumps(_Runs(mark), 0))
    assert payload.endswith(b".")
    with tables.open_file(path, "r+") as file:
        groups = list(file.walk_nodes("/", "Group"))
        node = [*groups[:2], *file.walk_nodes("/", "Array")][place]
        node._v_attrs._g_setattr(node, name, payload)
    with contextlib.suppress(StoreError):
        assert store.load(str(path))["x"].tolist() == [1, 2]
    with contextlib.suppress(StoreError):
        store.append(str(path), {"x": [3], "y": [0.5]})
    with contextlib.suppress(StoreError):
        store.load(str(path), slice(0, 1))
    assert not mark.exists()


def test_a_pickled_attribute_is_refused_and_others_may_use_them(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    H5Store().save(str(path), {"x": [1, 2]})
    with tables.open_file(path, "r+") as file:
        file.root._v_attrs.mine = {"a": 1}
    assert H5Store().load(str(path))["x"].tolist() == [1, 2]
    with tables.open_file(path, "r+") as file:
        assert file.root._v_attrs.mine == {"a": 1}
        (group,) = [n for n in file.walk_nodes("/", "Group") if n is not file.root]
        group._v_attrs.rows = {"a": 1}
    with pytest.raises(StoreError, match=r"a\.h5: has an attribute that is a pickle"):
        H5Store().load(str(path))


def test_a_reading_that_ends_in_another_thread_has_no_effect_on_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.h5"
    H5Store().save(str(path), {"x": [1, 2]})
    with tables.open_file(path, "r+") as file:
        file.root._v_attrs.mine = {"a": 1}
    reading = raw_attributes(path)
    reading.__enter__()
    thread = threading.Thread(target=reading.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with tables.open_file(path) as file:
        assert file.root._v_attrs.mine == {"a": 1}
