"""Many files into one."""

import pytest

from psyrun.errors import StoreError
from psyrun.store import AutodetectStore
from psyrun.store.merging import merge, merge_directory
from psyrun.testing.store import as_lists

STORE = AutodetectStore()


@pytest.fixture(params=[".pkl", ".npz", ".h5"])
def ext(request) -> str:
    return request.param


def test_files_are_merged_in_natural_order(tmp_path, ext) -> None:
    for number in (10, 2, 1):
        STORE.save(tmp_path / f"{number}{ext}", {"n": [number, -number]})
    merge_directory(tmp_path, tmp_path / f"merged{ext}")
    loaded = as_lists(STORE.load(tmp_path / f"merged{ext}"))
    assert loaded == {"n": [1, -1, 2, -2, 10, -10]}


def test_merging_again_leaves_the_merged_file_out(tmp_path, ext) -> None:
    STORE.save(tmp_path / f"1{ext}", {"n": [1]})
    for _ in range(2):
        merge_directory(tmp_path, tmp_path / f"0{ext}")
    assert STORE.count(tmp_path / f"0{ext}") == 1


def test_other_and_hidden_files_are_left_out(tmp_path, ext) -> None:
    STORE.save(tmp_path / f"1{ext}", {"n": [1]})
    STORE.save(tmp_path / f".2{ext}", {"n": [2]})
    (tmp_path / "3.log").write_text("text")
    (tmp_path / f"4{ext}").mkdir()
    merged = tmp_path / "sub" / f"merged{ext}"
    merged.parent.mkdir()
    assert merge_directory(tmp_path, merged) == [tmp_path / f"1{ext}"]


def test_blocks_without_rows_do_not_matter(tmp_path, ext) -> None:
    STORE.save(tmp_path / f"1{ext}", {"n": []})
    STORE.save(tmp_path / f"2{ext}", {"n": [1]})
    STORE.save(tmp_path / f"3{ext}", {})
    merge_directory(tmp_path, tmp_path / f"m{ext}")
    assert as_lists(STORE.load(tmp_path / f"m{ext}")) == {"n": [1]}


def test_an_empty_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"no files with the extension '\.npz'"):
        merge_directory(tmp_path, tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        merge_directory(tmp_path / "none", tmp_path / "m.npz")


def test_an_unknown_extension_is_an_error(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"choose one of \.h5, \.npz, \.pkl"):
        merge_directory(tmp_path, tmp_path / "m.txt")


def test_a_broken_block_leaves_the_old_result(tmp_path, ext) -> None:
    target = tmp_path / f"m{ext}"
    STORE.save(target, {"n": [0]})
    STORE.save(tmp_path / f"1{ext}", {"n": [1]})
    (tmp_path / f"2{ext}").write_bytes(b"torn")
    with pytest.raises(StoreError, match=f"2{ext}"):
        merge_directory(tmp_path, target)
    assert as_lists(STORE.load(target)) == {"n": [0]}
    assert not list(tmp_path.glob(".*"))


def test_an_old_result_can_be_among_the_sources(tmp_path, ext) -> None:
    target = tmp_path / f"m{ext}"
    STORE.save(target, {"n": [0]})
    STORE.save(tmp_path / f"1{ext}", {"n": [1]})
    merge([target, tmp_path / f"1{ext}"], target)
    assert as_lists(STORE.load(target)) == {"n": [0, 1]}
