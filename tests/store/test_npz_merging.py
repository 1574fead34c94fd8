"""NPZ files are merged and written without all rows in memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from psyrun.errors import StoreError
from psyrun.store import NpzStore, npz_spilling
from psyrun.store.merging import merge

STORE = NpzStore()
DTYPES = ["<i8", "<i4", "<f8", "<f4", "<c16", "|b1", "<U3", "<U9", "|S4", "<M8[s]"]


@st.composite
def columns(draw: st.DrawFn) -> dict[str, np.ndarray]:
    n_rows = draw(st.integers(0, 4))
    keys = draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3))
    return {key: draw(column(n_rows)) for key in keys}


def column(n_rows: int) -> st.SearchStrategy[np.ndarray]:
    shapes = st.sampled_from([(), (0,), (2,), (3,), (2, 1), (2, 3)])
    arrays = st.tuples(st.sampled_from(DTYPES), shapes).flatmap(
        lambda each: hnp.arrays(
            each[0], (n_rows, *each[1]), elements=elements(np.dtype(each[0]))
        )
    )
    return st.one_of(arrays, arrays.map(np.asfortranarray))


def elements(dtype: np.dtype) -> st.SearchStrategy | None:
    if dtype.kind in "US":
        text = st.text("xyz", min_size=1, max_size=3)
        return text.map(str.encode) if dtype.kind == "S" else text
    return st.integers(-9, 9) if dtype.kind in "ifc" else None


@pytest.mark.parametrize("store", [STORE, NpzStore(allow_pickle=True)])
@settings(max_examples=40, deadline=None)
@given(batches=st.lists(columns(), min_size=1, max_size=4), step=st.integers(1, 99))
def test_merged_files_hold_what_their_rows_are_together(
    tmp_path_factory: pytest.TempPathFactory,
    store: NpzStore,
    batches: list[dict[str, np.ndarray]],
    step: int,
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    paths = [folder / f"{number}.npz" for number in range(len(batches))]
    for path, rows in zip(paths, batches, strict=True):
        store.save(path, rows)
    target = folder / "all.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("psyrun.store.npz_merging._STEP_BYTES", step)
        assert_same(store, target, batches, lambda: merge(paths, target, store))


@settings(max_examples=40, deadline=None)
@given(batches=st.lists(columns(), min_size=1, max_size=4), size=st.integers(0, 99))
def test_a_writer_writes_the_same_however_much_it_keeps_in_memory(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[dict[str, np.ndarray]],
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("writer")

    def write() -> None:
        with STORE.writer(folder / "all.npz") as writer:
            for rows in batches:
                writer.append(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz_spilling, "_SPILL_BYTES", size)
        is_written = assert_same(STORE, folder / "all.npz", batches, write)
    assert [path.name for path in folder.iterdir()] == ["all.npz"] * is_written


def assert_same(store, target, batches, write) -> bool:
    """Compare with the rows joined in memory; return whether they can be."""
    try:
        expected = store.concatenate(batches)
    except StoreError:
        with pytest.raises(StoreError):
            write()
        assert not target.exists()
        return False
    write()
    loaded = store.load(target)
    with np.load(target, allow_pickle=True) as archive:
        assert list(archive.files) == list(expected)
    for key, values in expected.items():
        assert loaded[key].dtype == values.dtype
        assert loaded[key].shape == values.shape
        assert shown(loaded[key]) == shown(values)
    return True


def shown(column: np.ndarray) -> str:
    if column.dtype.kind == "c":
        # An array of real numbers may have had the missing value first.
        column = np.where(np.isnan(column), np.nan, column)
    return repr(column.tolist())


def large_files(folder: Path, n_files: int = 10) -> list[Path]:
    paths = [folder / f"{number}.npz" for number in range(n_files)]
    for number, path in enumerate(paths):
        STORE.save(path, {"x": [number] * 50, "y": np.full((50, 10_000), number)})
    return paths


def peak_of(write) -> int:
    """Return how many bytes a call allocates at most."""
    tracemalloc.start()
    try:
        write()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_merging_needs_no_more_memory_than_a_piece(tmp_path) -> None:
    paths = large_files(tmp_path)
    peak = peak_of(lambda: merge(paths, tmp_path / "all.npz"))
    assert peak < paths[0].stat().st_size
    assert STORE.load(tmp_path / "all.npz")["y"][:, -1].tolist() == sorted(
        [*range(10)] * 50
    )


def test_a_writer_needs_no_more_memory_than_a_few_pieces(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(npz_spilling, "_SPILL_BYTES", 1 << 20)

    def write() -> None:
        with STORE.writer(tmp_path / "all.npz") as writer:
            for number in range(40):
                writer.append({"y": np.full((20, 10_000), float(number))})

    assert peak_of(write) < 4 * 20 * 10_000 * 8
    assert STORE.load(tmp_path / "all.npz")["y"][:, 0].tolist() == sorted(
        [*range(40)] * 20
    )


@pytest.mark.parametrize("keys", [["y"], ["y", "z"], [f"c{n}" for n in range(40)]])
def test_a_writer_needs_no_more_space_than_a_few_pieces(
    tmp_path, monkeypatch, keys
) -> None:
    monkeypatch.setattr(npz_spilling, "_SPILL_BYTES", 1 << 20)
    sizes = []
    remove = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        # There is most of it before something is removed.
        sizes.append(sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()))
        remove(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    shape = (20, 10_000 // len(keys))
    with STORE.writer(tmp_path / "all.npz") as writer:
        for number in range(40):
            writer.append({key: np.full(shape, float(number)) for key in keys})
    size = (tmp_path / "all.npz").stat().st_size
    assert [p.name for p in tmp_path.iterdir()] == ["all.npz"]
    assert len(sizes) > 20
    assert max(sizes) < 1.1 * size + 2 * 20 * 10_000 * 8
    columns = STORE.load(tmp_path / "all.npz")
    for key in keys:
        assert columns[key][::20, -1].tolist() == [*range(40)]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_file_is_found_while_it_is_merged(tmp_path, place) -> None:
    paths = large_files(tmp_path, 3)
    target = tmp_path / "all.npz"
    STORE.save(target, {"x": [1]})
    content = bytearray(paths[1].read_bytes())
    content[int(place * len(content))] ^= 1
    paths[1].write_bytes(content)
    with pytest.raises(StoreError, match=r"/1\.npz: is not .* whole .*CRC"):
        merge(paths, target)
    assert STORE.load(target)["x"].tolist() == [1]
    assert len(list(tmp_path.iterdir())) == 4


def test_compressed_files_of_others_are_merged(tmp_path) -> None:
    np.savez_compressed(tmp_path / "0.npz", x=np.arange(3), t=["a", "b", "c"])
    np.savez(tmp_path / "1.npz", x=np.arange(3, 5).astype(">i4"))
    with pytest.raises(StoreError, match=r"'t'.*no missing value"):
        merge([tmp_path / "0.npz", tmp_path / "1.npz"], tmp_path / "all.npz")
    np.savez(tmp_path / "1.npz", x=np.arange(3, 5).astype(">i4"), t=["d", "ef"])
    merge([tmp_path / "0.npz", tmp_path / "1.npz"], tmp_path / "all.npz")
    loaded = STORE.load(tmp_path / "all.npz")
    assert loaded["x"].tolist() == [0, 1, 2, 3, 4]
    assert loaded["t"].tolist() == ["a", "b", "c", "d", "ef"]


class _CompressedStore(NpzStore):
    """A store of a user's own, which writes files in another way."""

    def save(self, filename, data):
        np.savez_compressed(filename, **data)


def test_a_store_derived_from_it_writes_merged_files_in_its_way(tmp_path) -> None:
    store, rows = _CompressedStore(), {"x": np.zeros(10_000)}
    store.save(tmp_path / "0.npz", rows)
    merge([tmp_path / "0.npz"] * 2, tmp_path / "all.npz", store)
    with store.writer(tmp_path / "written.npz") as writer:
        writer.append(rows)
        writer.append(rows)
    for name in ("all.npz", "written.npz"):
        assert (tmp_path / name).stat().st_size < 10_000
        assert len(store.load(tmp_path / name)["x"]) == 20_000
