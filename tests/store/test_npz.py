"""What only NpzStore does."""

import os

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.store import NpzStore

STORE = NpzStore()


def test_numpy_reads_the_file(tmp_path) -> None:
    STORE.save(tmp_path / "r.npz", {"a": [1, 2], "b": ["x", "yz"]})
    with np.load(tmp_path / "r.npz") as file:
        assert {key: file[key].tolist() for key in file} == {
            "a": [1, 2],
            "b": ["x", "yz"],
        }


def test_it_reads_what_numpy_saved(tmp_path) -> None:
    np.savez_compressed(tmp_path / "r.npz", a=[1, 2], b=np.eye(2))
    assert STORE.count(tmp_path / "r.npz") == 2
    assert STORE.load(tmp_path / "r.npz", 1)["b"].tolist() == [[0, 1]]


def test_text_bytes_and_dates_are_kept(tmp_path) -> None:
    data = {"s": ["a", "é"], "b": [b"x", b"yz"], "d": np.array(["2020", "2021"], "M8")}
    STORE.save(tmp_path / "r.npz", data)
    STORE.append(tmp_path / "r.npz", data)
    loaded = STORE.load(tmp_path / "r.npz")
    assert loaded["s"].tolist() == ["a", "é"] * 2
    assert loaded["b"].tolist() == [b"x", b"yz"] * 2
    assert loaded["d"].tolist() == data["d"].tolist() * 2


@pytest.mark.parametrize("key", ["file", "a.npy", "x/y", "", ".npy"])
def test_keys_are_not_taken_for_file_names(key, tmp_path) -> None:
    STORE.save(tmp_path / "r.npz", {key: [1], "a": [2]})
    assert STORE.load(tmp_path / "r.npz") == {key: [1], "a": [2]}


@pytest.mark.parametrize("key", ["a\0b", "\ud800", 3])
def test_keys_that_a_zip_file_cannot_hold_are_refused(key, tmp_path) -> None:
    with pytest.raises(StoreError, match="cannot be a name in an NPZ file"):
        STORE.save(tmp_path / "r.npz", {key: [1]})
    with pytest.raises(StoreError, match="cannot be a name in an NPZ file"):
        STORE.check({key: 1})


def test_pickled_objects_are_not_loaded(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    np.savez(tmp_path / "r.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(StoreError, match=r"NpzStore\(allow_pickle=True\)"):
        STORE.load(tmp_path / "r.npz")
    with pytest.raises(StoreError, match=r"NpzStore\(allow_pickle=True\)"):
        STORE.append(tmp_path / "r.npz", {"a": [1]})
    assert not (tmp_path / "sprung").exists()


def test_objects_are_kept_on_request(tmp_path) -> None:
    store, rows = NpzStore(allow_pickle=True), [None, [1], [2, 3], {"a": "b"}]
    store.save(tmp_path / "r.npz", {"a": [1, 2]})
    store.append(tmp_path / "r.npz", {"a": rows})
    assert store.load(tmp_path / "r.npz")["a"].tolist() == [1, 2, *rows]


def test_objects_that_cannot_be_pickled_are_named(tmp_path) -> None:
    store = NpzStore(allow_pickle=True)
    with pytest.raises(StoreError, match="'k' holds a value of type function"):
        store.save(tmp_path / "r.npz", {"k": [lambda: 0]})
    with pytest.raises(StoreError, match="'k' holds a value of type function"):
        store.check({"k": lambda: 0})
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_array_is_reported(tmp_path) -> None:
    STORE.save(tmp_path / "r.npz", {"a": np.zeros(1000)})
    content = bytearray((tmp_path / "r.npz").read_bytes())
    content[500] = 1
    (tmp_path / "r.npz").write_bytes(content)
    with pytest.raises(StoreError, match=r"not whole.*CRC"):
        STORE.load(tmp_path / "r.npz")


def test_a_single_value_in_the_file_is_reported(tmp_path) -> None:
    np.savez(tmp_path / "r.npz", a=3)
    for read in (STORE.load, STORE.count):
        with pytest.raises(StoreError, match="not written by NpzStore"):
            read(tmp_path / "r.npz")
