"""What only NpzStore does."""

import enum
import itertools
import os
import zipfile

import numpy as np
import pytest

from psyrun.errors import StoreError
from psyrun.store import NpzStore
from psyrun.store.merging import merge

STORE = NpzStore()


class Mode(str, enum.Enum):  # noqa: UP042 - it differs from StrEnum
    A = "alpha"


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


LONG = 60_000
TEXTS = {
    "text": ["é", ""] * 500 + ["x" * LONG],
    "bytes": [b"y", b""] * 500 + [b"x" * LONG],
    "members of an enumeration": [Mode.A] * 1000 + ["x" * LONG],
    "surrogates": ["\udc80"] * 1000 + ["x" * LONG],
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts_of_uneven_lengths_take_the_space_they_need(tmp_path, case) -> None:
    path, texts = tmp_path / "r.npz", TEXTS[case]
    STORE.save(path, {"n": range(len(texts)), "k.": texts})
    assert path.stat().st_size < 100_000
    assert STORE.load(path)["k."].tolist() == texts
    assert STORE.load(path, -1)["k."].tolist() == texts[-1:]
    assert STORE.count(path) == len(texts)
    assert STORE.keys(path) == ["n", "k."]
    STORE.append(path, {"n": [1], "k.": texts[:1]})
    assert STORE.load(path)["k."].tolist() == [*texts, texts[0]]
    assert path.stat().st_size < 100_000


LISTS = {
    "lists": [["é", ""]] * 500 + [["x" * LONG, "y"]],
    "tuples of bytes": [(b"y", b"")] * 500 + [(b"x" * LONG, b"y")],
    "nested": [[["a"], ["b"]]] * 500 + [[["x" * LONG], ["y"]]],
    "arrays": [np.array(["a", "b"])] * 500 + [np.array(["x" * LONG, "y"])],
    "objects": [np.array(["a", "b"], object)] * 500 + [["x" * LONG, "y"]],
    "one array": np.array([["a", "b"]] * 500 + [["x" * LONG, "y"]]),
    "members of an enumeration": [[Mode.A, "b"]] * 500 + [["x" * LONG, "y"]],
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_texts_of_uneven_lengths_take_the_space_they_need(
    tmp_path, case
) -> None:
    path, rows = tmp_path / "r.npz", LISTS[case]
    texts = np.array([np.array(row, object) for row in rows], object)
    if case == "members of an enumeration":
        texts[:-1, 0] = Mode.A.value
    STORE.save(path, {"n": range(501), "k": rows})
    assert path.stat().st_size < 100_000
    loaded = STORE.load(path)["k"]
    assert loaded.shape == texts.shape
    assert loaded.tolist() == texts.tolist()
    assert STORE.load(path, -1)["k"].tolist() == texts[-1:].tolist()
    assert STORE.count(path) == 501
    STORE.append(path, {"n": [1], "k": texts[:1].tolist()})
    assert STORE.load(path)["k"].tolist() == [*texts.tolist(), texts[0].tolist()]
    assert path.stat().st_size < 100_000
    with pytest.raises(StoreError, match="key 'k' holds"):
        STORE.append(path, {"n": [1], "k": [[["a", "b", "c"]]]})


def test_one_list_with_a_long_text_among_many_files_is_merged(tmp_path) -> None:
    rows = [[["a", "b"]] * 700, [["x" * LONG, "y"]], *([[["b", "c"]] * 700] * 5)]
    for number, some in enumerate(rows):
        STORE.save(tmp_path / f"{number}.npz", {"k": some})
    merge([tmp_path / f"{number}.npz" for number in range(7)], tmp_path / "m.npz")
    expected = [row for some in rows for row in some]
    assert STORE.load(tmp_path / "m.npz")["k"].tolist() == expected
    assert (tmp_path / "m.npz").stat().st_size < 300_000


def test_lists_of_texts_with_a_null_character_are_refused(tmp_path) -> None:
    rows = [["a", "b\0"]] * 500 + [["x" * LONG, "y"]]
    with pytest.raises(StoreError, match="null character"):
        STORE.save(tmp_path / "r.npz", {"k": rows})


def test_numpy_reads_texts_of_uneven_lengths(tmp_path) -> None:
    path, texts = tmp_path / "r.npz", TEXTS["text"]
    STORE.save(path, {"k": texts})
    with np.load(path) as file:
        data = file["k.text-v1.data"].tobytes()
        ends = file["k.text-v1.offsets"]
        read = [data[a:b].decode() for a, b in itertools.pairwise(ends)]
    assert read == texts


def test_keys_may_look_like_the_members_of_texts(tmp_path) -> None:
    keys = ["k", "k.text-v1.data", "k.text-v1.offsets", "k.text-v3.data"]
    data = dict.fromkeys(keys, TEXTS["text"])
    STORE.save(tmp_path / "r.npz", data)
    loaded = STORE.load(tmp_path / "r.npz")
    assert {key: column.tolist() for key, column in loaded.items()} == data


@pytest.mark.parametrize("n_rows", [1, 700])
def test_one_long_text_among_many_files_is_merged(tmp_path, n_rows) -> None:
    texts = [["a"] * n_rows, ["x" * LONG], *([["b"] * n_rows] * 20)]
    for number, rows in enumerate(texts):
        STORE.save(tmp_path / f"{number}.npz", {"k": rows})
    merge([tmp_path / f"{number}.npz" for number in range(22)], tmp_path / "m.npz")
    with STORE.writer(tmp_path / "w.npz") as writer:
        for rows in texts:
            writer.append({"k": rows})
    expected = [text for rows in texts for text in rows]
    for name in ("m.npz", "w.npz"):
        assert STORE.load(tmp_path / name)["k"].tolist() == expected
        assert (tmp_path / name).stat().st_size < 300_000


def test_texts_of_even_lengths_stay_one_array_of_characters(tmp_path) -> None:
    STORE.save(tmp_path / "r.npz", {"k": ["x" * LONG] * 30})
    with np.load(tmp_path / "r.npz") as file:
        assert file.files == ["k"]
        assert file["k"].dtype == f"<U{LONG}"


def test_texts_of_uneven_lengths_do_not_go_with_others(tmp_path) -> None:
    path = tmp_path / "r.npz"
    STORE.save(path, {"k": TEXTS["text"]})
    for wrong in ({"k": [1]}, {"k": [b"a"]}, {"other": [1]}):
        with pytest.raises(StoreError, match="key 'k' holds"):
            STORE.append(path, wrong)
    with pytest.raises(StoreError, match="null character"):
        STORE.append(path, {"k": ["a\0"]})
    assert STORE.count(path) == len(TEXTS["text"])


@pytest.mark.parametrize(
    ("name", "offsets", "problem"),
    [
        ("k.text-v1", [0, 2, 1], "not whole"),
        ("k.text-v1", [], "not whole"),
        ("k.text-v2", [[0, 2]], "not whole"),
        ("k.text-v2", [[2, 1]], "not whole"),
        ("k.text-v2", 1, "not"),
        ("k.text-v3", [0, 1], "later version"),
    ],
)
def test_damaged_and_later_texts_are_reported(tmp_path, name, offsets, problem) -> None:
    with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
        for part, values in (("offsets", offsets), ("data", [97])):
            with archive.open(f"{name}.{part}", "w") as member:
                np.lib.format.write_array(member, np.array(values, np.int64))
    with pytest.raises(StoreError, match=problem):
        STORE.load(tmp_path / "r.npz")
