"""Rows that are picked from several files are written without loading these."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psyrun.errors import StoreError
from psyrun.store import H5Store, NpzStore, PickleStore, pickle_picking
from psyrun.store.base import Store
from psyrun.store.h5 import picking

STORES = [NpzStore(), NpzStore(allow_pickle=True), H5Store(), PickleStore()]
BATCHES = [
    {"n": [1, 2, 3], "v": np.arange(6.0).reshape(3, 2), "b": [1, 0, 1]},
    {"n": [4], "v": [[7.5, 8.5]], "f": [0.5]},
    {"n": [5, 6], "v": [9.0, np.nan], "b": [1, 2], "e": np.empty((2, 0))},
    {"n": np.arange(10, 17, dtype="i4"), "v": np.ones((7, 3)), "f": np.zeros(7)},
]
LENGTHS = [3, 1, 2, 7]


@st.composite
def picks(draw: st.DrawFn) -> list[tuple[int, int]]:
    one = st.integers(0, 3).flatmap(
        lambda n: st.tuples(st.just(n), st.integers(0, LENGTHS[n] - 1))
    )
    drawn = draw(st.lists(one, min_size=1, max_size=30))
    return sorted(drawn, key=lambda pick: pick[1]) if draw(st.booleans()) else drawn


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("files")
    for store in STORES:
        for number, batch in enumerate(BATCHES):
            store.save(found / f"{number}{store.ext}", batch)
    return found


@pytest.mark.parametrize("store", STORES, ids=["npz", "objects", "h5", "pickle"])
@settings(max_examples=25, deadline=None)
@given(order=picks(), step=st.integers(1, 200), n_open=st.integers(0, 4))
def test_picked_rows_are_those_of_the_files_together(
    folder: Path,
    store: Store,
    order: list[tuple[int, int]],
    step: int,
    n_open: int,
) -> None:
    sources = [folder / f"{number}{store.ext}" for number in range(4)]
    target = folder / f"all{store.ext}"
    origin, rows = (np.array(part) for part in zip(*order, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        for module in ("npz_merging", "h5.picking"):
            patch.setattr(f"psyrun.store.{module}._STEP_BYTES", step)
        patch.setattr("psyrun.store.npz_merging._PICKED_BYTES", step)
        patch.setattr(picking, "_MAX_OPEN", n_open)
        patch.setattr(pickle_picking, "_LEAST_BYTES", step)
        store.merge_rows(target, sources, origin, rows)
    store.merge(whole := folder / f"whole{store.ext}", sources)
    expected = store.load(whole)
    places = [sum(LENGTHS[:number]) + row for number, row in order]
    found = store.load(target)
    assert found.keys() <= expected.keys()
    for key in expected:
        picked = [shown(expected[key][place]) for place in places]
        assert picked == (
            [shown(row) for row in found[key]] if key in found else [[]] * len(places)
        )


def shown(row: object) -> list[float]:
    """Return a row without padding."""
    values = np.asarray(row, dtype=float).ravel()
    return values[~np.isnan(values)].tolist()


@pytest.mark.parametrize(
    ("store", "n_files"), [(NpzStore(), 1), (H5Store(), 1), (PickleStore(), 2.5)]
)
def test_little_is_in_memory(
    store: Store, n_files: float, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("psyrun.store.npz_merging._PICKED_BYTES", 1 << 20)
    monkeypatch.setattr(picking, "_STEP_BYTES", 1 << 20)
    monkeypatch.setattr(pickle_picking, "_LEAST_BYTES", 1 << 20)
    sources = [tmp_path / f"{number}{store.ext}" for number in range(8)]
    for number, source in enumerate(sources):
        rows = np.arange(number, 256, 8.0)
        store.save(source, {"y": np.repeat(rows[:, np.newaxis], 1 << 15, 1)})
    tracemalloc.start()
    try:
        order = np.arange(256)
        store.merge_rows(tmp_path / f"r{store.ext}", sources, order % 8, order // 8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < n_files * sources[0].stat().st_size
    found = np.array(store.load(tmp_path / f"r{store.ext}")["y"])
    assert found[:, -1].tolist() == list(range(256))
    assert len(list(tmp_path.iterdir())) == 9


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("rows", [range(9), range(50, 40, -1), range(90, 100)])
def test_a_damaged_file_is_found(tmp_path: Path, place: float, rows: range) -> None:
    store, path, target = NpzStore(), tmp_path / "0.npz", tmp_path / "r.npz"
    store.save(path, {"y": np.random.default_rng(0).random((100, 100))})
    store.save(target, {"y": [1]})
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    origin = np.zeros(len(rows), np.int64)
    with pytest.raises(StoreError, match=r"0\.npz: is not .* whole .*CRC"):
        store.merge_rows(target, [path], origin, np.array(rows))
    assert store.load(target)["y"].tolist() == [1]


def test_a_damaged_pickle_leaves_the_result_of_before(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(pickle_picking, "_LEAST_BYTES", 1)
    sources = [tmp_path / f"{number}.pkl" for number in range(3)]
    for number, source in enumerate(sources):
        PickleStore().save(source, {"y": [number, number + 3]})
    PickleStore().save(target := tmp_path / "r.pkl", {"y": [7]})
    sources[1].write_bytes(b"damaged")
    order = np.arange(6)
    with pytest.raises(StoreError, match=r"1\.pkl: is not a pickle or not whole"):
        PickleStore().merge_rows(target, sources, order % 3, order // 3)
    assert PickleStore().load(target) == {"y": [7]}
    assert len(list(tmp_path.iterdir())) == 4
