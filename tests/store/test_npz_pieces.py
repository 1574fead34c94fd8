"""NPZ files are read in pieces, with all values and their checksums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from psyrun.errors import DamagedFileError
from psyrun.store import NpzStore

ROWS = {
    "x": np.arange(1000),
    "w": np.random.default_rng(0).random((1000, 7)),
    "none": np.empty((1000, 0)),
    "name": np.array(["a", "bc"] * 500),
    "text": np.array(["a" * (1000 if i == 5 else 1) for i in range(1000)], object),
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("psyrun.store.npz_pieces._PIECE_BYTES", 10_000)


def test_pieces_have_all_values_and_stay_what_they_were(tmp_path):
    path = tmp_path / "a.npz"
    NpzStore().save(path, ROWS)
    found = list(NpzStore().pieces(path))
    assert 2 < len(found) < 100
    for key, column in ROWS.items():
        joined = np.concatenate([piece[key] for piece in found])
        assert joined.shape == column.shape and joined.tolist() == column.tolist()


def test_compressed_arrays_and_objects_are_divided_in_memory(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=ROWS["x"], w=ROWS["w"])
    found = list(NpzStore().pieces(tmp_path / "a.npz"))
    assert sum(len(piece["x"]) for piece in found) == 1000
    store = NpzStore(allow_pickle=True)
    store.save(tmp_path / "b.npz", {"x": range(3), "any": [None, "a", {}]})
    assert [*next(store.pieces(tmp_path / "b.npz"))["any"]] == [None, "a", {}]


def test_a_changed_byte_is_noticed_at_the_end(tmp_path: Path):
    path = tmp_path / "a.npz"
    NpzStore().save(path, {"w": ROWS["w"]})
    content = bytearray(path.read_bytes())
    content[30_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"a.npz: is not an NPZ file or not wh"):
        list(NpzStore().pieces(path))
